"""A vector file, opened to search: FAISS's own format, memory-mapped.

It holds some of the vectors of a model, under ascending ids, and covers all ids between the one after which it begins
and its last one. `faiss.read_index` opens it: an `IndexIDMap` over a float16 scalar-quantised index with inner product.
That is flat (exact), or for many vectors the storage of a graph (HNSW, Malkov and Yashunin 2016), which finds nearly
all of the nearest ones. After the index are the id after which the file begins, and a digest of everything before.
FAISS notices a file that is too short, not one that is damaged: the digest is for `verify`, and it identifies the file
to the catalog.
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
THREADS = faiss.omp_get_max_threads()

EF = 1280
"""How many candidates a search in a graph keeps at least. Recall@10 is 0.99 or more: see benchmarks/ann.py."""
VECTORS_EACH = 512
"""It keeps one candidate for so many vectors, if that is more."""
EF_MOST = 2
"""With more candidates than so many times these, an exact search costs less."""
DEEP = 2
"""The graph finds nearly all of the nearest ones in the first half of its candidates, and fewer in the rest."""
FEW = 0.01
"""Up to this share of the vectors, times the queries, the allowed ones are compared alone. Above it FAISS looks at all
of them with a bitmap, because copying the allowed ones costs more than passing over the others. Measured by
benchmarks/filter.py.
"""
_FEW_ROWS = 8192  # allowed vectors compared at a time
_SPARSE = 16  # times as many ids as vectors, of which a table of all ids is not worth its memory


class Part:
    """Vectors of unit length under ids, ready to search. Ids ascend through the file."""

    def __init__(self, file: VectorFile, index: Any, ids: np.ndarray) -> None:
        self.file = file
        self.ids = ids
        self.dim = int(index.d)
        self._index = index  # owns what follows
        inner: Any = faiss.downcast_index(index.index)
        self._graph: Any = inner if isinstance(inner, faiss.IndexHNSW) else None
        self._storage: Any = inner if self._graph is None else faiss.downcast_index(inner.storage)

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
        except (OSError, RuntimeError, MemoryError) as error:  # the last one: a length in its header was changed
            reason = str(error).splitlines() or ["out of memory"]
            raise Damaged(f"{path.name} cannot be opened: {reason[0]}") from error
        if not isinstance(index, faiss.IndexIDMap):
            raise Damaged(f"{path.name} is not the expected kind of FAISS index")
        inner: Any = faiss.downcast_index(index.index)
        storage: Any = faiss.downcast_index(inner.storage) if isinstance(inner, faiss.IndexHNSW) else inner
        whole = isinstance(storage, faiss.IndexScalarQuantizer) and storage.sq.qtype == faiss.ScalarQuantizer.QT_fp16
        whole = whole and {storage.metric_type, inner.metric_type} == {faiss.METRIC_INNER_PRODUCT}
        whole = whole and storage.code_size == 2 * dim and storage.codes.size() == 2 * dim * expected.vectors
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
        # FAISS gives each thread some queries: more threads would only wait, and take time from other searches
        faiss.omp_set_num_threads(max(1, min(len(queries), THREADS)))
        wanted, count = None, len(self)
        if allowed is not None and count:
            allowed = self._here(allowed)
            if len(allowed) <= FEW * len(queries) * count:
                return self.search_few(queries, k, self.rows_of(allowed))
            wanted = self.wanted(allowed)
            count = int(np.count_nonzero(wanted))
        if not count:
            return empty_result(len(queries), k)
        walked = self._walk(queries, k, wanted, count) if self._graph is not None and k <= count else None
        return self.search_all(queries, k, wanted) if walked is None else walked

    def _walk(
        self, queries: np.ndarray, k: int, wanted: np.ndarray | None, count: int
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The best of the `count` vectors that are `wanted` (None: all) by the graph. None if not all hits are sure to
        be among the best ones.

        The graph is asked for more of the nearest ones, and the allowed ones of these are the best. There can be too
        few, because photos in one folder, for example, are like each other, and may all be far from the query.
        """
        asked = k if wanted is None else DEEP * k * len(self) // count
        least = least_candidates(len(self))
        candidates = max(least, DEEP * asked)
        if candidates > EF_MOST * least:
            return None
        # more are asked for than are likely to be needed: that costs less than to compare all
        asked = min(len(self), k if wanted is None else min(4 * asked, candidates // DEEP))
        parameters = _FAISS.SearchParametersHNSW(efSearch=candidates)
        scores, found = self._graph.search(queries, asked, params=parameters)
        good = found >= 0
        if wanted is not None:
            good &= wanted[found]
        if (good.sum(axis=1) < k).any():
            return None
        first = np.argsort(~good, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, first, 1), self.ids[np.take_along_axis(found, first, 1)]

    def search_few(self, queries: np.ndarray, k: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best of the vectors in `rows` (int64), by comparing them alone."""
        results = [empty_result(len(queries), k)]
        codes = self._codes()
        for start in range(0, len(rows), _FEW_ROWS):
            some = rows[start : start + _FEW_ROWS]
            few = faiss.IndexScalarQuantizer(self.dim, self._storage.sq.qtype, faiss.METRIC_INNER_PRODUCT)
            few.add_sa_codes(codes[some])
            scores, found = few.search(queries, min(k, len(some)))
            results.append((scores, _ids_at(self.ids[some], found)))
        return merge(results, k)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors (n, dim) float16 in `rows` (n,) int64."""
        found: np.ndarray = self._codes()[rows].view(np.float16)
        return found

    def _codes(self) -> np.ndarray:
        codes: np.ndarray = _view(self._storage.codes).reshape(len(self), -1)
        return codes

    def search_all(self, queries: np.ndarray, k: int, wanted: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The best of the vectors that are `wanted` (n,) bool, by asking this of each vector. Or of all."""
        parameters: Any = faiss.SearchParameters()
        if wanted is not None:
            bits: Any = np.packbits(wanted, bitorder="little")
            selector = _FAISS.IDSelectorBitmap(bits)  # a name, because FAISS only points to it
            parameters.sel = selector
        scores, found = self._storage.search(queries, k, params=parameters)
        return scores, _ids_at(self.ids, found)

    def _here(self, allowed: np.ndarray) -> np.ndarray:
        """Those of the ids `allowed` that can be in the file."""
        first, last = np.searchsorted(allowed, [self.ids[0], self.ids[-1] + 1])
        return allowed[first:last]

    def wanted(self, allowed: np.ndarray) -> np.ndarray:
        """For each vector (n,) bool whether its id is one of the ids `allowed`."""
        some, first = self._here(allowed), self.ids[0]
        width = int(self.ids[-1] - first) + 1
        if width > _SPARSE * len(self):
            return np.isin(self.ids, some, assume_unique=True)
        table = np.zeros(width, bool)
        table[some - first] = True
        return table if width == len(self) else table[self.ids - first]

    def rows_of(self, allowed: np.ndarray) -> np.ndarray:
        """Where the ids `allowed` are in the file, those that are."""
        some = self._here(allowed)
        rows = np.searchsorted(self.ids, some)
        found: np.ndarray = rows[self.ids[rows] == some]
        return found


def least_candidates(vectors: int) -> int:
    """How many candidates a search keeps at least in a graph of so many vectors."""
    return max(EF, vectors // VECTORS_EACH)


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


def _can_be_walked(graph: Any, count: int) -> bool:
    """Whether a search ends. FAISS follows links unseen, so a damaged one would end the process.

    When FAISS reads a file, it looks whether every link leads to a node, and whether the lists of links have the right
    lengths. Here is the rest: where a search begins, and whether a link above the lowest level leads to a node that is
    there.
    """
    if graph.levels.size() != count or not 0 <= graph.entry_point < count:
        return False
    levels, offsets, links = (_view(array) for array in (graph.levels, graph.offsets, graph.neighbors))
    width = faiss.vector_to_array(graph.cum_nneighbor_per_level)
    top = int(graph.max_level)
    if offsets[0] != 0 or levels[graph.entry_point] != top + 1 or levels.max() != top + 1 or levels.min() < 1:
        return False
    tall = np.flatnonzero(levels > 1)
    for level in range(1, top + 1):
        tall = tall[levels[tall] > level]
        there = links[offsets[tall].astype(np.int64)[:, None] + np.arange(width[level], width[level + 1])]
        if (levels[there[there >= 0]] <= level).any():
            return False
    return True


def _view(array: Any) -> np.ndarray:
    """An array of FAISS, not copied. It is valid as long as its index."""
    found: np.ndarray = faiss.rev_swig_ptr(array.data(), array.size())
    return found


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
