"""What the parts of a view share: one connection, inside one transaction."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from searcher.catalog.filtering import Compiled, compile_filter
from searcher.catalog.folders import Part, parts_of
from searcher.catalog.rows import ContentFiles, Root, after_prefix
from searcher.errors import NotFound
from searcher.filters import Filter
from searcher.photos.rules import FolderOptions

IN_LIST = "(SELECT value FROM json_each(?))"  # any number of values in one parameter: see `in_list`

PHOTO = "i.id, i.content_id, r.path, i.relpath, c.taken_at, c.rating, c.width, c.height"  # the columns of a Photo


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

    def _roots(self) -> list[Root]:
        return [root(row) for row in self._rows("SELECT id, path, whole, options FROM roots ORDER BY path")]

    def _compiled(self, filter: Filter) -> Compiled:
        """A filter as a SELECT: see `compile_filter`. Raises NotFound for a folder without an indexed photo."""
        return compile_filter(filter, self._parts(filter))

    def _parts(self, filter: Filter) -> list[Part]:
        """What is in the folders of a filter."""
        parts: list[Part] = []
        roots = self._roots() if filter.folders else []
        for folder in filter.folders:
            inside = [part for part in parts_of(roots, folder) if self._holds_photo(part)]
            if not inside:
                raise NotFound(f"no indexed photo is in {folder}: `searcher roots` lists the indexed folders")
            parts += inside
        return parts

    def _holds_photo(self, part: Part) -> bool:
        sql = "SELECT 1 FROM images WHERE root_id = ? AND content_id IS NOT NULL"
        if not part.prefix:
            return self._row(f"{sql} LIMIT 1", part.root_id) is not None
        sql += " AND relpath >= ? AND relpath < ? LIMIT 1"
        return self._row(sql, part.root_id, part.prefix, after_prefix(part.prefix)) is not None

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


def root(row: "tuple[int, bytes, int, str]") -> Root:
    """A row of `roots`: id, path, whole, options."""
    id, path, whole, options = row
    return Root(id, path, bool(whole), FolderOptions.from_dict(json.loads(options)))
