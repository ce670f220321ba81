"""What a model has still to embed: the questions of a library that is given another model."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from searcher.catalog.reader import Reader

CHUNK = 1000  # contents read at a time

# contents c that have an image and no embedding of a model
_LACKING = (
    "contents c WHERE NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.content_id = c.id AND e.model_id = ?) "
    "AND EXISTS (SELECT 1 FROM images i WHERE i.content_id = c.id)"
)


class Lacking(NamedTuple):
    """A content that a model has not embedded yet, and where its files are: (root, relative path) each."""

    content_id: int
    digest: bytes
    places: tuple[tuple[bytes, bytes], ...]


def lacking_count(reader: Reader, model_id: int) -> int:
    """How many contents a model has still to embed."""
    return reader._number(f"SELECT count(*) FROM {_LACKING}", model_id)


def lacking(reader: Reader, model_id: int) -> Iterator[Lacking]:
    """The contents that a model has still to embed, by id; read in chunks, so that none of it need stay as it is."""
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
            if places[content_id]:  # else its images were removed just now
                yield Lacking(content_id, digest, tuple(places[content_id]))
            after = content_id
        if len(digests) < CHUNK:
            return
