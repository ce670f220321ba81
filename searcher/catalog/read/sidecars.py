"""What searcher wrote into XMP sidecars."""

import json
from collections.abc import Sequence

from searcher.catalog.read.queries import IN_LIST, Queries, in_list
from searcher.catalog.rows import SidecarRow

_MAX_PARAMETERS = 500  # of one statement


class Sidecars(Queries):
    """Sidecars by their path or their image."""

    def of(self, image_ids: Sequence[int], paths: Sequence[bytes]) -> list[SidecarRow]:
        """The sidecars at these paths, and any others of these images."""
        sql = "SELECT path, image_id, tags, refused, entries, written FROM sidecars WHERE "
        rows = self._rows(f"{sql} image_id IN {IN_LIST}", in_list(image_ids))
        for start in range(0, len(paths), _MAX_PARAMETERS):
            some = paths[start : start + _MAX_PARAMETERS]
            rows += self._rows(f"{sql} path IN ({','.join('?' * len(some))})", *some)
        return [_sidecar(row) for row in dict.fromkeys(rows)]

    def ours(self, content_id: int, path: bytes) -> set[str]:
        """The entries that we wrote into the sidecar at `path`, or into that of any image with this content: sidecars
        are moved and copied together with their photos.
        """
        sql = (
            "SELECT entries FROM sidecars WHERE path = ? UNION ALL SELECT s.entries FROM sidecars s "
            "JOIN images i ON i.id = s.image_id WHERE i.content_id = ?"
        )
        return {entry for row in self._rows(sql, path, content_id) for entry in json.loads(row[0])}


def _sidecar(row: "tuple[bytes, int | None, str, str, str, int]") -> SidecarRow:
    tags, refused = (tuple(tuple(path) for path in json.loads(text)) for text in row[2:4])
    return SidecarRow(row[0], row[1], tags, refused, tuple(json.loads(row[4])), bool(row[5]))
