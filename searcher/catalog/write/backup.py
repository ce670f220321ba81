"""What a person has typed comes back from a backup."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from searcher.catalog.rows import USER, LabelExample, TypedTag

_TAKE = (
    f"INSERT INTO tags (image_id, label_id, source, probability, tagged_at) SELECT ?, label_id, '{USER}', probability, "
    "tagged_at FROM waiting_tags WHERE id = ? ON CONFLICT DO NOTHING"
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

    def bind_waiting(self) -> int:
        """Give the tags that wait to their photos. Returns how many found one.

        A photo is found by its content, the one at the old path first, and if nothing has that content, by its path. A
        tag that the photo has already stays.
        """
        found = self._by_content()
        found |= {tag: image for tag, image in self._by_path().items() if tag not in found}
        if found:
            self._connection.exec_driver_sql(_TAKE, [(image, tag) for tag, image in found.items()])
            self._connection.exec_driver_sql("DELETE FROM waiting_tags WHERE id = ?", [(tag,) for tag in found])
        return len(found)

    def _by_content(self) -> dict[int, int]:
        rows = self._connection.exec_driver_sql(
            "SELECT w.id, w.path, i.id, r.path, i.relpath FROM waiting_tags w JOIN contents c ON c.digest = w.digest "
            "JOIN images i ON i.content_id = c.id JOIN roots r ON r.id = i.root_id ORDER BY i.id"
        )
        found: dict[int, int] = {}
        for tag, path, image, root, relpath in rows:
            if path == root.rstrip(b"/") + b"/" + relpath:
                found[tag] = image
            else:
                found.setdefault(tag, image)
        return found

    def _by_path(self) -> dict[int, int]:
        roots = [
            (id, path.rstrip(b"/") + b"/")
            for id, path in self._connection.exec_driver_sql("SELECT id, path FROM roots")
        ]
        rows = self._connection.exec_driver_sql(
            "SELECT w.id, w.path FROM waiting_tags w WHERE NOT EXISTS (SELECT 1 FROM contents WHERE digest = w.digest)"
        ).fetchall()
        sql = "SELECT id FROM images WHERE root_id = ? AND relpath = ? AND content_id IS NOT NULL"
        found: dict[int, int] = {}
        for tag, path in rows:
            for root_id, start in roots:
                if path.startswith(start):
                    row = self._connection.exec_driver_sql(sql, (root_id, path[len(start) :])).one_or_none()
                    found |= {} if row is None else {tag: row[0]}
        return found

    def add_examples(self, examples: Iterable[LabelExample], label_ids: Mapping[str, int]) -> None:
        """Add photos that labels were taught with. One that a label has already stays as it is."""
        rows = [(label_ids[row.label], row.digest, row.positive, row.picture) for row in examples]
        if rows:
            self._connection.exec_driver_sql("INSERT INTO examples VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
