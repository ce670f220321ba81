# ruff: noqa: PTH112, PTH118
"""From a query to hits: embed what was asked, search the vectors, look up the photos behind the best ones."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher.catalog.records import ModelRow, PhotoRow
from searcher.errors import SearcherError

if TYPE_CHECKING:
    import numpy as np

    from searcher.catalog.reader import Reader

# Queries that mean nothing. A photo that fits a real query scores better than the best photo for one of these does.
MEANINGLESS = (
    "asdf qwer zxcv",
    "xkcd blorf wug",
    "qzxv",
    "hjkl fdsa uiop vbnm",
    "wq xj zk vb pq",
    "fnord glarp squiv",
    "of the and to in",
    "0000 1111",
)
# Deleted photos leave vectors behind until the index is folded: look a little further than asked at once.
SPARE = 16

Search = Callable[..., tuple["np.ndarray", "np.ndarray"]]  # (vectors, k[, allowed ids]) → scores, ids


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: a text, or photos like the one at `like`; only among those that have all of the `tags`.
    Tags alone are a query, too: the most probable first. `top`: the most hits wanted."""

    text: str | None = None
    like: Path | None = None
    top: int = 20
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.text is not None and self.like is not None:
            raise SearcherError("a query is a text or an image to look like")
        if self.text is None and self.like is None and not self.tags:
            raise SearcherError("a query is a text, an image to look like, or tags")
        if self.text is not None and not self.text.strip():
            raise SearcherError("the query is empty")
        if self.top < 1:
            raise SearcherError("at least one hit must be asked for")


@dataclass(frozen=True, slots=True)
class Hit:
    """One photo found. `score`: the cosine, or of a query that is tags alone the least of their probabilities;
    `relevance`: 0 to 1, None until the model is calibrated for it;
    `copies`: other paths with the same content; `taken_at`: ISO 8601 or None."""

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
    """Hits, best first. `nothing_fits`: the best one is no better than the best for a query that means
    nothing.
    """

    def __init__(self, hits: Iterable[Hit] = (), *, nothing_fits: bool = False) -> None:
        super().__init__(hits)
        self.nothing_fits = nothing_fits


def find(reader: "Reader", search: Search, vector: "np.ndarray", top: int) -> list[Hit]:
    """The `top` nearest photos to the unit vector (dim,). Vectors whose photo is gone are passed over."""
    wanted = top + SPARE
    while True:
        scores, ids = search(vector[None, :], wanted)
        real = ids[0] >= 0
        ranked = list(zip(ids[0][real].tolist(), scores[0][real].tolist(), strict=True))
        photos = reader.photos([id for id, _ in ranked])
        present = [(photos[id], score) for id, score in ranked if id in photos]
        if len(present) >= top or len(ranked) < wanted:
            break
        wanted *= 4
    tags = reader.tags([copy.image_id for copies, _ in present[:top] for copy in copies])
    return [_hit(rank, copies, score, tags) for rank, (copies, score) in enumerate(present[:top], start=1)]


def tagged(reader: "Reader", tags: Sequence[str], model: ModelRow) -> "tuple[np.ndarray, np.ndarray]":
    """The embeddings whose photo has all of `tags`: ids (n,) int64, ascending, and the least probability of each.
    Raises SearcherError for a tag that no photo has."""
    import numpy as np

    from searcher.catalog.tags import TagReader

    ids, chances = np.zeros(0, np.int64), np.zeros(0)
    for number, tag in enumerate(tags):
        with_tag, probable = TagReader(reader).embeddings_with(tag, model.id)
        if not len(with_tag):
            raise SearcherError(f"no photo has the tag {tag!r}: `searcher tags` lists those that there are")
        if number == 0:
            ids, chances = with_tag, probable
        else:
            ids, left, right = np.intersect1d(ids, with_tag, assume_unique=True, return_indices=True)
            chances = np.minimum(chances[left], probable[right])
    return ids, chances


def among(search: Search, ids: "np.ndarray") -> Search:
    """A search among these embeddings only."""
    return lambda vectors, k: search(vectors, k, ids)


def most_probable(ids: "np.ndarray", chances: "np.ndarray") -> Search:
    """A search that answers everything with these embeddings, the most probable first."""
    import numpy as np

    order = np.lexsort((ids, -chances))
    return lambda vectors, k: (chances[order][None, :k], ids[order][None, :k])


def _hit(rank: int, copies: list[PhotoRow], score: float, tags: dict[int, list[str]]) -> Hit:
    first, *others = _present_first(copies)
    labels = dict.fromkeys(label for copy in copies for label in tags.get(copy.image_id, []))
    return Hit(
        rank=rank,
        id=first.image_id,
        path=photo_path(first),
        copies=tuple(photo_path(copy) for copy in others),
        score=round(score, 6),
        relevance=None,
        taken_at=first.taken_at,
        tags=tuple(labels),
    )


def _present_first(copies: list[PhotoRow]) -> list[PhotoRow]:
    """Oldest first, but what lies on a disk that is away behind what can be opened."""
    roots = {copy.root for copy in copies}
    if len(roots) == 1:
        return copies
    away = {root for root in roots if not os.path.isdir(root)}
    return sorted(copies, key=lambda copy: copy.root in away)


def photo_path(photo: PhotoRow) -> str:
    """The absolute path, names that are not UTF-8 with surrogate escapes."""
    return os.fsdecode(os.path.join(photo.root, photo.relpath))


def noise_floor(reader: "Reader", search: Search, vectors: "np.ndarray") -> float | None:
    """What a query that means nothing scores in this library: of such queries (n, dim), the lowest best hit.

    The lowest, because a small model finds something for most of them: to doubt a good query is worse than to miss a
    bad one.
    """
    best = [hits[0].score for vector in vectors if (hits := find(reader, search, vector, 1))]
    return min(best, default=None)


def nothing_fits(hits: list[Hit], query: Query, model: ModelRow) -> bool:
    """Whether a text query's best hit is no better than a meaningless query's; False if not known."""
    if query.text is None or model.noise_floor is None or not hits:
        return False
    return hits[0].score <= model.noise_floor
