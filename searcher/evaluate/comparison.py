"""Compares two models on the same queries: the difference of each share of hits, and how far chance could move it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from searcher.evaluate.results import Recall, ZeroShot

RESAMPLES = 2000
OUTSIDE = 0.025  # the share of the resamples below the interval, and above it: the interval has 95 %
DRAWN_AT_ONCE = 1 << 22  # random numbers in memory at once: 32 MB
# The least number of photos on which two models must differ before one is called better. If only five differ, all of
# them favour the same model by chance in 6 % of all cases, and the bootstrap does not notice that.
LEAST_DIFFERENT = 6


@dataclass(frozen=True)
class Comparison:
    """A share of hits of two models A and B.

    values: the shares of A and B. difference: B - A. interval: the 95 % confidence interval of the difference.
    different: the number of photos with a query that only one of the models answers.
    """

    values: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    different: int

    @property
    def better(self) -> Literal["A", "B"] | None:
        """The better model. None if the interval contains 0, or if the models differ on too few photos to tell."""
        low, high = self.interval
        if self.different < LEAST_DIFFERENT or low <= 0 <= high:
            return None
        return "B" if low > 0 else "A"

    def as_dict(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {"values": list(self.values), "difference": self.difference, "interval": list(self.interval)}


def compare(first: ZeroShot | Recall, second: ZeroShot | Recall) -> dict[str, Comparison]:
    """Compare two models by their hits on the same queries in the same order. Returns one comparison per metric.

    The interval is that of a paired bootstrap: photos are drawn with replacement `RESAMPLES` times, each with all its
    queries, because the captions of one photo tend to succeed or fail together. They are always the same ones for both
    models and for all metrics. What the queries choose among (labels, photos or captions) stays the same. The numbers
    are drawn from a fixed seed, so the result is reproducible.

    Raises ValueError if the numbers of queries differ.
    """
    a, b = (np.stack(list(result.hits.values()), axis=1) for result in (first, second))
    if a.shape != b.shape:
        raise ValueError(f"results of different queries: {a.shape} and {b.shape}")
    gains = b.astype(np.int8) - a.astype(np.int8)
    photos = np.arange(len(gains)) if first.photos is None else np.unique(first.photos, return_inverse=True)[1]
    queries = np.bincount(photos)
    sums, different = (np.zeros((len(queries), gains.shape[1]), np.int32) for _ in range(2))
    np.add.at(sums, photos, gains)
    np.maximum.at(different, photos, np.abs(gains))
    lows, highs = _intervals(sums, queries)
    return {
        name: Comparison(
            values=(float(a[:, column].mean()), float(b[:, column].mean())),
            difference=float(gains[:, column].mean()),
            interval=(float(lows[column]), float(highs[column])),
            different=int(different[:, column].sum()),
        )
        for column, name in enumerate(first.hits)
    }


def _intervals(sums: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper ends of the intervals of the mean gain of a query. Returns float64 (metrics,) each.

    sums: the gains of each photo, int32 (photos, metrics). queries: how many each has, int64 (photos,).

    The ends are order statistics at equal distances from both sides, so opposite gains have exactly opposite intervals.
    """
    n = len(sums)
    random = np.random.default_rng(0)
    step = max(1, DRAWN_AT_ONCE // n)
    parts = []
    for start in range(0, RESAMPLES, step):
        drawn = random.integers(n, size=(min(step, RESAMPLES - start), n))
        parts.append(sums[drawn].sum(axis=1) / queries[drawn].sum(axis=1, keepdims=True))
    means = np.concatenate(parts)
    means.sort(axis=0)
    outside = int(RESAMPLES * OUTSIDE)
    return means[outside], means[-1 - outside]
