"""Vector files are written: see `part` for what is in one.

The codes of a float16 flat index are the float16 vectors themselves. So a flat file of any size is written as a stream:
FAISS's header, the vectors, their ids. A test compares the result with FAISS's own writer. A graph is built in memory.
"""

import errno
import os
import shutil
import struct
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np

from searcher.catalog.rows import VectorFile
from searcher.vectors.part import DIGEST_BYTES, THREADS

_FAISS: Any = faiss  # its types lack much of it

LINKS = 16  # of a node of a graph to its neighbours, twice as many on the lowest level
EF_CONSTRUCTION = 100  # candidates from which the neighbours of a new node are chosen

Chunks = Iterable[tuple[np.ndarray, np.ndarray]]
"""Ids (n,) int64, ascending, and vectors (n, dim) float16."""


class _Digested:
    """A file that is written, and the digest of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = blake2b(digest_size=DIGEST_BYTES)

    def put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)

    def finish(self, after: int) -> tuple[bytes, int]:
        """Append `after` and the digest, and bring everything to the disk. Returns the digest and the size."""
        self.put(struct.pack("<q", after))  # two files with the same vectors may begin after different ids
        digest = self._digest.digest()
        self._file.write(digest)
        self._file.flush()
        os.fsync(self._file.fileno())
        return digest, self._file.tell()


def write(path: Path, count: int, dim: int, chunks: Chunks, *, after: int = 0, graph: bool = False) -> VectorFile:
    """Write `count` vectors to a new file, with a graph or flat. after: the id after which the file begins.

    A thread takes in a chunk of a graph at once, at 1 to 3 ms a vector: make the chunks small. The file is on the disk
    when this returns. The caller renames it after the catalog knows it. Raises OSError, for example when the disk is
    full; then no file is left behind.
    """
    if graph and shutil.disk_usage(path.parent).free < count * (2 * dim + 8 * LINKS):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # now, and not after the minutes that a graph takes
    ids = np.empty(count, np.int64)
    try:
        with path.open("wb") as file:
            target = _Digested(file)
            write_body = _write_graph if graph else _write_flat
            done = write_body(target, ids, dim, chunks)
            if done != count:
                raise ValueError(f"expected {count} vectors, got {done}")
            digest, size = target.finish(after)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return VectorFile(digest, after, int(ids[-1]) if count else after, count, size)


def _write_flat(target: _Digested, ids: np.ndarray, dim: int, chunks: Chunks) -> int:
    before_codes, before_ids = _header(len(ids), dim)
    done = 0
    target.put(before_codes)
    for some, vectors in chunks:
        ids[done : done + len(some)] = some
        done += len(some)
        target.put(np.ascontiguousarray(vectors, np.float16).tobytes())
    target.put(before_ids)
    target.put(ids.tobytes())
    return done


def _write_graph(target: _Digested, ids: np.ndarray, dim: int, chunks: Chunks) -> int:
    index = _FAISS.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_fp16, LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.train(np.zeros((1, dim), np.float32))
    faiss.omp_set_num_threads(THREADS)  # a search by this thread may have set fewer
    whole = faiss.IndexIDMap(index)
    codes = _FAISS.downcast_index(index.storage).codes
    codes.resize(2 * dim * len(ids))  # so that it does not grow, which needs twice the memory for a moment
    codes.resize(0)
    done = 0
    for some, vectors in chunks:
        ids[done : done + len(some)] = some
        done += len(some)
        index.add(vectors.astype(np.float32))
    faiss.copy_array_to_vector(ids[:done], whole.id_map)
    whole.ntotal = done
    faiss.write_index(whole, _FAISS.PyCallbackIOWriter(target.put))
    return done


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
