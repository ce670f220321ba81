# ruff: noqa: PTH112, PTH118
"""Turn a query into hits: search the vectors and look up the photos of the best ones."""

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

# Queries without a meaning. A photo that fits a real query scores higher than the best photo for one of these.
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
# The vectors of deleted photos stay in the FAISS file until a new one is written. A search asks for this many more
# vectors than it needs, so that it rarely has to search twice.
SPARE = 16

Search = Callable[..., tuple["np.ndarray", "np.ndarray"]]  # (vectors, k[, allowed ids]) → scores, ids


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for.

    text: find photos that fit this text. like: find photos that look like this image file. A query has at most one of
    the two. tags: find only photos that have all of these tags; without `text` and `like`, the most probable photos
    come first. top: the maximum number of hits.

    Raises SearcherError if the values are not a valid query.
    """

    text: str | None = None
    like: Path | None = None
    top: int = 20
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.text is not None and self.like is not None:
            raise SearcherError("a query cannot have both a text and an image: use one of them")
        if self.text is None and self.like is None and not self.tags:
            raise SearcherError("a query needs a text, an image or tags")
        if self.text is not None and not self.text.strip():
            raise SearcherError("the query is empty")
        if self.top < 1:
            raise SearcherError("the number of hits must be at least 1")


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo that was found.

    score: the cosine similarity, or the lowest tag probability if the query has only tags. relevance: 0 to 1, or None
    if the model is not calibrated for it. copies: other paths with the same content. taken_at: ISO 8601 or None.
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
        """Return the hit as `search --json` prints it."""
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
    """Hits, best first. `nothing_fits`: the best hit scores no higher than the best hit of a meaningless query."""

    def __init__(self, hits: Iterable[Hit] = (), *, nothing_fits: bool = False) -> None:
        super().__init__(hits)
        self.nothing_fits = nothing_fits


def find(reader: "Reader", search: Search, vector: "np.ndarray", top: int) -> list[Hit]:
    """Return the `top` photos nearest to the unit vector (dim,). Vectors without a photo are skipped."""
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
    """Return the embeddings of the photos that have all of `tags`.

    Returns ids (n,) int64 in ascending order, and for each the lowest probability of its tags (n,) float64. Raises
    SearcherError if no photo has one of the tags.
    """
    import numpy as np

    from searcher.catalog.tags import TagReader

    ids, chances = np.zeros(0, np.int64), np.zeros(0)
    for number, tag in enumerate(tags):
        with_tag, probable = TagReader(reader).embeddings_with(tag, model.id)
        if not len(with_tag):
            raise SearcherError(f"no photo has the tag {tag!r}: run `searcher tags` to list the tags")
        if number == 0:
            ids, chances = with_tag, probable
        else:
            ids, left, right = np.intersect1d(ids, with_tag, assume_unique=True, return_indices=True)
            chances = np.minimum(chances[left], probable[right])
    return ids, chances


def among(search: Search, ids: "np.ndarray") -> Search:
    """Return a search that finds only these embeddings."""
    return lambda vectors, k: search(vectors, k, ids)


def most_probable(ids: "np.ndarray", chances: "np.ndarray") -> Search:
    """Return a search that ignores the query vector and returns these embeddings, the most probable first."""
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
    """Move copies whose root is missing behind those that can be opened. The order is otherwise kept."""
    roots = {copy.root for copy in copies}
    if len(roots) == 1:
        return copies
    away = {root for root in roots if not os.path.isdir(root)}
    return sorted(copies, key=lambda copy: copy.root in away)


def photo_path(photo: PhotoRow) -> str:
    """Return the absolute path. Bytes that are not UTF-8 become surrogate escapes."""
    return os.fsdecode(os.path.join(photo.root, photo.relpath))


def noise_floor(reader: "Reader", search: Search, vectors: "np.ndarray") -> float | None:
    """Return the score that a meaningless query reaches in this library, or None if there are no photos.

    `vectors`: the embeddings (n, dim) of meaningless queries. The result is the lowest of their best scores. A higher
    limit would report more queries as unsuccessful, because a small model scores high on most meaningless queries.
    Doubting a good query is worse than accepting a bad one.
    """
    best = [hits[0].score for vector in vectors if (hits := find(reader, search, vector, 1))]
    return min(best, default=None)


def nothing_fits(hits: list[Hit], query: Query, model: ModelRow) -> bool:
    """Return whether the best hit of a text query scores no higher than that of a meaningless query.

    Returns False if that score is not known.
    """
    if query.text is None or model.noise_floor is None or not hits:
        return False
    return hits[0].score <= model.noise_floor
