"""The exact vector file: FAISS's own format, memory-mapped to search.

It is an `IndexIDMap` over a float16 scalar-quantised flat index with inner product, which `faiss.read_index` opens.
Its last 16 bytes are a digest of everything before. FAISS notices a file that is too short, not one that is damaged:
the digest is for `verify`, and it identifies the file to the catalog.

The codes of a float16 flat index are the float16 vectors themselves. So a file of any size is written as a stream:
FAISS's header, the vectors, their ids. A test compares the result with FAISS's own writer.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from searcher.catalog.rows import VectorFile
from searcher.errors import Damaged

DIGEST_BYTES = 16
FEW = 0.01
"""Up to this share of the vectors, times the queries, the allowed ones are compared alone. Above it FAISS looks at all
of them with a bitmap, because copying the allowed ones costs more than passing over the others. Measured by
benchmarks/filter.py.
"""
_BLOCK = 1 << 22
_THREADS = faiss.omp_get_max_threads()
_FEW_ROWS = 8192  # allowed vectors compared at a time


class FlatIndex:
    """Vectors of unit length under ids, ready to search. Ids ascend through the file."""

    def __init__(self, index: faiss.IndexIDMap, ids: np.ndarray) -> None:
        self._index = index
        self._inner: Any = faiss.downcast_index(index.index)
        self.ids = ids
        self.dim = int(index.d)
        self.last_id = int(ids[-1]) if len(ids) else 0

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def open(cls, path: Path, expected: VectorFile, dim: int) -> "FlatIndex":
        """Map the file. Its size, header and count must be as `expected`; the body is not read. Raises Damaged."""
        try:
            if path.stat().st_size != expected.bytes:
                raise Damaged(f"{path.name} has the wrong size")
            index = _mapped(path)
        except (OSError, RuntimeError) as error:
            raise Damaged(f"{path.name} cannot be opened: {str(error).splitlines()[0]}") from error
        if not isinstance(index, faiss.IndexIDMap):
            raise Damaged(f"{path.name} is not the expected kind of FAISS index")
        inner = faiss.downcast_index(index.index)
        whole = isinstance(inner, faiss.IndexScalarQuantizer) and inner.metric_type == faiss.METRIC_INNER_PRODUCT
        ids = faiss.vector_to_array(index.id_map)
        counts = {int(index.ntotal), int(inner.ntotal), len(ids), expected.vectors}
        if not whole or index.d != dim or len(counts) != 1 or (len(ids) and ids[-1] != expected.last_id):
            raise Damaged(f"{path.name} was changed after it was written")
        return cls(index, ids)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The `k` largest inner products of each query (n, dim), among the ids `allowed` (int64) if they are given.

        Returns scores (n, k) float32, descending, and ids (n, k) int64. If there are fewer hits than `k`, the
        remaining ids are -1.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        # FAISS gives each thread some queries: more threads would only wait, and take time from other searches
        faiss.omp_set_num_threads(max(1, min(len(queries), _THREADS)))
        if allowed is None:
            scores, ids = self._index.search(queries, k)
            return scores, ids
        rows = self.rows_of(allowed)
        if not len(rows):
            return empty_result(len(queries), k)
        few = len(rows) <= FEW * len(queries) * len(self)
        return self.search_few(queries, k, rows) if few else self.search_selected(queries, k, rows)

    def search_few(self, queries: np.ndarray, k: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best of the vectors in `rows` (int64), by comparing them alone."""
        results = [empty_result(len(queries), k)]
        codes = faiss.rev_swig_ptr(self._inner.codes.data(), self._inner.codes.size()).reshape(len(self), -1)
        for start in range(0, len(rows), _FEW_ROWS):
            some = rows[start : start + _FEW_ROWS]
            part = faiss.IndexScalarQuantizer(self.dim, self._inner.sq.qtype, faiss.METRIC_INNER_PRODUCT)
            part.add_sa_codes(codes[some])
            scores, found = part.search(queries, min(k, len(some)))
            results.append((scores, _ids_at(self.ids[some], found)))
        return merge(results, k)

    def search_selected(self, queries: np.ndarray, k: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best of the vectors in `rows` (int64), by asking for each vector whether it is one of them."""
        wanted = np.zeros(len(self), bool)
        wanted[rows] = True
        bits: Any = np.packbits(wanted, bitorder="little")
        parameters: Any = faiss.SearchParameters()
        selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg]  # a name, because FAISS only points to it
        parameters.sel = selector
        scores, found = self._inner.search(queries, k, params=parameters)
        return scores, _ids_at(self.ids, found)

    def rows_of(self, allowed: np.ndarray) -> np.ndarray:
        """Where the ids `allowed` are in the file, those that are."""
        rows = np.searchsorted(self.ids, allowed)
        inside = rows < len(self)
        rows, allowed = rows[inside], allowed[inside]
        found: np.ndarray = rows[self.ids[rows] == allowed]
        return found


def _ids_at(ids: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The ids at `rows`. -1 stays -1."""
    found: np.ndarray = np.where(rows < 0, -1, ids[rows])
    return found


def _mapped(path: Path) -> faiss.Index:
    try:
        name = os.fspath(path).encode().decode()
    except UnicodeEncodeError:  # FAISS takes no path that is not UTF-8, so it gets the open file
        with path.open("rb") as file:
            return faiss.read_index(f"/dev/fd/{file.fileno()}", faiss.IO_FLAG_MMAP_IFC)
    return faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC)


def read_digest(path: Path) -> bytes | None:
    """The digest in the last 16 bytes of a file, None if the file is missing or too short."""
    try:
        with path.open("rb") as file:
            file.seek(-DIGEST_BYTES, os.SEEK_END)
            return file.read(DIGEST_BYTES)
    except OSError:  # also: a seek to before the first byte
        return None


def verify(path: Path) -> bool:
    """Whether every byte is as it was written. Reads the whole file."""
    digest, stored = blake2b(digest_size=DIGEST_BYTES), read_digest(path)
    if stored is None:
        return False
    left = path.stat().st_size - DIGEST_BYTES
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
    return digest.digest() == stored


def write(path: Path, count: int, dim: int, chunks: Iterable[tuple[np.ndarray, np.ndarray]]) -> VectorFile:
    """Write `count` vectors to a new file, in chunks of ids (ascending) and vectors (float16).

    The file is on the disk when this returns. The caller renames it after the catalog knows it. Raises OSError, for
    example when the disk is full; then no file is left behind.
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
    """The bytes that FAISS writes before the codes, and between codes and ids, for `count` vectors."""
    empty = faiss.IndexIDMap(faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT))
    head = bytearray(faiss.serialize_index(empty).tobytes())
    # fourcc(4) d(4) ntotal(8) …: the outer index, then the inner one; at the end the lengths of codes and ids
    inner = head.index(b"IxSQ")
    for offset in (0, inner):
        struct.pack_into("<q", head, offset + 8, count)
    struct.pack_into("<q", head, len(head) - 16, count * dim * 2)
    return bytes(head[:-8]), struct.pack("<q", count)


def exact_search(
    ids: np.ndarray, vectors: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What `FlatIndex.search` returns, for vectors (n, dim) float16 in memory. Memory is bounded."""
    best = empty_result(len(queries), k)
    for start in range(0, len(ids), _ROWS):
        rows, some = ids[start : start + _ROWS], vectors[start : start + _ROWS]
        if allowed is not None:
            keep = np.isin(rows, allowed)
            rows, some = rows[keep], some[keep]
        scores = queries.astype(np.float32) @ some.astype(np.float32).T
        best = merge([best, (scores, np.broadcast_to(rows, scores.shape))], k)
    return best


_ROWS = 4096  # vectors compared at a time


def empty_result(queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """No hits: scores (queries, k) of minus infinity, ids -1."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), -1, np.int64)


def merge(results: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` of several results, per query: descending by score, then ascending by id."""
    scores = np.concatenate([result[0] for result in results], axis=1)
    ids = np.concatenate([result[1] for result in results], axis=1)
    # FAISS gives -1 a score of minus the largest float: nothing may sort behind a missing hit
    scores = np.where(ids < 0, -np.inf, scores)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
