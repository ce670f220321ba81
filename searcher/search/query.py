"""Query, and the hits that answer it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searcher.errors import InvalidInput
from searcher.filters import SORTS, Filter, Sort


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: a text, or photos like the one at `like`, among the photos that meet `filter`.

    A filter alone is a query, too. top: the most hits wanted. least: the least relevance wanted; it needs a text. sort:
    "time" (newest first, and those without a date last) or "relevance" (best first; of a filter alone, most likely to
    have its tags first). Without it, a filter alone is sorted by time. Raises InvalidInput for a query that asks for
    nothing.
    """

    text: str | None = None
    like: Path | None = None
    top: int = 20
    filter: Filter = field(default_factory=Filter)
    least: float | None = None
    sort: Sort | None = None

    @property
    def by_time(self) -> bool:
        """Whether the hits are sorted by time."""
        return self.sort == "time" or (self.sort is None and self.text is None and self.like is None)

    def __post_init__(self) -> None:
        if self.sort not in (None, *SORTS):
            raise InvalidInput(f"unknown order {self.sort!r}: it can be {' or '.join(SORTS)}")
        alone = self.text is None and self.like is None
        if self.sort == "relevance" and alone and not (self.filter.tags or self.filter.sources):
            raise InvalidInput("sorting by relevance needs a description, an image, or a label")
        if self.text is not None and self.like is not None:
            raise InvalidInput("a query can have a text or an image, not both")
        if self.text is None and self.like is None and not self.filter:
            raise InvalidInput("a query needs a text, an image, or a filter")
        if self.text is not None and not self.text.strip():
            raise InvalidInput("the query is empty")
        if self.top < 1:
            raise InvalidInput("the number of hits must be at least 1")
        if self.least is not None and self.text is None:
            raise InvalidInput("only a description has a relevance: give one, or leave out the least relevance")
        if self.least is not None and not 0 <= self.least <= 1:
            raise InvalidInput("the least relevance must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class Hit:
    """One photo found.

    score: the cosine similarity, or for a filter alone the least probability of its tags. relevance: the probability
    that the photo shows what the text says, None without a text. copies: other paths with the same content. taken_at:
    ISO 8601 or None.
    """

    rank: int
    id: int
    path: str
    copies: tuple[str, ...]
    score: float
    relevance: float | None
    taken_at: str | None
    tags: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The hit as `search --json` prints it."""
        return {
            "rank": self.rank,
            "id": self.id,
            "path": self.path,
            "copies": list(self.copies),
            "score": self.score,
            "relevance": self.relevance,
            "taken_at": self.taken_at,
            "tags": list(self.tags),
        }


class Hits(list[Hit]):
    """Hits, best first.

    nothing_fits: no photo reaches a relevance of FITS. notices: what the user should
    know about the query, for example that the model does not know its language.
    """

    def __init__(self, hits: Iterable[Hit] = (), *, nothing_fits: bool = False, notices: tuple[str, ...] = ()) -> None:
        super().__init__(hits)
        self.nothing_fits = nothing_fits
        self.notices = notices
