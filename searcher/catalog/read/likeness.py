"""What the photos of a library look like: everything that the search for duplicates needs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from searcher.catalog.filtering import compile_parts
from searcher.catalog.folders import Part
from searcher.catalog.read.queries import IN_LIST, PHOTO, Queries, in_list
from searcher.catalog.rows import Photo


class Look(NamedTuple):
    """A content: its id, and what it looks like (see `photos.likeness`). `copies`: how many images have it."""

    content_id: int
    phash: int
    taken_at: str | None
    copies: int


class Likenesses(Queries):
    """Contents by what they look like.

    parts: (id, prefix) of the roots, or parts of roots, to look in; None for everything.
    """

    def looks(self, parts: Sequence[Part] | None = None) -> list[Look]:
        """The contents that have been measured, the best first: by pixels, sharpness, bytes, and age in the library."""
        inside, parameters = _inside(parts)
        sql = (
            "SELECT c.id, c.phash, c.taken_at, count(*) FROM contents c JOIN images i ON i.content_id = c.id "
            f"WHERE c.phash IS NOT NULL AND {inside} GROUP BY c.id "
            "ORDER BY c.width * c.height DESC, c.sharpness DESC, max(i.size) DESC, c.id"
        )
        return [Look(*row) for row in self._rows(sql, *parameters)]

    def unmeasured(self, parts: Sequence[Part] | None = None) -> tuple[int, list[int]]:
        """How many contents have not been measured, and the ids of those that several images have."""
        inside, parameters = _inside(parts)
        sql = (
            "SELECT c.id, count(*) FROM contents c JOIN images i ON i.content_id = c.id "
            f"WHERE c.phash IS NULL AND {inside} GROUP BY c.id ORDER BY c.id"
        )
        rows = self._rows(sql, *parameters)
        return len(rows), [content for content, copies in rows if copies > 1]

    def images(self, content_ids: Iterable[int], parts: Sequence[Part] | None = None) -> dict[int, list[Photo]]:
        """content id → its images, oldest first."""
        inside, parameters = _inside(parts)
        sql = (
            f"SELECT {PHOTO} FROM images i JOIN contents c ON c.id = i.content_id JOIN roots r ON r.id = i.root_id "
            f"WHERE i.content_id IN {IN_LIST} AND {inside} ORDER BY i.id"
        )
        found: dict[int, list[Photo]] = {}
        for row in self._rows(sql, in_list(content_ids), *parameters):
            found.setdefault(row[1], []).append(Photo(*row))
        return found


def _inside(parts: Sequence[Part] | None) -> tuple[str, list[object]]:
    """A condition on images `i`, and its parameters."""
    if parts is None:
        return "1", []
    condition, parameters = compile_parts(parts)
    return f"({condition})", parameters
