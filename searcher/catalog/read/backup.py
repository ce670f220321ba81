"""What a person has typed: what a backup holds."""

from searcher.catalog.read.queries import Queries
from searcher.catalog.rows import USER, LabelExample, TypedTag


class Backup(Queries):
    """Tags by hand, with the photos they belong to, and taught labels."""

    def typed_tags(self) -> list[TypedTag]:
        """Every tag that a person gave or refused, by path; those that wait for their photos are last."""
        sql = (
            "SELECT r.path, i.relpath, c.digest, l.name, t.probability, t.tagged_at FROM tags t "
            "JOIN labels l ON l.id = t.label_id JOIN images i ON i.id = t.image_id JOIN roots r ON r.id = i.root_id "
            f"LEFT JOIN contents c ON c.id = i.content_id WHERE t.source = '{USER}' ORDER BY r.path, i.relpath, l.name"
        )
        tags = [
            TypedTag(root.rstrip(b"/") + b"/" + relpath, digest or b"", *rest)
            for root, relpath, digest, *rest in self._rows(sql)
        ]
        waiting = (
            "SELECT w.path, w.digest, l.name, w.probability, w.tagged_at FROM waiting_tags w "
            "JOIN labels l ON l.id = w.label_id ORDER BY w.path, l.name"
        )
        return tags + [TypedTag(*row) for row in self._rows(waiting)]

    def waiting(self) -> int:
        """How many tags wait for their photos."""
        return self._number("SELECT count(*) FROM waiting_tags")

    def examples(self) -> list[LabelExample]:
        """Every photo that a label was taught with, by label."""
        sql = (
            "SELECT l.name, e.digest, e.positive, e.picture FROM examples e JOIN labels l ON l.id = e.label_id "
            "ORDER BY l.name, e.digest"
        )
        return [LabelExample(row[0], row[1], bool(row[2]), row[3]) for row in self._rows(sql)]
