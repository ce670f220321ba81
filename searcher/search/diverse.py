"""Maximal marginal relevance (Carbonell and Goldstein, 1998): good hits that are not like one another."""

import numpy as np

LAMBDA = 0.5
"""How much it counts that a photo fits; the rest is that it is unlike the hits before it: benchmarks/diverse.py."""
POOL = 5
"""So many times as many photos as hits are looked at."""
MOST = 500
"""At most so many hits are chosen, because the time grows with their square. Those after them stay in their order."""
MOST_POOL = POOL * MOST


def pool_size(top: int) -> int:
    """How many of the best photos are needed for `top` hits."""
    return max(top, min(POOL * top, MOST_POOL))


def diverse_order(worth: np.ndarray, vectors: np.ndarray, first: np.ndarray, top: int) -> list[int]:
    """The rows of at most `top` photos, in the order of the hits.

    worth (n,): what the photos are ranked by, descending. vectors (n, dim) float32, of unit length. first (n,) bool:
    photos that come before all others.

    The next photo is the one with the largest LAMBDA * worth - (1 - LAMBDA) * likeness to the most similar hit before
    it. So that they mean the same for each model, worth is scaled to 0 for the last and 1 for the best of the photos,
    and likeness to 0 for the mean of all pairs and 1 for the same photo.
    """
    count = len(worth)
    gain = LAMBDA * _scaled(worth, float(worth[-1]), float(worth[0]))
    mean = _mean_likeness(vectors)
    nearest = np.full(count, -np.inf)
    left = np.ones(count, bool)
    chosen: list[int] = []
    for _ in range(min(top, MOST, count)):
        open_to = left & first if (left & first).any() else left
        value = gain - (1 - LAMBDA) * nearest if chosen else gain
        best = int(np.argmax(np.where(open_to, value, -np.inf)))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, _scaled(vectors @ vectors[best], mean, 1.0))
    others = sorted(np.flatnonzero(left).tolist(), key=lambda row: not first[row])
    return [*chosen, *others][:top]


def _scaled(values: np.ndarray, zero: float, one: float) -> np.ndarray:
    """`values`, so that `zero` becomes 0 and `one` becomes 1."""
    scaled: np.ndarray = (values - zero) / max(one - zero, 1e-6)
    return scaled


def _mean_likeness(vectors: np.ndarray) -> float:
    """The mean cosine of all pairs of two different vectors (n, dim) of unit length; 0 for one vector."""
    count = len(vectors)
    total = float(np.square(vectors.sum(axis=0, dtype=np.float64)).sum())
    return (total - count) / (count * (count - 1)) if count > 1 else 0.0
