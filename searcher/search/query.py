"""Query, and the hits that answer it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from searcher.errors import InvalidInput
from searcher.filters import SORTS, Filter, Sort

if TYPE_CHECKING:
    import numpy as np

MOST_WEIGHT = 1000
_WEIGHTED = re.compile(r"(\d{1,6}(?:\.\d{1,6})?):(?!\d)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A picture that a model has embedded: its embedding (dim,) float32, and the digest of the model."""

    vector: "np.ndarray"
    model: str


Picture = Path | bytes | int | Embedded
"""An image file, its content, the id of an image in the library, or an embedding."""


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query: a text, or a picture.

    like: see `Picture`. weight: how much the part counts; photos
    like a part with a negative weight come last. Raises InvalidInput for a term that asks for nothing.
    """

    text: str | None = None
    like: Picture | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if (self.text is None) == (self.like is None):
            raise InvalidInput("a term of a query is either a text or an image")
        if self.text is not None and not self.text.strip():
            raise InvalidInput("a description is empty: say what to search for")
        if not 0 < abs(self.weight) <= MOST_WEIGHT:
            raise InvalidInput(f"a weight must be more than 0, and at most {MOST_WEIGHT}, not {abs(self.weight):g}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A text with its weight. Raises InvalidInput for an empty text or a wrong weight."""
        weight, text = cls.weighted(text)
        return cls(text, weight=weight)

    @classmethod
    def parse_image(cls, image: str | bytes) -> Self:
        """The content of an image, or a file, or id:N for an image of the library, with a weight."""
        if isinstance(image, bytes):
            return cls(like=image)
        weight, name = (1.0, image) if Path(image).exists() else cls.weighted(image)
        if re.fullmatch(r"id:\d{1,18}", name):
            return cls(like=int(name.removeprefix("id:")), weight=weight)
        return cls(like=Path(name), weight=weight)

    @staticmethod
    def weighted(text: str) -> tuple[float, str]:
        """The weight of a term and the rest: "2:golden retriever" → (2.0, "golden retriever").

        A weight is a number and a colon at the very start, which no digit follows: "16:9 screen" has weight 1.
        """
        found = _WEIGHTED.fullmatch(text)
        return (1.0, text) if found is None else (float(found[1]), found[2].strip())


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: a text, photos like the one at `like`, and further terms, which add up.

    Only photos that meet `filter` are found. A filter alone is a query, too. top: the most hits wanted. least: the
    least relevance wanted; it needs a text. sort: "time" (newest first, and those without a date last) or "relevance"
    (best first; of a filter alone, most likely to have its tags first). Without it, a filter alone is sorted by time.
    also: further terms. diverse: of photos that are like one another, the best one comes first, and the others after
    photos that are not (see `searcher.search.diverse`); it needs a term. Raises InvalidInput for a query that asks for
    nothing.
    """

    text: str | None = None
    like: Picture | None = None
    top: int = 20
    filter: Filter = field(default_factory=Filter)
    least: float | None = None
    sort: Sort | None = None
    also: tuple[Term, ...] = ()
    diverse: bool = False

    def __post_init__(self) -> None:
        if self.sort not in (None, *SORTS):
            raise InvalidInput(f"unknown order {self.sort!r}: it can be {' or '.join(SORTS)}")
        if not self.terms and not self.filter:
            raise InvalidInput("a query needs a text, an image, or a filter")
        if self.sort == "relevance" and not self.terms and not (self.filter.tags or self.filter.sources):
            raise InvalidInput("sorting by relevance needs a description, an image, or a label")
        if self.diverse and not self.terms:
            raise InvalidInput("diverse hits need a description or an image: give one, or list the photos by time")
        if self.top < 1:
            raise InvalidInput("the number of hits must be at least 1")
        if self.least is not None and not any(term.text is not None and term.weight > 0 for term in self.terms):
            raise InvalidInput("only a description has a relevance: give one, or leave out the least relevance")
        if self.least is not None and not 0 <= self.least <= 1:
            raise InvalidInput("the least relevance must be between 0 and 1")

    @property
    def by_time(self) -> bool:
        """Whether the hits are sorted by time."""
        return self.sort == "time" or (self.sort is None and not self.terms)

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms: the text, the image, and the further ones."""
        first = [] if self.text is None else [Term(self.text)]
        return (*first, *([] if self.like is None else [Term(like=self.like)]), *self.also)


@dataclass(frozen=True, slots=True)
class Hit:
    """One photo found.

    score: the cosine similarity, of several terms their weighted sum, or for a filter alone the least probability of
    its tags. relevance: the probability that the photo shows what the text says, None without a text. copies: other
    paths with the same content. taken_at: ISO 8601 or None. width, height: pixels, as the photo is seen.
    """

    rank: int
    id: int
    path: str
    copies: tuple[str, ...]
    score: float
    relevance: float | None
    taken_at: str | None
    tags: tuple[str, ...]
    width: int = 0
    height: int = 0

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
    """Hits, best first, unless the query asked for another order.

    nothing_fits: no photo reaches a relevance of FITS. notices: what the user should know about the query, for example
    that the model does not know its language.
    """

    def __init__(self, hits: Iterable[Hit] = (), *, nothing_fits: bool = False, notices: tuple[str, ...] = ()) -> None:
        super().__init__(hits)
        self.nothing_fits = nothing_fits
        self.notices = notices
