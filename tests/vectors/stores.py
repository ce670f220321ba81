"""Stores of random embeddings with few or many files, and what must hold of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from searcher.catalog import Catalog
from searcher.vectors import plan, store
from searcher.vectors.store import StoreStatus, VectorStore
from tests.vectors.filling import DIM, all_vectors, check_ranking, unit_vectors


@contextmanager
def many_files(graphs: bool = True) -> Iterator[None]:
    """In it, a file holds at most 10 vectors and takes in hardly any other, and has a graph."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SMALL", 2)
        patch.setattr(plan, "FAN", 1)
        patch.setattr(plan, "MAX_BYTES", 10 * 2 * DIM)
        if graphs:
            patch.setattr(store, "GRAPH_FROM", 1)
        yield


def files(vectors: VectorStore) -> list[Path]:
    """The vector files on disk."""
    return [path for path, _ in vectors._files()]


def check(catalog: Catalog, vectors: VectorStore, seed: int = 1) -> None:
    """After `sync`, a search among all embeddings, and among some, equals an exact search in the catalog."""
    queries = unit_vectors(2, seed)
    with catalog.read() as view:
        vectors.sync(view)
        expected = all_vectors(view, vectors.model)
        allowed = np.array(sorted(expected)[::3], np.int64)
        for ids, wanted in ((None, expected), (allowed, {id: expected[id] for id in allowed.tolist()})):
            everything = max(1, vectors.size)
            scores, found = vectors.search(queries, everything, ids)
            assert scores.shape == found.shape == (2, everything)
            assert scores.dtype == np.float32 and found.dtype == np.int64
            for query, row_scores, row_ids in zip(queries, scores.tolist(), found.tolist(), strict=True):
                hits = [hit for hit in zip(row_ids, row_scores, strict=True) if hit[0] in wanted]
                check_ranking(hits, wanted, query, everything)
                if ids is not None:
                    assert set(row_ids) - {-1} == set(wanted)


def status(catalog: Catalog, vectors: VectorStore) -> StoreStatus:
    with catalog.read() as view:
        return vectors.status(view)


def put(path: Path, data: bytes) -> None:
    """Replace a file as a copy program does: whoever has the old one open keeps it."""
    new = path.with_name("new")
    new.write_bytes(data)
    new.replace(path)


def damage(path: Path, kind: str) -> None:
    """Damage a vector file."""
    data = bytearray(path.read_bytes())
    if kind == "header":
        data[8] ^= 1  # the number of vectors
    elif kind == "cut":
        del data[-20:]
    else:
        data = bytearray(b"not an index" * 100)
    put(path, bytes(data))
