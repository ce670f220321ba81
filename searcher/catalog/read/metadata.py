"""What was read from sidecars, and which contents were indexed before their metadata was read."""

from collections.abc import Iterable

from searcher.catalog.read.queries import IN_LIST, Queries, in_list
from searcher.catalog.rows import ContentFiles, SidecarFile, after_prefix


class MetadataReads(Queries):
    """The state of what photos and their sidecars say."""

    def sidecars(self, root_id: int, prefix: bytes = b"") -> dict[bytes, SidecarFile]:
        """The sidecars below `prefix` (b"" or ending in "/") in a root: relative path of the photo → its sidecar."""
        sql = (
            "SELECT i.relpath, s.name, s.size, s.mtime_ns FROM read_sidecars s JOIN images i ON i.id = s.image_id "
            "WHERE i.root_id = ?"
        )
        parameters: list[object] = [root_id]
        if prefix:
            sql += " AND i.relpath >= ? AND i.relpath < ?"
            parameters += [prefix, after_prefix(prefix)]
        return {row[0]: SidecarFile(*row[1:]) for row in self._rows(sql, *parameters)}

    def unread_count(self) -> int:
        """How many contents were indexed before their metadata was read."""
        return self._number("SELECT count(*) FROM contents WHERE embedded IS NULL")

    def unread(self, after: int, limit: int) -> list[ContentFiles]:
        """Up to `limit` of these contents with ids greater than `after`, ascending."""
        sql = "SELECT id, digest FROM contents WHERE embedded IS NULL AND id > ? ORDER BY id LIMIT ?"
        return self._with_files(dict(self._rows(sql, after, limit)))

    def images_of(self, content_ids: Iterable[int]) -> list[int]:
        """The ids of all images with these contents."""
        return [
            row[0] for row in self._rows(f"SELECT id FROM images WHERE content_id IN {IN_LIST}", in_list(content_ids))
        ]
