"""What a person has typed comes back: from a backup, and with a photo that comes back."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from searcher.catalog.rows import USER, LabelExample, TypedTag

_TAKE = (
    f"INSERT INTO tags (image_id, label_id, source, probability, tagged_at) SELECT ?, label_id, '{USER}', probability, "
    "tagged_at FROM waiting_tags WHERE id = ? ON CONFLICT DO NOTHING"
)
# what runs gave to a photo whose label was refused
_REFUSE = (
    "DELETE FROM content_tags WHERE content_id = (SELECT content_id FROM images WHERE id = ?) "
    "AND label_id = (SELECT label_id FROM waiting_tags WHERE id = ? AND probability = 0)"
)
# The path is none that a photo can have, so that another photo at the old path does not get the tag.
_KEEP = (
    "INSERT INTO waiting_tags (digest, path, label_id, probability, tagged_at) "
    "SELECT c.digest, CAST(? || '/' || lower(hex(c.digest)) AS BLOB), t.label_id, t.probability, t.tagged_at "
    f"FROM images i JOIN contents c ON c.id = i.content_id JOIN tags t ON t.image_id = i.id AND t.source = '{USER}' "
    "WHERE i.root_id = ? AND i.relpath = ? "
    "AND NOT EXISTS (SELECT 1 FROM images o WHERE o.content_id = i.content_id AND o.id <> i.id) "
    "ON CONFLICT DO UPDATE SET probability = excluded.probability, tagged_at = excluded.tagged_at"
)


class BackupChanges:
    """Tags that wait for their photos, and examples."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_waiting(self, tags: Iterable[TypedTag], label_ids: Mapping[str, int]) -> None:
        """Keep tags until their photos are in the library."""
        rows = [(tag.digest, tag.path, label_ids[tag.label], tag.probability, tag.tagged_at) for tag in tags]
        if rows:
            self._connection.exec_driver_sql(
                "INSERT INTO waiting_tags (digest, path, label_id, probability, tagged_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                rows,
            )

    def keep_tags(self, root_id: int, root: bytes, relpath: bytes) -> None:
        """Keep the tags of an image that will be removed or get another content, until a photo with its content comes.

        It may have been moved to where the run had looked before, or come back from a trash or a backup.
        """
        path = root.rstrip(b"/") + b"/" + relpath
        self._connection.exec_driver_sql(_KEEP, (path, root_id, relpath))

    def bind_waiting(self) -> int:
        """Give the tags that wait to their photos. Returns how many found one.

        A photo is found by its content, with all of its copies, and if nothing has that content, by its path. A tag
        that the photo has already stays.
        """
        found = self._by_content() + self._by_path()
        if found:
            self._connection.exec_driver_sql(_TAKE, found)
            self._connection.exec_driver_sql(_REFUSE, found)
            self._connection.exec_driver_sql("DELETE FROM waiting_tags WHERE id = ?", [(tag,) for _, tag in found])
        return len({tag for _, tag in found})

    def _by_content(self) -> list[tuple[int, int]]:
        """(image id, id of the tag)."""
        sql = (
            "SELECT i.id, w.id FROM waiting_tags w JOIN contents c ON c.digest = w.digest "
            "JOIN images i ON i.content_id = c.id ORDER BY w.id, i.id"
        )
        return [(row[0], row[1]) for row in self._connection.exec_driver_sql(sql)]

    def _by_path(self) -> list[tuple[int, int]]:
        """(image id, id of the tag), of tags whose content is not in the library."""
        roots = [
            (id, path.rstrip(b"/") + b"/")
            for id, path in self._connection.exec_driver_sql("SELECT id, path FROM roots")
        ]
        rows = self._connection.exec_driver_sql(
            "SELECT w.id, w.path FROM waiting_tags w WHERE NOT EXISTS (SELECT 1 FROM contents WHERE digest = w.digest)"
        ).fetchall()
        sql = "SELECT id FROM images WHERE root_id = ? AND relpath = ? AND content_id IS NOT NULL"
        found: list[tuple[int, int]] = []
        for tag, path in rows:
            for root_id, start in roots:
                if path.startswith(start):
                    row = self._connection.exec_driver_sql(sql, (root_id, path[len(start) :])).one_or_none()
                    found += [] if row is None else [(row[0], tag)]
        return found

    def add_examples(self, examples: Iterable[LabelExample], label_ids: Mapping[str, int]) -> None:
        """Add photos that labels were taught with. One that a label has already stays as it is."""
        rows = [(label_ids[row.label], row.digest, row.positive, row.picture) for row in examples]
        if rows:
            self._connection.exec_driver_sql("INSERT INTO examples VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
