"""Pairs of photos whose hashes differ in few bits: the candidates for copies.

Two photos with different dates are different shots. So most photos of a camera are compared only with those that have
the same date or none, which spares most of the work in a large library. All others are compared with all.
"""

from collections.abc import Iterator, Sequence

import faiss
import numpy as np

from searcher.catalog.read.likeness import Look
from searcher.progress import SILENT, Progress

MOST_BITS = 16
"""Bits of 64 in which the hashes of candidates may differ."""
BURST = 64
"""Photos with the same date. If more have it, as on a camera whose clock stands still, they are compared with all."""
AT_ONCE = 4096  # pairs in one step
_QUERIES, _ROWS = 1024, 1 << 13  # photos compared at a time: at most 8.4 million pairs, 200 MB

Pairs = tuple[np.ndarray, np.ndarray]
"""Rows to keep (n,) int64, and rows that may be copies of them (n,)."""


def distance(first: Look, second: Look) -> int:
    """In how many bits the hashes of two photos differ."""
    return (
        (first.phash ^ second.phash) & (2**64 - 1)
    ).bit_count()  # signed, and Python counts those of the absolute value


def alike(looks: Sequence[Look], taken: np.ndarray, progress: Progress = SILENT) -> Iterator[Pairs]:
    """The pairs of rows that are not `taken`, the first row before the second one, by these rows.

    The caller may take rows between two steps: pairs with these are left out of later steps.
    """
    hashes = np.array([look.phash for look in looks], np.int64).view(np.uint8).reshape(-1, 8)
    shots = _Shots(looks)
    chunks = [_Chunk(hashes, shots.dated, start) for start in range(0, len(looks), _ROWS)]
    for start in range(0, len(looks), _QUERIES):
        progress.advance(start, len(looks))
        last = min(start + _QUERIES, len(looks))
        for chunk in chunks[start // _ROWS :]:
            keepers = start + np.flatnonzero(~taken[start:last])
            dated = shots.dated[keepers]
            found = [chunk.others(keepers), chunk.shots(keepers[~dated]), shots.pairs(keepers[dated], hashes, chunk)]
            first, second = (np.concatenate(rows) for rows in zip(*found, strict=True))
            good = np.flatnonzero((second > first) & ~taken[second])
            order = good[np.lexsort((second[good], first[good]))]
            for begin in range(0, len(order), AT_ONCE):
                some = order[begin : begin + AT_ONCE]
                some = some[~taken[first[some]] & ~taken[second[some]]]
                if len(some):
                    yield first[some], second[some]
    progress.advance(len(looks), len(looks))


class _Shots:
    """The photos with a date that few others have. dated: (n,) bool, which ones these are."""

    def __init__(self, looks: Sequence[Look]) -> None:
        numbers: dict[str | None, int] = {None: 0}
        dates = np.array([numbers.setdefault(look.taken_at, len(numbers)) for look in looks], np.int64)
        counts = np.bincount(dates, minlength=1)[dates]
        self.dated = (dates > 0) & (counts <= BURST)
        rows = np.flatnonzero(self.dated & (counts > 1))
        self._rows = rows[np.argsort(dates[rows], kind="stable")]  # those of a date side by side
        date = dates[self._rows]
        self._place = np.full(len(looks), -1)
        self._place[self._rows] = np.arange(len(rows))
        self._end = np.searchsorted(date, date, side="right")

    def pairs(self, keepers: np.ndarray, hashes: np.ndarray, chunk: "_Chunk") -> Pairs:
        """Those of `keepers`, with the later rows of a chunk that have the same date and a similar hash."""
        keepers = keepers[self._place[keepers] >= 0]
        places = self._place[keepers]
        counts = self._end[places] - places - 1
        first = np.repeat(keepers, counts)
        steps = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        second = self._rows[np.repeat(places, counts) + steps]
        here = (second >= chunk.start) & (second < chunk.start + _ROWS)
        first, second = first[here], second[here]
        near = np.unpackbits(hashes[first] ^ hashes[second], axis=1).sum(axis=1) <= MOST_BITS
        return first[near], second[near]


class _Chunk:
    """Rows from `start` on, which FAISS compares: those of shots with a date of their own, and the others."""

    def __init__(self, hashes: np.ndarray, dated: np.ndarray, start: int) -> None:
        self.start, self._hashes = start, hashes
        here = dated[start : start + _ROWS]
        self._shots, self._others = (start + np.flatnonzero(some) for some in (here, ~here))
        self._shot_index, self._other_index = (_index(hashes[rows]) for rows in (self._shots, self._others))

    def shots(self, keepers: np.ndarray) -> Pairs:
        return self._pairs(keepers, self._shots, self._shot_index)

    def others(self, keepers: np.ndarray) -> Pairs:
        return self._pairs(keepers, self._others, self._other_index)

    def _pairs(self, keepers: np.ndarray, rows: np.ndarray, index: faiss.IndexBinaryFlat) -> Pairs:
        if not len(keepers) or not len(rows):
            return keepers[:0], rows[:0]
        limits, _, found = index.range_search(self._hashes[keepers], MOST_BITS + 1)  # FAISS: less than the radius
        return np.repeat(keepers, np.diff(limits.astype(np.int64))), rows[found]


def _index(hashes: np.ndarray) -> faiss.IndexBinaryFlat:
    index = faiss.IndexBinaryFlat(64)
    index.add(hashes)
    return index
