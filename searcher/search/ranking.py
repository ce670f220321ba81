"""All hits of a query in their order, without the photos behind them, so that pages of them can be shown."""

from dataclasses import dataclass, replace

import numpy as np

from searcher.filters import EVERYTHING, Filter
from searcher.models.relevance import FITS
from searcher.search.asked import Asked
from searcher.search.collection import Collection
from searcher.search.find import Ranked, check_tags, look_up, narrowed, ranked_photos, unlike_first
from searcher.search.query import Hits, Query

STEPS = (600, 1500, 5000)
"""How many photos are ranked: the first number, and a larger one while they do not hold all that are shown."""
LESS_LIKELY = 500
"""How many photos follow those that are likely, or that only look like a picture."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ids (n,) int64 of embeddings, in the order of hits, with scores (n,) and relevances (n,) float32.

    relevances: None without a text. likely: how many photos have a relevance of FITS or more, and come first; None
    without a text. likely_exact: False if there may be more of them. nothing_fits, notices: as those of Hits.
    """

    ids: np.ndarray
    scores: np.ndarray
    relevances: np.ndarray | None = None
    likely: int | None = None
    likely_exact: bool = True
    nothing_fits: bool = False
    notices: tuple[str, ...] = ()
    filter: Filter = EVERYTHING

    def __len__(self) -> int:
        return len(self.ids)


EMPTY = Ranking(np.zeros(0, np.int64), np.zeros(0, np.float32))


def rank(collection: Collection, query: Query | None, asked: Asked | None) -> Ranking:
    """Rank the photos for a query, for which `encode` returned `asked`. None stands for all photos, newest first.

    Without a term all photos that meet the filter are ranked. Otherwise the likely ones come first, and at most
    LESS_LIKELY others follow. Sorted by time, the likely ones are in the order of their dates. Raises NotFound for a
    tag that no photo has.
    """
    if query is None or asked is None:
        return _listed(collection, query)
    filter, notices = narrowed(collection, query.filter)
    found: list[Ranked] = []
    likely: list[Ranked] = []
    for top in STEPS:
        found = ranked_photos(collection, filter, replace(query, sort=None, least=None), top, asked)
        likely = [each for each in found if each.relevance is not None and each.relevance >= FITS]
        if len(found) < top or len(likely) + LESS_LIKELY <= top:
            break
    if not found:
        check_tags(collection, query.filter)
        return replace(EMPTY, notices=notices)
    if query.diverse:
        found = unlike_first(collection, found, len(found), asked)
        likely = [each for each in found if each.relevance is not None and each.relevance >= FITS]
    if not asked.positive:
        found = found[:LESS_LIKELY]
        return _ranking(_by_time(collection, filter, found) if query.sort == "time" else found, notices, filter)
    exact = len(found) < top or (asked.alone is not None and len(likely) < len(found))
    others = [each for each in found if each.relevance is None or each.relevance < FITS]
    if query.least is not None:
        likely, others = (
            [each for each in part if each.relevance is not None and each.relevance >= query.least]
            for part in (likely, others)
        )
    if query.sort == "time":
        likely = _by_time(collection, filter, likely)
    ranked = [*likely, *others[: min(LESS_LIKELY, top - len(likely))]]
    fits = any(each.relevance is not None and each.relevance >= FITS for each in found)
    return replace(
        _ranking(ranked, notices, filter),
        relevances=np.array([each.relevance for each in ranked], np.float32),
        likely=len(likely),
        likely_exact=exact,
        nothing_fits=not fits,
    )


def page(collection: Collection, ranking: Ranking, offset: int, limit: int) -> Hits:
    """The hits from `offset` on, at most `limit`. Photos that are gone since the ranking are left out."""
    part = slice(offset, offset + limit)
    ids, scores = ranking.ids[part].tolist(), ranking.scores[part].tolist()
    chances = [None] * len(ids) if ranking.relevances is None else ranking.relevances[part].tolist()
    ranked = [
        Ranked(id, score, None if chance is None else round(chance, 6), score)
        for id, score, chance in zip(ids, scores, chances, strict=True)
    ]
    hits = look_up(collection, ranking.filter, ranked, first=offset + 1)
    return Hits(hits, nothing_fits=ranking.nothing_fits, notices=ranking.notices)


def _listed(collection: Collection, query: Query | None) -> Ranking:
    """All photos that meet the filter of a query without terms."""
    filter, notices = narrowed(collection, EVERYTHING if query is None else query.filter)
    by_time = query is None or query.by_time
    found = collection.browse(filter, "newest" if by_time else "probability", limit=-1)
    if not found:
        check_tags(collection, filter)
    ids, scores = zip(*found, strict=True) if found else ((), ())
    return Ranking(np.array(ids, np.int64), np.array(scores, np.float32), notices=notices, filter=filter)


def _by_time(collection: Collection, filter: Filter, ranked: list[Ranked]) -> list[Ranked]:
    """Newest first, and those without a date last."""
    photos = collection.photos([each.id for each in ranked], filter)
    dates = {id: max((copy.taken_at or "" for copy in copies), default="") for id, copies in photos.items()}
    return sorted(ranked, key=lambda each: dates.get(each.id, ""), reverse=True)


def _ranking(ranked: list[Ranked], notices: tuple[str, ...], filter: Filter) -> Ranking:
    ids, scores = [each.id for each in ranked], [each.score for each in ranked]
    return Ranking(np.array(ids, np.int64), np.array(scores, np.float32), notices=notices, filter=filter)
