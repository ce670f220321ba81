"""Changes of what searcher wrote into XMP sidecars."""

import json
from collections.abc import Iterable

from sqlalchemy import Connection

from searcher.catalog.rows import SidecarRow


class SidecarChanges:
    """Sidecars by their path."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, rows: Iterable[SidecarRow]) -> None:
        """Remember what is about to be written into sidecars, or was written."""

        def as_stored(row: SidecarRow) -> tuple[object, ...]:
            lists = (json.dumps(each, ensure_ascii=False) for each in (row.tags, row.refused, row.entries))
            return (row.path, row.image_id, *lists, row.written)

        sql = "INSERT OR REPLACE INTO sidecars (path, image_id, tags, refused, entries, written)"
        if listed := [as_stored(row) for row in rows]:
            self._connection.exec_driver_sql(f"{sql} VALUES (?, ?, ?, ?, ?, ?)", listed)

    def remove(self, paths: Iterable[bytes]) -> None:
        """Forget sidecars in which nothing is ours any more."""
        if listed := [(path,) for path in paths]:
            self._connection.exec_driver_sql("DELETE FROM sidecars WHERE path = ?", listed)
