"""Roots and the files in them: what a run compares with the disk."""

from searcher.catalog.read.queries import IN_LIST, Queries, in_list, root
from searcher.catalog.rows import ImageAt, IndexedPhoto, KnownFile, Root, StoredFile, after_prefix


class Files(Queries):
    """Roots, images and contents."""

    def root_paths(self) -> dict[int, bytes]:
        """root id → path of the folder."""
        return {root.id: root.path for root in self.roots()}

    def roots(self) -> list[Root]:
        """All indexed folders, by path."""
        return self._roots()

    def mounts(self, root_id: int) -> set[bytes]:
        """The folders below a root where another disk was mounted when it was last scanned."""
        return {row[0] for row in self._rows("SELECT relpath FROM mounts WHERE root_id = ?", root_id)}

    def known(self, root_id: int, prefix: bytes = b"") -> dict[bytes, KnownFile]:
        """Every file below `prefix` (b"" or ending in "/") in a root: relative path → what is known about it."""
        sql = "SELECT relpath, size, mtime_ns, error IS NOT NULL FROM images WHERE root_id = ?"
        parameters: list[object] = [root_id]
        if prefix:
            sql += " AND relpath >= ? AND relpath < ?"
            parameters += [prefix, after_prefix(prefix)]
        rows = self._connection.execute(sql, parameters)  # not all in memory at once, which costs much time
        return {relpath: KnownFile(size, mtime_ns, failed == 1) for relpath, size, mtime_ns, failed in rows}

    def sample(self, root_id: int, count: int) -> list[tuple[bytes, int, int]]:
        """(relative path, size, mtime_ns) of up to `count` files of a root."""
        sql = "SELECT relpath, size, mtime_ns FROM images WHERE root_id = ? ORDER BY id LIMIT ?"
        return self._rows(sql, root_id, count)

    def sample_contents(self, root_id: int, count: int) -> list[tuple[bytes, bytes]]:
        """(relative path, digest) of up to `count` photos from all over a root."""
        ids = self._rows("SELECT id FROM images WHERE root_id = ? AND content_id IS NOT NULL ORDER BY id", root_id)
        step = max(1, len(ids) // count)
        sql = (
            "SELECT i.relpath, c.digest FROM images i JOIN contents c ON c.id = i.content_id "
            f"WHERE i.id IN {IN_LIST} ORDER BY i.id"
        )
        return self._rows(sql, in_list(row[0] for row in ids[::step][:count]))

    def photos_after(self, image_id: int, limit: int) -> list[IndexedPhoto]:
        """Up to `limit` photos with ids greater than `image_id`, ascending."""
        sql = (
            "SELECT i.id, r.path, i.relpath, i.size, i.mtime_ns, c.digest FROM images i "
            "JOIN roots r ON r.id = i.root_id JOIN contents c ON c.id = i.content_id "
            "WHERE i.id > ? ORDER BY i.id LIMIT ?"
        )
        return [IndexedPhoto(*row) for row in self._rows(sql, image_id, limit)]

    def holds(self, root_id: int, relpath: bytes) -> bool:
        """Whether a file at this place is known, be it a failed one."""
        return self._row("SELECT 1 FROM images WHERE root_id = ? AND relpath = ?", root_id, relpath) is not None

    def image_at(self, root_id: int, relpath: bytes) -> ImageAt | None:
        """The image at a place, None if there is none."""
        sql = "SELECT id, root_id, relpath, content_id FROM images WHERE root_id = ? AND relpath = ?"
        row = self._row(sql, root_id, relpath)
        return None if row is None else ImageAt(*row)

    def newest_id(self) -> int:
        """The largest id that any image was ever given, 0 if there was none."""
        row = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'images'")
        return 0 if row is None else int(row[0])

    def images_of(self, content_id: int, limit: int, after: int = 0) -> list[ImageAt]:
        """Up to `limit` images with this content and an id greater than `after`, oldest first."""
        sql = "SELECT id, root_id, relpath, content_id FROM images WHERE content_id = ? AND id > ? ORDER BY id LIMIT ?"
        return [ImageAt(*row) for row in self._rows(sql, content_id, after, limit)]

    def content_digest(self, root_id: int, relpath: bytes) -> bytes | None:
        """The digest of what the file at a place held when it was last read."""
        sql = (
            "SELECT c.digest FROM images i JOIN contents c ON c.id = i.content_id WHERE i.root_id = ? AND i.relpath = ?"
        )
        row = self._row(sql, root_id, relpath)
        return None if row is None else row[0]

    def stored(self, root_id: int, relpath: bytes, model_id: int) -> StoredFile | None:
        """What is known about the file at a place, and whether a model has embedded it. None if it is not known."""
        sql = (
            "SELECT c.digest, e.id IS NOT NULL, i.mtime_ns, i.error FROM images i "
            "LEFT JOIN contents c ON c.id = i.content_id "
            "LEFT JOIN embeddings e ON e.content_id = c.id AND e.model_id = ? WHERE i.root_id = ? AND i.relpath = ?"
        )
        row = self._row(sql, model_id, root_id, relpath)
        return None if row is None else StoredFile(row[0], bool(row[1]), *row[2:])

    def content_id(self, digest: bytes) -> int | None:
        """The id of a content, None if it is not known."""
        row = self._row("SELECT id FROM contents WHERE digest = ?", digest)
        return None if row is None else int(row[0])

    def failures(self) -> list[tuple[Root, bytes, str]]:
        """(root, relative path, reason) of every file that could not be indexed, by path."""
        sql = (
            "SELECT r.id, r.path, r.whole, r.options, i.relpath, i.error "
            "FROM images i JOIN roots r ON r.id = i.root_id WHERE i.error IS NOT NULL ORDER BY r.path, i.relpath"
        )
        return [(root(row[:4]), *row[4:]) for row in self._rows(sql)]

    def image_count(self) -> int:
        """How many images can be found. Each copy of a photo counts."""
        return self._number("SELECT count(*) FROM images WHERE content_id IS NOT NULL")

    def counts_by_root(self) -> dict[int, tuple[int, int]]:
        """root id → (images that can be found, files that failed). A root without files is left out."""
        # each from an index alone
        files = self._rows("SELECT root_id, count(*) FROM images GROUP BY root_id")
        failed = dict(self._rows("SELECT root_id, count(*) FROM images WHERE error IS NOT NULL GROUP BY root_id"))
        return {root_id: (count - failed.get(root_id, 0), failed.get(root_id, 0)) for root_id, count in files}
