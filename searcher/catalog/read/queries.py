"""What the parts of a view share: one connection, inside one transaction."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from searcher.catalog.rows import ContentFiles

IN_LIST = "(SELECT value FROM json_each(?))"  # any number of values in one parameter: see `in_list`


def in_list(ids: Iterable[int]) -> str:
    """The parameter for IN_LIST."""
    return json.dumps([int(id) for id in ids])


class Queries:
    """SQL text with parameters → rows."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    def _rows(self, sql: str, *parameters: object) -> list[Any]:
        return self._connection.execute(sql, parameters).fetchall()

    def _row(self, sql: str, *parameters: object) -> Any:
        """The first row, None if there is none."""
        return self._connection.execute(sql, parameters).fetchone()

    def _number(self, sql: str, *parameters: object) -> int:
        return int(self._row(sql, *parameters)[0])

    def _with_files(self, digests: dict[int, bytes]) -> list[ContentFiles]:
        """The files of contents, given as id → digest, in their order."""
        places: dict[int, list[tuple[int, bytes, bytes]]] = {content_id: [] for content_id in digests}
        rows = self._rows(
            "SELECT i.content_id, r.id, r.path, i.relpath FROM images i JOIN roots r ON r.id = i.root_id "
            f"WHERE i.content_id IN {IN_LIST} ORDER BY i.id",
            in_list(digests),
        )
        for content_id, *place in rows:
            places[content_id].append(tuple(place))
        return [ContentFiles(content_id, digests[content_id], tuple(found)) for content_id, found in places.items()]
