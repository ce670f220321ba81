"""Exact search among vectors in memory, and the best of several results. Plain NumPy."""

from collections.abc import Sequence

import numpy as np

_ROWS = 4096  # vectors compared at a time


def empty_result(queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """No hits: scores (queries, k) of minus infinity, ids -1."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), -1, np.int64)


def exact_search(
    ids: np.ndarray, vectors: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` largest inner products of each query, for vectors (n, dim) float16 under ids (n,). Memory is bounded.

    Returns what `VectorStore.search` does.
    """
    best = empty_result(len(queries), k)
    for start in range(0, len(ids), _ROWS):
        rows, some = ids[start : start + _ROWS], vectors[start : start + _ROWS]
        if allowed is not None:
            keep = np.isin(rows, allowed)
            rows, some = rows[keep], some[keep]
        scores = queries.astype(np.float32) @ some.astype(np.float32).T
        best = merge([best, (scores, np.broadcast_to(rows, scores.shape))], k)
    return best


def merge(results: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` of several results, per query: descending by score, then ascending by id."""
    scores = np.concatenate([result[0] for result in results], axis=1)
    ids = np.concatenate([result[1] for result in results], axis=1)
    # FAISS gives -1 a score of minus the largest float: nothing may sort behind a missing hit
    scores = np.where(ids < 0, -np.inf, scores)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
