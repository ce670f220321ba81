"""A vector file, opened to search: FAISS's own format, memory-mapped.

It holds some of the vectors of a model, under ascending ids, and covers all ids between the one after which it begins
and its last one. `faiss.read_index` opens it: an `IndexIDMap` over a float16 scalar-quantised index with inner product.
That is flat (exact), or for many vectors the storage of a graph (HNSW, Malkov and Yashunin 2016), which finds nearly
all of the nearest ones. Its last 16 bytes are a digest of everything before. FAISS notices a file that is too short,
not one that is damaged: the digest is for `verify`, and it identifies the file to the catalog.
"""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from searcher.catalog.rows import VectorFile
from searcher.errors import Damaged
from searcher.vectors.exact import empty_result, merge

DIGEST_BYTES = 16
_FAISS: Any = faiss  # its types lack much of it
_BLOCK = 1 << 22

EF = 512
"""How many candidates a search in a graph keeps. Recall@10 of at least 0.99: see benchmarks/ann.py."""
GRAPH_HITS = 1000
"""For more hits than this the graph is not used: an exact search costs less than so many candidates."""
GRAPH_SHARE = 0.25
"""A graph is used if at least this share of its vectors is allowed: among fewer ones, it misses more."""
FEW = 0.02
"""Up to this share of the vectors is gathered and compared, instead of all of them being looked at."""
_GATHERED = 4096  # vectors gathered at a time


class Part:
    """Vectors of unit length under ids, ready to search. Ids ascend through the file."""

    def __init__(self, file: VectorFile, index: Any, ids: np.ndarray) -> None:
        self.file = file
        self.ids = ids
        self.dim = int(index.d)
        self._index = index  # owns what follows
        inner: Any = faiss.downcast_index(index.index)
        self._graph = inner if isinstance(inner, faiss.IndexHNSW) else None
        self._storage = inner if self._graph is None else faiss.downcast_index(inner.storage)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def kind(self) -> str:
        """ "flat" or "hnsw"."""
        return "flat" if self._graph is None else "hnsw"

    @classmethod
    def open(cls, path: Path, expected: VectorFile, dim: int) -> "Part":
        """Map the file. Its size, header and count must be as `expected`, and a graph must be one that can be walked;
        the vectors are not read. Raises Damaged.
        """
        try:
            if path.stat().st_size != expected.bytes:
                raise Damaged(f"{path.name} has the wrong size")
            index = _mapped(path)
        except (OSError, RuntimeError) as error:
            raise Damaged(f"{path.name} cannot be opened: {str(error).splitlines()[0]}") from error
        if not isinstance(index, faiss.IndexIDMap):
            raise Damaged(f"{path.name} is not the expected kind of FAISS index")
        inner: Any = faiss.downcast_index(index.index)
        storage = faiss.downcast_index(inner.storage) if isinstance(inner, faiss.IndexHNSW) else inner
        whole = isinstance(storage, faiss.IndexScalarQuantizer) and storage.metric_type == faiss.METRIC_INNER_PRODUCT
        ids = faiss.vector_to_array(index.id_map)
        counts = {int(index.ntotal), int(inner.ntotal), int(storage.ntotal), len(ids), expected.vectors}
        if not whole or {index.d, inner.d, storage.d} != {dim} or len(counts) != 1:
            raise Damaged(f"{path.name} was changed after it was written")
        if len(ids) and (ids[-1] != expected.last_id or ids[0] <= expected.after_id):
            raise Damaged(f"{path.name} was changed after it was written")
        if inner is not storage and not _can_be_walked(inner.hnsw, len(ids)):
            raise Damaged(f"{path.name} has a damaged graph")
        return cls(expected, index, ids)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The `k` largest inner products of each query (n, dim), among the ids `allowed` (int64, ascending) if they are
        given.

        Returns scores (n, k) float32, descending, and ids (n, k) int64. If there are fewer hits than `k`, the
        remaining ids are -1.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        rows = None if allowed is None else self._rows(allowed)
        if not len(self) or (rows is not None and not len(rows)):
            return empty_result(len(queries), k)
        share = 1.0 if rows is None else len(rows) / len(self)
        if rows is not None and share <= FEW:
            return self._gathered(queries, k, rows)
        parameters, index = None, self._storage
        if self._graph is not None and k <= GRAPH_HITS and share >= GRAPH_SHARE:
            index = self._graph
            parameters = _FAISS.SearchParametersHNSW(efSearch=max(EF, 2 * k))
        elif rows is not None:
            parameters = faiss.SearchParameters()
        if rows is not None and parameters is not None:
            chosen = np.zeros(len(self), bool)
            chosen[rows] = True
            bits = np.packbits(chosen, bitorder="little")
            parameters.sel = _FAISS.IDSelectorBitmap(bits)
        scores, found = index.search(queries, k, params=parameters)
        return scores, np.where(found < 0, -1, self.ids[found])

    def _rows(self, allowed: np.ndarray) -> np.ndarray:
        """Which rows of the file have one of these ids."""
        first, last = np.searchsorted(allowed, [self.ids[0], self.ids[-1] + 1]) if len(self) else (0, 0)
        some = allowed[first:last]
        rows = np.searchsorted(self.ids, some)
        found: np.ndarray = rows[self.ids[rows] == some]
        return found

    def _gathered(self, queries: np.ndarray, k: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        best = empty_result(len(queries), k)
        for start in range(0, len(rows), _GATHERED):
            some = rows[start : start + _GATHERED]
            scores = queries @ self._storage.reconstruct_batch(some).T
            best = merge([best, (scores, np.broadcast_to(self.ids[some], scores.shape))], k)
        return best


def _mapped(path: Path) -> faiss.Index:
    try:
        name = os.fspath(path).encode().decode()
    except UnicodeEncodeError:  # FAISS takes no path that is not UTF-8, so it gets the open file
        with path.open("rb") as file:
            return faiss.read_index(f"/dev/fd/{file.fileno()}", faiss.IO_FLAG_MMAP_IFC)
    return faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC)


def _can_be_walked(graph: Any, count: int) -> bool:
    """Whether every link leads to a node. FAISS follows links unseen, so a damaged one would end the process."""
    levels, offsets = faiss.vector_to_array(graph.levels), faiss.vector_to_array(graph.offsets)
    width = faiss.vector_to_array(graph.cum_nneighbor_per_level)
    if len(levels) != count or len(offsets) != count + 1 or not 0 <= graph.entry_point < count:
        return False
    if levels.min() < 1 or levels.max() >= len(width) or graph.max_level >= levels.max():
        return False
    if offsets[0] != 0 or not np.array_equal(np.diff(offsets), width[levels]):
        return False
    links = faiss.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size())
    return bool(offsets[-1] == len(links) and links.max() < count and links.min() >= -1)


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
