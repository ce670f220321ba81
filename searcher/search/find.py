"""Answer a query: embed what was asked, search the collection, look up the photos behind the best embeddings."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searcher.catalog.read.photos import Order
from searcher.catalog.rows import Photo, PhotoTag
from searcher.errors import NotFound
from searcher.filters import Filter
from searcher.models.relevance import FITS, Wordings, relevance
from searcher.models.remarks import language_remark
from searcher.search.asked import Asked
from searcher.search.collection import Collection
from searcher.search.diverse import MOST_POOL, diverse_order, pool_size
from searcher.search.query import Hit, Hits, Query

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


class Ranked(NamedTuple):
    """A photo that was found: the id of its embedding, its score, its relevance, None if it has none, and what ranks
    it: the score, or the logit of its relevance.
    """

    id: int
    score: float
    relevance: float | None
    worth: float


def remarks(model: "DualEncoder", query: Query) -> tuple[str, ...]:
    """What the user should know about a query."""
    texts = [term.text for term in query.terms if term.text is not None]
    found = [remark for text in texts if (remark := language_remark(model, text)) is not None][:1]
    if any(model.cuts(text) for text in texts):
        found.append(f"The query is longer than the model {model.name} reads: only its beginning counts.")
    return tuple(found)


def find(collection: Collection, query: Query, asked: Asked | None) -> Hits:
    """The best photos for a query, for which `encode` returned `asked`. Raises NotFound for a tag that no photo has."""
    filter, notices = narrowed(collection, query.filter)
    top = pool_size(query.top) if query.diverse else query.top
    ranked = ranked_photos(collection, filter, query, top, asked)
    if not ranked:
        check_tags(collection, query.filter)
        return Hits(notices=notices)
    best = max((each.relevance for each in ranked if each.relevance is not None), default=None)
    if query.least is not None:
        ranked = [each for each in ranked if each.relevance is not None and each.relevance >= query.least][:top]
    if query.diverse:
        ranked = unlike_first(collection, ranked, query.top, asked)
    hits = look_up(collection, filter, ranked, by_time=query.by_time)
    return Hits(hits, nothing_fits=best is not None and best < FITS, notices=notices)


def narrowed(collection: Collection, filter: Filter) -> tuple[Filter, tuple[str, ...]]:
    """A filter without the labels to leave out that no photo has, and what the user should know about them."""
    unknown = [tag for tag in filter.not_tags if not _is_label(collection, tag)]
    notices = tuple(f"No photo has the label {tag!r}, so all photos are without it." for tag in unknown)
    return replace(filter, not_tags=tuple(tag for tag in filter.not_tags if tag not in unknown)), notices


def look_up(
    collection: Collection, filter: Filter, ranked: Sequence[Ranked], *, by_time: bool = False, first: int = 1
) -> list[Hit]:
    """The photos that were found, as hits with ranks from `first` on. Those that are gone are left out.

    by_time: put the newest first, and those without a date last.
    """
    photos = collection.photos([each.id for each in ranked], filter)
    present = [(_first_to_show(photos[each.id]), each) for each in ranked if each.id in photos]
    if by_time:
        present.sort(key=lambda found: found[0][0].taken_at or "", reverse=True)
    tags = collection.tags([copy.id for copies, _ in present for copy in copies])
    return [_hit(rank, copies, each, tags) for rank, (copies, each) in enumerate(present, start=first)]


def ranked_photos(collection: Collection, filter: Filter, query: Query, top: int, asked: Asked | None) -> list[Ranked]:
    """The best `top` photos for a query, best first."""
    if not all(_is_text(tag) for tag in filter.tags):
        return []
    if asked is None:
        order: Order = "newest" if query.by_time else "probability"
        photos = collection.browse(filter, order, limit=top)
        return [Ranked(id, score, None, score) for id, score in photos]
    if asked.alone is not None:
        return _by_relevance(collection, filter, top, asked.alone)
    looked_at = top
    while True:
        photos = collection.nearest(asked.vector[None], looked_at, filter)[0]
        ranked = _with_relevance(collection, photos, asked)
        if query.least is None or len(photos) < looked_at:
            return ranked
        # the score of several terms does not rank by relevance: look further until enough photos are relevant
        enough = [each for each in ranked if each.relevance is not None and each.relevance >= query.least]
        if len(enough) >= top:
            return enough[:top]
        looked_at *= 4


def unlike_first(collection: Collection, ranked: list[Ranked], top: int, asked: Asked | None) -> list[Ranked]:
    """`top` of the photos that are unlike one another. Those that fit a single text stay first."""
    fitting_first = asked is not None and asked.alone is not None
    pool = ranked[:MOST_POOL]
    vectors = collection.vectors([each.id for each in pool])
    pool = [each for each in pool if each.id in vectors]
    if not pool:
        return []
    fitting = [fitting_first and each.relevance is not None and each.relevance >= FITS for each in pool]
    worth = np.array([each.worth for each in pool])
    order = diverse_order(worth, np.stack([vectors[each.id] for each in pool]), np.array(fitting), top)
    return [*(pool[row] for row in order), *ranked[MOST_POOL:]][:top]


def _with_relevance(collection: Collection, photos: list[tuple[int, float]], asked: Asked) -> list[Ranked]:
    if not asked.positive or not photos:
        return [Ranked(id, score, None, score) for id, score in photos]
    vectors = collection.vectors([id for id, _ in photos])
    kept = [(id, score) for id, score in photos if id in vectors]
    chances = asked.relevance(np.stack([vectors[id] for id, _ in kept])) if kept else None
    values = [None] * len(kept) if chances is None else [round(chance, 6) for chance in chances.tolist()]
    return [Ranked(id, score, chance, score) for (id, score), chance in zip(kept, values, strict=True)]


def _by_relevance(collection: Collection, filter: Filter, top: int, asked: Wordings) -> list[Ranked]:
    """The most relevant photos. Each of them is among the nearest ones to the wording that makes it relevant."""
    found = collection.nearest(asked.vectors, top, filter)
    # (id, cosine, logit) of each photo for each wording; the largest logit of a photo first
    rows = np.concatenate([np.array(photos, np.float64).reshape(-1, 2) for photos in found])
    ids, cosines = rows[:, 0].astype(np.int64), rows[:, 1]
    sizes = [len(photos) for photos in found]
    logits = np.repeat(asked.slopes.astype(np.float64), sizes) * cosines + np.repeat(asked.offsets, sizes)
    order = np.lexsort((-logits, ids))
    firsts = order[np.unique(ids[order], return_index=True)[1]]
    best = firsts[np.lexsort((ids[firsts], -logits[firsts]))[:top]]
    chances = np.round(relevance(logits[best]).astype(np.float64), 6)
    return [
        Ranked(*each)
        for each in zip(
            ids[best].tolist(), cosines[best].tolist(), chances.tolist(), logits[best].tolist(), strict=True
        )
    ]


def check_tags(collection: Collection, filter: Filter) -> None:
    """Raise NotFound for a tag that no photo has, so that a typing error does not look like an empty result."""
    for tag in filter.tags:
        if not _is_label(collection, tag):
            raise NotFound(f"no photo has the label {tag!r}: `searcher tags` lists the labels")


def _is_label(collection: Collection, tag: str) -> bool:
    """Whether any photo has a label, from any source."""
    return _is_text(tag) and bool(collection.browse(Filter(tags=(tag,)), limit=1))


def _is_text(tag: str) -> bool:
    """False for bytes of a shell argument that are not UTF-8. No label has such a name."""
    return not any("\ud800" <= letter <= "\udfff" for letter in tag)


def _hit(rank: int, copies: list[Photo], found: Ranked, tags: dict[int, list[PhotoTag]]) -> Hit:
    first, *others = copies
    # the tags of the copies together, most probable first
    own = sorted((tag for copy in copies for tag in tags.get(copy.id, [])), key=lambda tag: -tag.probability)
    labels = dict.fromkeys(tag.label for tag in own)
    return Hit(
        rank=rank,
        id=first.id,
        path=first.path,
        copies=tuple(copy.path for copy in others),
        score=round(found.score, 6),
        relevance=found.relevance,
        taken_at=first.taken_at,
        tags=tuple(labels),
        width=first.width,
        height=first.height,
    )


def _first_to_show(copies: list[Photo]) -> list[Photo]:
    """Oldest first, but copies that were meant come before others, and those in a missing root after others."""
    roots = {copy.root for copy in copies}
    missing = {root for root in roots if len(roots) > 1 and not os.path.isdir(root)}  # noqa: PTH112 (pathlib does not know bytes)
    return sorted(copies, key=lambda copy: (not copy.meant, copy.root in missing))
