"""Find what a model has not embedded yet. Used while a library switches to another model."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from searcher.catalog.reader import Reader

CHUNK = 1000  # contents per query

# contents c that have at least one image but no embedding by a given model
_LACKING = (
    "contents c WHERE NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.content_id = c.id AND e.model_id = ?) "
    "AND EXISTS (SELECT 1 FROM images i WHERE i.content_id = c.id)"
)


class Lacking(NamedTuple):
    """A content that a model has not embedded yet. `places`: (root, relative path) of each of its files."""

    content_id: int
    digest: bytes
    places: tuple[tuple[bytes, bytes], ...]


def lacking_count(reader: Reader, model_id: int) -> int:
    """Return how many contents a model has not embedded yet."""
    return reader._number(f"SELECT count(*) FROM {_LACKING}", model_id)


def lacking(reader: Reader, model_id: int) -> Iterator[Lacking]:
    """Yield the contents that a model has not embedded yet, by ascending id.

    They are read in chunks, so the catalog may change in the meantime.
    """
    after = 0
    while True:
        sql = f"SELECT c.id, c.digest FROM {_LACKING} AND c.id > ? ORDER BY c.id LIMIT ?"
        digests: dict[int, bytes] = dict(reader._rows(sql, model_id, after, CHUNK))
        places: dict[int, list[tuple[bytes, bytes]]] = {content_id: [] for content_id in digests}
        rows = reader._rows(
            "SELECT i.content_id, r.path, i.relpath FROM images i JOIN roots r ON r.id = i.root_id "
            "WHERE i.content_id IN (SELECT value FROM json_each(?)) ORDER BY i.id",
            json.dumps(list(digests)),
        )
        for content_id, root, relpath in rows:
            places[content_id].append((root, relpath))
        for content_id, digest in digests.items():
            if places[content_id]:  # otherwise its images have just been removed
                yield Lacking(content_id, digest, tuple(places[content_id]))
            after = content_id
        if len(digests) < CHUNK:
            return
