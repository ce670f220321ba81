"""The vector index: one FAISS file per model. It is derived from the catalog and memory-mapped for searching.

The file is a normal FAISS file that `faiss.read_index` can open: an `IndexIDMap` over a flat index with float16
scalar quantisation and the inner product as its metric. The last 16 bytes are a digest of all bytes before them.
FAISS detects a file that is too short, but not a damaged one. `verify` uses the digest to detect damage, and the
catalog uses it to identify the file.

The stored codes of a float16 flat index are the float16 vectors themselves. This makes it possible to write a file
of any size as a stream: first FAISS's header, then the vectors, then their ids. A test compares the result with
what FAISS writes.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np

from searcher.errors import SearcherError

DIGEST_BYTES = 16
_BLOCK = 1 << 22


class VectorFile(NamedTuple):
    """The properties of a written file: its digest, largest id, number of vectors, and size in bytes."""

    digest: bytes
    last_id: int
    vectors: int
    bytes: int


class VectorIndexError(SearcherError):
    """The file is missing, is not an index, or is incomplete."""


class VectorIndex:
    """Unit vectors with ids, ready to be searched. The ids in the file are in ascending order."""

    def __init__(self, index: faiss.IndexIDMap, ids: np.ndarray) -> None:
        self._index = index
        self.ids = ids
        self.dim = int(index.d)
        self.last_id = int(ids[-1]) if len(ids) else 0

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def open(cls, path: Path, expected: VectorFile, dim: int) -> "VectorIndex":
        """Memory-map the file.

        Only the size, the header and the ids are checked; the vectors are not read. Raises VectorIndexError if the
        file cannot be opened, or if these do not match `expected` and `dim`.
        """
        try:
            if path.stat().st_size != expected.bytes:
                raise VectorIndexError(f"{path.name} does not have the size it was written with")
            index = faiss.read_index(os.fspath(path), faiss.IO_FLAG_MMAP_IFC)
        except (OSError, RuntimeError) as error:
            raise VectorIndexError(f"{path.name} cannot be opened: {str(error).splitlines()[0]}") from error
        if not isinstance(index, faiss.IndexIDMap):
            raise VectorIndexError(f"{path.name} is not the expected kind of FAISS index")
        inner = faiss.downcast_index(index.index)
        whole = isinstance(inner, faiss.IndexScalarQuantizer) and inner.metric_type == faiss.METRIC_INNER_PRODUCT
        ids = faiss.vector_to_array(index.id_map)
        counts = {int(index.ntotal), int(inner.ntotal), len(ids), expected.vectors}
        if not whole or index.d != dim or len(counts) != 1 or (len(ids) and ids[-1] != expected.last_id):
            raise VectorIndexError(f"{path.name} does not contain what was written to it")
        return cls(index, ids)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Find the vectors with the `k` largest inner products for each query (n, dim).

        `allowed`: if given, only these ids (int64) are searched. Returns scores (n, k) float32 in descending order
        and ids (n, k) int64. If there are fewer than `k` hits, the remaining ids are -1.
        """
        parameters = None
        if allowed is not None:
            parameters = faiss.SearchParameters()
            parameters.sel = faiss.IDSelectorBatch(np.ascontiguousarray(allowed, np.int64))
        scores, ids = self._index.search(np.ascontiguousarray(queries, np.float32), k, params=parameters)
        return scores, ids


def read_digest(path: Path) -> bytes | None:
    """Return the digest in the last 16 bytes of the file, or None if the file is missing or too short."""
    try:
        with path.open("rb") as file:
            file.seek(-DIGEST_BYTES, os.SEEK_END)
            return file.read(DIGEST_BYTES)
    except OSError:
        return None


def verify(path: Path) -> bool:
    """Return whether every byte is as it was written. This reads the whole file."""
    digest, carried = blake2b(digest_size=DIGEST_BYTES), read_digest(path)
    if carried is None:
        return False
    left = path.stat().st_size - DIGEST_BYTES
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
    return digest.digest() == carried


def write(path: Path, count: int, dim: int, chunks: Iterable[tuple[np.ndarray, np.ndarray]]) -> VectorFile:
    """Write `count` vectors to a new file and flush it to disk.

    `chunks`: pairs of ids (n,) int64 and vectors (n, dim) float16. The ids ascend through all chunks. The caller
    first adds the file to the catalog and then moves it to its final path with `os.replace`.

    Raises OSError if the file cannot be written, for example because the disk is full. After an error no file is
    left behind.
    """
    before_codes, before_ids = _header(count, dim)
    digest = blake2b(digest_size=DIGEST_BYTES)
    all_ids = np.empty(count, np.int64)
    done = 0
    try:
        with path.open("wb") as file:

            def put(data: bytes) -> None:
                digest.update(data)
                file.write(data)

            put(before_codes)
            for ids, vectors in chunks:
                all_ids[done : done + len(ids)] = ids
                done += len(ids)
                put(np.ascontiguousarray(vectors, np.float16).tobytes())
            if done != count:
                raise ValueError(f"expected {count} vectors, got {done}")
            put(before_ids)
            put(all_ids.tobytes())
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return VectorFile(digest.digest(), int(all_ids[-1]) if count else 0, count, size)


def _header(count: int, dim: int) -> tuple[bytes, bytes]:
    """Return the bytes that FAISS writes before the codes, and those between the codes and the ids."""
    empty = faiss.IndexIDMap(faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT))
    head = bytearray(faiss.serialize_index(empty).tobytes())
    # The outer and the inner index each start with fourcc(4) d(4) ntotal(8).
    # The last 16 bytes are the lengths of the codes and of the ids.
    inner = head.index(b"IxSQ")
    for offset in (0, inner):
        struct.pack_into("<q", head, offset + 8, count)
    struct.pack_into("<q", head, len(head) - 16, count * dim * 2)
    return bytes(head[:-8]), struct.pack("<q", count)


def top_of(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]],
    queries: np.ndarray,
    k: int,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Search chunks of (ids, vectors) that are not in a file yet.

    `queries`, `k`, `allowed` and the result are as in `VectorIndex.search`. The search is exact.
    """
    best = empty_result(len(queries), k)
    for ids, vectors in chunks:
        if allowed is not None:
            keep = np.isin(ids, allowed)
            ids, vectors = ids[keep], vectors[keep]
        scores = queries.astype(np.float32) @ vectors.astype(np.float32).T
        best = merge([best, (scores, np.broadcast_to(ids, scores.shape))], k)
    return best


def empty_result(queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a result without hits: scores (queries, k) of minus infinity and ids (queries, k) of -1."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), -1, np.int64)


def merge(results: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best `k` hits of several results for each query, by descending score, then by ascending id."""
    scores = np.concatenate([result[0] for result in results], axis=1)
    ids = np.concatenate([result[1] for result in results], axis=1)
    # FAISS gives id -1 the score of minus the largest float. Minus infinity makes sure that it is sorted last.
    scores = np.where(ids < 0, -np.inf, scores)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
