"""Which vector files are written anew, and with which ids. Pure functions.

The files are those of a log-structured merge tree: a few large ones for older embeddings, and smaller ones for newer
ones. New embeddings become a small file. It takes in the files before it that are not much larger. So there are few
files, and each vector is written only a few times while the library grows.
"""

from collections.abc import Sequence
from typing import NamedTuple

SMALL = 20_000
"""Files with at most this many vectors are taken in by the next new one: to write them takes no time."""
FAN = 4
"""A file takes in the one before it that is at most this many times as large."""
MAX_OUTSIDE = 1000
"""A file is written when more embeddings than this, or a tenth of all, are in no file, or are in one and gone."""
MAX_BYTES = 512 * 2**20
"""Of vectors in one file. A graph is built in memory, and a library of any size needs only so much."""


class Span(NamedTuple):
    """The ids from the one after `after` to `last`. live: how many of them are embeddings. held: how many are in the
    file that covers these ids, None if no file does.
    """

    after: int
    last: int
    live: int
    held: int | None

    @property
    def outside(self) -> int:
        """How many embeddings are not in the file, or are in it and gone."""
        return self.live if self.held is None else self.held - self.live


def max_vectors(dim: int) -> int:
    """How many float16 vectors a file may hold."""
    return MAX_BYTES // (2 * dim)


def to_write(spans: Sequence[Span], most: int) -> list[Span]:
    """The spans to write anew, ascending, without a file. spans: ascending, without gaps; the last one ends with the
    newest id. most: how many vectors a file may hold.
    """
    if not spans:
        return []
    total = sum(span.held or 0 for span in spans)
    enough = min(MAX_OUTSIDE, max(1, total // 10))
    *rest, last = spans
    newest = [last]
    while rest and _takes_in(rest[-1], newest, most):
        newest.insert(0, rest.pop())
    chosen = [span for span in rest if span.outside >= (1 if span.held is None else max(1, span.held // 10))]
    if sum(span.outside for span in newest) >= enough:
        chosen.append(Span(newest[0].after, last.last, sum(span.live for span in newest), None))
    return [span._replace(held=None) for span in chosen]


def _takes_in(before: Span, newest: Sequence[Span], most: int) -> bool:
    live = sum(span.live for span in newest)
    return before.live + live <= most and before.live <= max(SMALL, FAN * live)
