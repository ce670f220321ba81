"""Changes of what photos and their sidecars say.

A content has the columns that filters and lists use. They come from what the file itself says (`contents.embedded`),
but what a sidecar says takes precedence. A content can have several images, each with a sidecar: that of the oldest
image counts. The keywords of an image become its tags: those of its own sidecar, or else those in the file.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from searcher.catalog.read.queries import IN_LIST, in_list
from searcher.catalog.rows import FILE, SidecarFile
from searcher.catalog.write.labels import Labels
from searcher.photos.likeness import Likeness
from searcher.photos.metadata import NOTHING, Metadata

_COLUMNS = ("taken_at", "taken_offset", "camera", "lens", "latitude", "longitude", "rating", "description")
_NOW = "strftime('%Y-%m-%dT%H:%M:%SZ')"


class MetadataChanges:
    """Metadata of contents, sidecars of images, and the tags that follow from both."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._labels = Labels(connection)

    def _execute(self, sql: str, *parameters: object) -> Any:
        return self._connection.exec_driver_sql(sql, parameters)

    def set_content(self, content_id: int, metadata: Metadata, likeness: Likeness | None) -> None:
        """What the file of a content says, and what it looks like. Call `derive` and `retag` afterwards."""
        phash, sharpness = likeness or (None, None)
        sql = "UPDATE contents SET embedded = ?, phash = ?, sharpness = ? WHERE id = ?"
        self._execute(sql, metadata.as_json(), phash, sharpness, content_id)

    def set_sidecar(self, image_id: int, file: SidecarFile, metadata: Metadata) -> None:
        """What the sidecar of an image says. Call `derive` and `retag` afterwards."""
        sql = "INSERT OR REPLACE INTO read_sidecars (image_id, name, size, mtime_ns, metadata) VALUES (?, ?, ?, ?, ?)"
        self._execute(sql, image_id, *file, metadata.as_json())

    def remove_sidecar(self, image_id: int) -> None:
        """An image has no sidecar any more. Call `derive` and `retag` afterwards."""
        self._execute("DELETE FROM read_sidecars WHERE image_id = ?", image_id)

    def derive(self, content_ids: Iterable[int]) -> None:
        """Bring the columns of contents up to date."""
        known = self._execute(
            "SELECT c.id, c.embedded, i.id, s.metadata FROM contents c "
            "LEFT JOIN images i ON i.id = (SELECT min(s.image_id) FROM read_sidecars s "
            "JOIN images n ON n.id = s.image_id WHERE n.content_id = c.id) "
            f"LEFT JOIN read_sidecars s ON s.image_id = i.id WHERE c.embedded IS NOT NULL AND c.id IN {IN_LIST}",
            in_list(content_ids),
        ).fetchall()
        sets = ", ".join(f"{column} = ?" for column in _COLUMNS)
        for content_id, embedded, image_id, sidecar in known:
            found = (Metadata.from_json(sidecar) if sidecar else NOTHING).over(Metadata.from_json(embedded)).as_dict()
            values = [found.get(column) for column in _COLUMNS]
            self._execute(f"UPDATE contents SET {sets}, sidecar_image = ? WHERE id = ?", *values, image_id, content_id)

    def settle(self) -> None:
        """Bring contents up to date whose sidecar is gone with its image, or belongs to another content now."""
        rows = self._execute(
            "SELECT c.id FROM contents c WHERE c.sidecar_image IS NOT NULL AND NOT EXISTS (SELECT 1 FROM images i "
            "JOIN read_sidecars s ON s.image_id = i.id WHERE i.id = c.sidecar_image AND i.content_id = c.id)"
        ).fetchall()
        if rows:
            self.derive(row[0] for row in rows)

    def retag(self, image_ids: Iterable[int]) -> None:
        """Give images the keywords of their files as tags, and take back those that are not there any more."""
        wanted = in_list(image_ids)
        rows = self._execute(
            "SELECT i.id, c.embedded, s.metadata FROM images i JOIN contents c ON c.id = i.content_id "
            f"LEFT JOIN read_sidecars s ON s.image_id = i.id WHERE i.id IN {IN_LIST}",
            wanted,
        ).fetchall()
        tags: set[tuple[int, int]] = set()
        for image_id, embedded, sidecar in rows:
            sources = [Metadata.from_json(text) for text in (sidecar, embedded) if text and '"keywords"' in text]
            if sources:
                tags.update((image_id, label_id) for label_id in self._labels.of_keywords(sources[0].keywords))
        sql = f"SELECT image_id, label_id FROM tags WHERE source = ? AND image_id IN {IN_LIST}"
        old = {tuple(row) for row in self._execute(sql, FILE, wanted)}
        for pair in old - tags:
            self._execute("DELETE FROM tags WHERE image_id = ? AND label_id = ? AND source = ?", *pair, FILE)
        sql = f"INSERT INTO tags (image_id, label_id, source, tagged_at) VALUES (?, ?, ?, {_NOW})"
        for pair in sorted(tags - old):
            self._execute(sql, *pair, FILE)
