"""Combined terms, filters and orders together, against a search through all photos in Python, on random libraries."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher import Library
from searcher.catalog.rows import ModelRow
from searcher.errors import NotFound
from searcher.filters import Filter, Sort
from searcher.models.relevance import read_text
from searcher.search import Query, Term
from searcher.search.collection import Collection
from searcher.vectors.store import VectorStore
from tests.catalog.worlds import Photo, World, catalog_of, filters, one_condition, sort_key, worlds
from tests.histogram_model import HistogramModel
from tests.search.conftest import Backend
from tests.vectors.filling import unit_vectors

MODEL = HistogramModel()
weights = st.sampled_from([1.0, 2.0, 0.5, -1.0, -0.25])
texts = st.builds(Term, st.sampled_from(["red", "green snow", "blue yellow", "a black cat"]), weight=weights)
images = st.builds(lambda number, weight: Term(like=number, weight=weight), st.integers(1, 8), weights)


@dataclass
class Asked:
    """A query, whose images are numbers of photos."""

    terms: list[Term]
    filter: Filter
    sort: Sort | None
    top: int
    least: float | None


@st.composite
def queries(draw: st.DrawFn) -> Asked:
    filter = draw(one_condition | one_condition | filters)
    terms = draw(st.lists(texts | images, min_size=0 if filter else 1, max_size=3))
    by_relevance = bool(terms or filter.tags or filter.sources)
    sort: Sort | None = draw(st.sampled_from([None, "time", *(["relevance"] if by_relevance else [])]))
    described = any(term.text is not None and term.weight > 0 for term in terms)
    return Asked(
        terms, filter, sort, draw(st.integers(1, 9)), draw(st.sampled_from([None, 0.01, 0.2])) if described else None
    )


def expected(world: World, asked: Asked, vectors: dict[int, np.ndarray]) -> list[tuple[Photo, float, float | None]]:
    """The photos that meet the filter, each with its score and its relevance, best first. vectors: id → embedding."""
    matching = [(photo, probability) for photo, probability in world.matching(asked.filter) if photo.embedded]
    if not asked.terms:
        order = "probability" if asked.sort == "relevance" else "newest"
        matching.sort(key=lambda found: sort_key(order, *found))  # type: ignore[arg-type]
        return [(photo, probability, None) for photo, probability in matching]
    found = []
    for photo, _ in matching:
        row, scores = vectors[photo.id], []
        fits: list[float] = []
        fits_not: list[float] = []
        for term in asked.terms:
            if term.text is None:
                assert isinstance(term.like, int)
                cosine = float(vectors[term.like] @ row)
            else:
                text = read_text(MODEL, term.text)
                cosines = text.vectors @ row
                logits = cosines * text.slopes + text.offsets
                cosine = float(cosines[np.argmax(logits)] if len(asked.terms) == 1 and term.weight > 0 else cosines[0])
                (fits if term.weight > 0 else fits_not).append(1 / (1 + np.exp(-float(logits.max()))))
            scores.append(cosine * (1 if len(asked.terms) == 1 and term.weight > 0 else term.weight))
        relevance = float(min(fits) * np.prod([1 - each for each in fits_not])) if fits else None
        found.append((photo, sum(scores), relevance))
    return sorted(found, key=lambda each: -each[1])


def test_combined_and_filtered_searches_equal_a_search_through_all_photos(backend: Backend) -> None:
    @settings(max_examples=backend.examples(60), deadline=None)
    @given(
        world=worlds(least=6),
        some=st.lists(queries(), min_size=5, max_size=5),
        seed=st.integers(0, 1000),
        in_file=st.booleans(),
    )
    def equal(world: World, some: list[Asked], seed: int, in_file: bool) -> None:
        if backend.in_milvus:  # it holds only photos that are embedded
            world.photos = [photo for photo in world.photos if photo.embedded]
        rows = unit_vectors(max(1, len(world.photos)), seed).astype(np.float16).astype(np.float32)
        with catalog_of(world, rows) as catalog, Library.open(catalog.folder, model=MODEL) as library:
            library._collection = partial(collection_of, library, backend)  # type: ignore[method-assign]
            assert world.model is not None
            if in_file:
                VectorStore(catalog.folder, world.model).rebuild(catalog)
            vectors = {photo.id: rows[number] for number, photo in enumerate(world.photos)}
            of_path = {world.path(photo, copy): (photo, copy) for photo in world.photos for copy in range(photo.copies)}
            with catalog.read() as view:
                image_of = {photo.id: view.photos.of_contents([photo.id])[0].id for photo in world.photos}
            embedded = [photo.id for photo in world.photos if photo.embedded]
            for asked in some:
                if any(term.like is not None for term in asked.terms) and not embedded:
                    continue
                named = []
                for place, term in enumerate(asked.terms):
                    if isinstance(term.like, int):  # one of the photos that there are
                        photo_id = embedded[term.like % len(embedded)]
                        asked.terms[place] = Term(like=photo_id, weight=term.weight)
                        term = Term(like=image_of[photo_id], weight=term.weight)
                    named.append(term)
                query = Query(top=asked.top, filter=asked.filter, least=asked.least, sort=asked.sort, also=tuple(named))
                if world.lacks_a_folder(asked.filter):
                    with pytest.raises(NotFound, match="no indexed photo is in"):
                        library.search(query)
                    continue
                wanted = expected(world, asked, vectors)
                if asked.least is not None and any(abs((fits or 0) - asked.least) < 1e-3 for _, _, fits in wanted):
                    continue  # rounding decides
                if not wanted and any(not has_label(world, tag) for tag in asked.filter.tags):
                    with pytest.raises(NotFound, match="no photo has the label"):
                        library.search(query)
                    continue
                hits = library.search(query)
                numbers = {photo.id: (score, fits) for photo, score, fits in wanted}
                best = [each for each in wanted if asked.least is None or (each[2] or 0) >= asked.least][: asked.top]
                found = [of_path[hit.path] for hit in hits]
                assert len({photo.id for photo, _ in found}) == len(found) == len(best)
                for hit, (photo, copy) in zip(hits, found, strict=True):
                    assert world.meant(photo, asked.filter)[copy]
                    score, fits = numbers[photo.id]
                    assert hit.score == pytest.approx(score, abs=1e-4)
                    assert hit.relevance == (None if fits is None else pytest.approx(fits, abs=1e-3))
                scores = [score for _, score, _ in best]
                if query.by_time:
                    dates = [photo.taken_at or "" for photo, _ in found]
                    assert dates == sorted(dates, reverse=True)
                    assert sorted(hit.score for hit in hits) == pytest.approx(sorted(scores), abs=1e-4)
                else:
                    assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-4)
                if not asked.terms:
                    assert [photo.id for photo, _ in found] == [photo.id for photo, _, _ in best]

    equal()


def has_label(world: World, tag: str) -> bool:
    return any(photo.embedded for photo, _ in world.matching(Filter(tags=(tag,))))


def collection_of(library: Library, backend: Backend, row: ModelRow) -> Collection:
    return backend.collection(library._catalog, library._store_of(row), row)
