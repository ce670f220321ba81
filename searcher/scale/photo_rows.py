"""A row of a shard as the catalog takes it in. What is not valid in a row is left out, whoever wrote the shard."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from searcher.catalog.rows import UNREAD
from searcher.photos import metadata
from searcher.photos.decode import PhotoFacts
from searcher.photos.likeness import Likeness
from searcher.photos.metadata import MAX_OFFSET, Metadata
from searcher.scale.shards import keyword_of
from searcher.vectors.pipeline import Embedded, storable

NORM_TOLERANCE = 0.01  # an encoder's vectors are of unit length up to rounding
DIGEST_DIGITS = 32
COLUMNS = (
    *("path", "path_bytes", "size", "mtime_ns", "digest", "error", "embedding", "width", "height", "format"),
    *("taken_at", "taken_offset", "camera", "lens", "latitude", "longitude", "rating", "description", "keywords"),
    *("phash", "sharpness"),
)
THUMBNAIL = "thumbnail"
INCOMPLETE = "its row in the Parquet file is incomplete or damaged"


class PhotoRow(NamedTuple):
    """One photo of a shard: its path or URI, its size in bytes and modification time (UNREAD: unknown), a WebP file,
    and what was read, under the key None.
    """

    path: bytes
    size: int
    mtime_ns: int
    thumbnail: bytes | None
    read: Embedded[None]


def photo_rows(batch: pa.RecordBatch, dim: int) -> Iterator[PhotoRow]:
    """The photos of a batch with the columns COLUMNS, and THUMBNAIL or not. dim: the length of an embedding.

    Raises ValueError for text that is not UTF-8.
    """
    names = [name for name in batch.schema.names if name != "embedding"]
    columns = [batch.column(name).to_pylist() for name in names]
    vectors = _vectors(batch.column("embedding"), dim)
    good = np.abs(np.linalg.norm(vectors, axis=1) - 1) <= NORM_TOLERANCE  # written so that NaN is bad
    for number, values in enumerate(zip(*columns, strict=True)):
        row = dict(zip(names, values, strict=True))
        yield PhotoRow(
            path=row["path_bytes"] or (row["path"] or "").encode(),
            size=UNREAD if row["size"] is None else row["size"],
            mtime_ns=UNREAD if row["mtime_ns"] is None else row["mtime_ns"],
            thumbnail=row.get(THUMBNAIL),
            read=_read(row, vectors[number] if good[number] else None),
        )


def _vectors(column: pa.Array, dim: int) -> np.ndarray:
    """Embeddings (n, dim) float32, NaN where there is none."""
    vectors = np.full((len(column), dim), np.nan, np.float32)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    vectors[there] = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    return vectors


def _read(row: Mapping[str, Any], vector: np.ndarray | None) -> Embedded[None]:
    if row["error"] is not None:
        return Embedded(None, error=storable(row["error"]))
    digest = _digest(row["digest"])
    width, height, kind = row["width"] or 0, row["height"] or 0, row["format"]
    if vector is None or digest is None or width <= 0 or height <= 0 or not kind:
        return Embedded(None, error=INCOMPLETE)
    likeness = None
    if row["phash"] is not None and row["sharpness"] is not None and math.isfinite(row["sharpness"]):
        likeness = Likeness(row["phash"], row["sharpness"])
    return Embedded(None, digest, PhotoFacts(width, height, kind, _metadata(row)), likeness, vector)


def _digest(text: str | None) -> bytes | None:
    try:
        return bytes.fromhex(text) if text is not None and len(text) == DIGEST_DIGITS else None
    except ValueError:
        return None


def _metadata(row: Mapping[str, Any]) -> Metadata:
    """What the file says, as the readers of files would give it."""
    taken_at = None if row["taken_at"] is None else metadata.moment(row["taken_at"])[0]
    ahead = row["taken_offset"]
    latitude, longitude = metadata.place(row["latitude"], row["longitude"])
    return Metadata(
        taken_at=taken_at,
        taken_offset=ahead if taken_at is not None and ahead is not None and abs(ahead) <= MAX_OFFSET else None,
        camera=None if row["camera"] is None else metadata.camera("", row["camera"]),
        lens=None if row["lens"] is None else metadata.lens(row["lens"]),
        latitude=latitude,
        longitude=longitude,
        rating=None if row["rating"] is None else metadata.rating(row["rating"]),
        description=None if row["description"] is None else metadata.description(row["description"]),
        keywords=metadata.keywords(keyword_of(text) for text in row["keywords"] or () if text is not None),
    )
