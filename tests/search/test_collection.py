"""Collections: each finds exactly the nearest photos that are there and meet the filter."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.catalog import Catalog
from searcher.catalog.rows import USER, LabelCount, PhotoTag
from searcher.catalog.rows import Place as CatalogPlace
from searcher.errors import InvalidInput, NotFound
from searcher.filters import EVERYTHING, Filter
from searcher.models.relevance import FITS, Wordings, relevance
from searcher.search import Hit, Query, Term, diverse
from searcher.search.asked import Asked
from searcher.search.collection import Collection
from searcher.search.find import find
from searcher.search.local import SPARE
from searcher.vectors.store import VectorStore
from tests.catalog.filling import fill
from tests.search.conftest import Backend
from tests.vectors.filling import DIM, add, all_vectors, check_ranking, remove, unit_vectors


class Place:
    """A library of random embeddings. Image 1 + n has the name n.png. Every third one is a dog, every tenth a cat."""

    def __init__(self, catalog: Catalog, photos: int, backend: Backend) -> None:
        self.catalog, self.backend = catalog, backend
        self.model = add(catalog, photos)
        self.store = VectorStore(catalog.folder, self.model)
        with catalog.write() as change:
            labels = change.tags.add_labels({"dog": "animal", "cat": "animal", "unicorn": None})
            change.tags.add_user_tag(range(3, photos + 1, 3), labels["dog"])
            change.tags.add_user_tag(range(10, photos + 1, 10), labels["cat"])

    @property
    def collection(self) -> Collection:
        return self.backend.collection(self.catalog, self.store, self.model)

    def check(self, k: int, filter: Filter = EVERYTHING, queries: int = 2) -> None:
        """`nearest` equals an exact search among the photos that are there and meet `filter`."""
        vectors = unit_vectors(queries, seed=k)
        found = self.collection.nearest(vectors, k, filter)
        with self.catalog.read() as view:
            expected = all_vectors(view, self.model)
            if filter:
                ids = set(view.embeddings.matching(filter, self.model.id)[0].tolist())
                expected = {id: vector for id, vector in expected.items() if id in ids}
        assert len(found) == queries
        for hits, query in zip(found, vectors, strict=True):
            check_ranking(hits, expected, query, k)


@pytest.fixture
def place(tmp_path: Path, backend: Backend) -> Iterator[Place]:
    with closing(Catalog(tmp_path)) as catalog:
        yield Place(catalog, 200, backend)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Place]:
    """A place that no test changes."""
    with closing(Catalog(tmp_path_factory.mktemp("place"))) as catalog:
        yield Place(catalog, 200, backend)


FILTERS = [EVERYTHING, Filter(("dog",)), Filter(("cat",)), Filter(("animal",)), Filter(("cat", "dog"))]
FILTERS += [Filter(("unicorn",)), Filter(("nobody",)), Filter(("unicorn", "dog"))]
FILTERS += [Filter(name="?5.PNG", after="2023-06"), Filter(before="2023"), Filter(("dog",), min_pixels=1200)]


def test_the_nearest_photos_equal_an_exact_search(backend: Backend) -> None:
    @settings(max_examples=backend.examples(20), deadline=None)
    @given(
        photos=st.integers(0, 60),
        later=st.integers(0, 20),
        gone=st.sets(st.integers(0, 79), max_size=60),
        orphans=st.booleans(),
        asked=st.lists(st.tuples(st.integers(1, 90), st.sampled_from(FILTERS)), min_size=1, max_size=4),
    )
    def equal(photos: int, later: int, gone: set[int], orphans: bool, asked: list[tuple[int, Filter]]) -> None:
        with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder))) as catalog:
            place = Place(catalog, photos, backend)
            for k, filter in asked:
                place.check(k, filter)
            place.store.rebuild(catalog)
            if later:
                add(catalog, later, start=photos)
            remove(catalog, sorted(gone), orphans=orphans)
            for k, filter in asked:
                place.check(k, filter)

    equal()


def test_there_are_as_many_hits_as_asked_for_when_many_vectors_are_gone(place: Place) -> None:
    place.store.rebuild(place.catalog)
    # the nearest ones to the query are all gone
    (hits,) = place.collection.nearest(unit_vectors(1, seed=5), 150)
    with place.catalog.read() as view:
        photos = view.photos.of_embeddings(id for id, _ in hits)
    remove(place.catalog, [int(photos[id][0].relpath.split(b".")[0]) for id, _ in hits])
    place.check(5, queries=1)
    place.check(50)
    place.check(51)
    assert len(place.collection.nearest(unit_vectors(1, seed=5), 40)[0]) == 40
    if not place.backend.in_milvus:
        assert place.store.size == 200  # no new file was written


def test_there_are_as_many_hits_as_asked_for_when_images_are_gone_and_contents_are_not(place: Place) -> None:
    place.store.rebuild(place.catalog)
    remove(place.catalog, range(150), orphans=False)
    for k in (1, SPARE, 50, 60):
        place.check(k)
        place.check(k, Filter(("dog",)))


def test_a_filter_that_few_photos_meet_still_fills_the_page(place: Place) -> None:
    place.store.rebuild(place.catalog)
    for filter in FILTERS:
        for k in (1, 6, 7, 20, 300):
            place.check(k, filter)
    assert len(place.collection.nearest(unit_vectors(1, 1), 20, Filter(("cat", "dog")))[0]) == 6
    assert place.collection.nearest(unit_vectors(2, 1), 20, Filter(("unicorn",))) == [[], []]


def test_many_queries_are_answered_at_once(place: Place) -> None:
    place.check(30, queries=40)
    assert place.collection.nearest(unit_vectors(0, 1), 5) == []


def test_a_search_sees_photos_that_were_just_committed(place: Place) -> None:
    place.check(10)
    add(place.catalog, 30, start=200)
    place.check(230)
    place.store.rebuild_if_needed(place.catalog)
    place.check(230)


def test_an_empty_library_has_no_hits(tmp_path: Path, backend: Backend) -> None:
    with closing(Catalog(tmp_path)) as catalog:
        place = Place(catalog, 0, backend)
        assert place.collection.nearest(unit_vectors(2, 1), 5) == [[], []]
        assert not place.collection.browse()
        assert not place.collection.timeline()
        assert not place.collection.label_counts()


def test_the_rest_of_a_collection_is_what_the_catalog_says(place: Place) -> None:
    collection = place.collection
    assert [photo.path for photo in collection.photos([1])[1]] == ["/photos/0.png"]
    assert collection.tags([30]) == {30: [PhotoTag("cat", USER, 1.0), PhotoTag("dog", USER, 1.0)]}
    assert collection.label_counts() == [LabelCount("dog", USER, 66), LabelCount("cat", USER, 20)]
    assert [month.photos for month in collection.timeline(Filter(("cat",)))] == [20]
    assert collection.browse(Filter(("cat", "dog")), order="oldest", offset=1, limit=2) == [(60, 1.0), (90, 1.0)]


# find


def wordings(vectors: np.ndarray, boundary: float) -> Wordings:
    """Wordings of slope 10: a photo shows what was asked for if its cosine is at least `boundary`."""
    count = len(vectors)
    return Wordings(vectors, np.full(count, 10, np.float32), np.full(count, -10 * boundary, np.float32))


def only(texts: Wordings) -> Asked:
    """A query of one text."""
    return Asked(texts.vectors[0], (texts,), (), texts)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    weights=st.lists(st.floats(-3, 3).filter(lambda weight: abs(weight) > 0.01), min_size=2, max_size=4),
    least=st.none() | st.floats(0.0, 1.0),
    filter=st.sampled_from(FILTERS[:5]),
)
def test_several_terms_rank_by_their_weighted_sum_and_have_the_relevance_of_the_texts(
    places: Place, seed: int, weights: list[float], least: float | None, filter: Filter
) -> None:
    vectors = unit_vectors(len(weights), seed)
    texts = [wordings(vector[None], 0.1) for vector in vectors]
    positive = tuple(text for text, weight in zip(texts, weights, strict=True) if weight > 0)
    negative = tuple(text for text, weight in zip(texts, weights, strict=True) if weight < 0)
    asked = Asked((np.array(weights, np.float32)[:, None] * vectors).sum(axis=0), positive, negative)
    if not positive:
        least = None
    also = tuple(Term(f"term {number}", weight=weight) for number, weight in enumerate(weights))
    hits = find(places.collection, Query(top=7, filter=filter, also=also, least=least), asked)
    with places.catalog.read() as view:
        stored = all_vectors(view, places.model)
        ids = view.embeddings.matching(filter, places.model.id)[0].tolist() if filter else list(stored)
    expected = []
    for id in ids:
        chances = [float(relevance(text.logits(stored[id][None]))[0]) for text in texts]
        fits = min((chance for chance, weight in zip(chances, weights, strict=True) if weight > 0), default=None)
        for chance, weight in zip(chances, weights, strict=True):
            fits = None if fits is None else fits * (1 - chance) if weight < 0 else fits
        expected.append((float(stored[id] @ asked.vector), fits))
    expected.sort(key=lambda each: -each[0])
    if least is not None:
        border = [fits for _, fits in expected if fits is not None and abs(fits - least) < 1e-4]
        expected = [(score, fits) for score, fits in expected if fits is not None and fits >= least]
        if border:  # rounding decides
            return
    assert [hit.score for hit in hits] == pytest.approx([score for score, _ in expected[:7]], abs=1e-3)
    for hit, (_, fits) in zip(hits, expected, strict=False):
        assert (hit.relevance is None) == (fits is None)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 16), st.integers(1, 60), st.floats(0.0, 0.6), st.sampled_from(FILTERS[:5])
)
def test_the_hits_that_fit_are_a_prefix_of_an_exact_ranking(
    places: Place, seed: int, count: int, top: int, boundary: float, filter: Filter
) -> None:
    draw = np.random.default_rng(seed)
    slopes = draw.uniform(1, 30, count).astype(np.float32)
    asked = Wordings(unit_vectors(count, seed), slopes, (-boundary * slopes).astype(np.float32))
    hits = find(places.collection, Query(text="anything", top=top, filter=filter), only(asked))
    with places.catalog.read() as view:
        stored = all_vectors(view, places.model)
        ids = view.embeddings.matching(filter, places.model.id)[0].tolist() if filter else list(stored)
    logits = asked.logits(np.stack([stored[id] for id in ids]))
    assert [hit.relevance for hit in hits] == pytest.approx(
        (1 / (1 + np.exp(-np.sort(logits)[::-1].astype(float))))[:top], abs=1e-4
    )
    fits = [hit.relevance is not None and hit.relevance >= FITS for hit in hits]
    assert fits == sorted(fits, reverse=True)
    assert hits.nothing_fits == (not any(fits))
    for hit in hits:
        assert hit.relevance == pytest.approx(float(1 / (1 + np.exp(-float(logits[ids.index(hit.id)])))), abs=1e-4)


def test_only_hits_with_the_least_relevance_are_returned(place: Place) -> None:
    with place.catalog.read() as view:
        vector = all_vectors(view, place.model)[30][None]
    (hit,) = find(place.collection, Query(text="anything", least=0.5), only(wordings(vector, 0.9)))
    assert hit.id == 30
    nothing = find(place.collection, Query(text="anything", least=0.5), only(wordings(vector, 1.1)))
    assert not nothing
    assert nothing.nothing_fits


# diverse


def scenes_of_ten(catalog: Catalog, scenes: int, fall: float, backend: Backend) -> tuple[Collection, np.ndarray]:
    """`scenes` bursts of ten shots each, ids ascending, and the query that the first scene fits best. The cosine with
    the query falls by `fall` from one scene to the next.
    """
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))[0].astype(np.float32)
    query, centres = basis[0], basis[1 : scenes + 1]
    shots = []
    for number, centre in enumerate(centres):
        cosine = 0.6 - fall * number
        scene = cosine * query + np.sqrt(1 - cosine**2) * centre
        shots += [scene + 0.003 * noise for noise in unit_vectors(10, seed=number)]
    vectors = np.stack(shots)
    fill(catalog, len(vectors), 0, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    with catalog.read() as view:
        model = view.models.current()
    assert model is not None
    return backend.collection(catalog, VectorStore(catalog.folder, model), model), query[None]


def scenes_found(hits: Sequence[Hit]) -> list[int]:
    return [(hit.id - 1) // 10 for hit in hits]


def test_diverse_hits_show_each_scene_before_the_second_shot_of_one(tmp_path: Path, backend: Backend) -> None:
    with closing(Catalog(tmp_path)) as catalog:
        collection, query = scenes_of_ten(catalog, 8, 0.01, backend)
        for asked in (only(wordings(query, 0.5)), only(wordings(query, 0.7)), Asked(query[0])):
            plain = find(collection, Query(text="x", top=10), asked)
            assert set(scenes_found(plain)) == {0}
            hits = find(collection, Query(text="x", top=10, diverse=True), asked)
            assert hits[0] == plain[0]
            assert len(set(scenes_found(hits)[:5])) == 5  # as many as five times ten photos hold
            assert [hit.rank for hit in hits] == list(range(1, 11))
            by_time = find(collection, Query(text="x", top=10, diverse=True, sort="time"), asked)
            assert {hit.id for hit in by_time} == {hit.id for hit in hits}


def test_diverse_hits_that_fit_come_before_all_others(tmp_path: Path, backend: Backend) -> None:
    with closing(Catalog(tmp_path)) as catalog:
        collection, query = scenes_of_ten(catalog, 8, 0.05, backend)
        asked = only(wordings(query, 0.525))  # two scenes fit
        hits = find(collection, Query(text="x", top=24, diverse=True), asked)
        assert set(scenes_found(hits[:2])) == {0, 1}
        assert set(scenes_found(hits[:20])) == {0, 1} and not {0, 1} & set(scenes_found(hits[20:]))
        assert not hits.nothing_fits
        fitting = find(collection, Query(text="x", top=24, diverse=True, least=0.5), asked)
        assert {hit.id for hit in fitting} == {hit.id for hit in hits[:20]} and len(set(scenes_found(fitting[:2]))) == 2
        nothing = find(collection, Query(text="x", diverse=True, least=0.5), only(wordings(query, 0.9)))
        assert not nothing and nothing.nothing_fits


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 60), top=st.integers(1, 80), most=st.integers(1, 20), seed=st.integers(0, 1000))
def test_the_order_of_diverse_hits_holds_each_photo_once_and_begins_with_the_best(
    count: int, top: int, most: int, seed: int
) -> None:
    vectors = unit_vectors(count, seed)
    worth = np.sort(np.random.default_rng(seed).standard_normal(count))[::-1]
    first = np.arange(count) < seed % 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diverse, "MOST", most)
        order = diverse.diverse_order(worth, vectors, first, top)
    assert len(set(order)) == len(order) == min(top, count)
    assert order[0] == 0
    assert first[order].tolist() == sorted(first[order].tolist(), reverse=True)
    same = np.repeat(vectors[:1], 3, axis=0)
    assert sorted(diverse.diverse_order(np.zeros(3), same, np.zeros(3, bool), 3)) == [0, 1, 2]


def test_the_copy_that_the_filter_is_about_is_shown(place: Place) -> None:
    with place.catalog.write() as change:
        root = change.files.add_root(b"/trips", whole=True)
        change.files.put_image(CatalogPlace(root.id, b"2020/Beach.jpg", 1, 1), 30)
    for filter in (Filter(folders=("/trips/2020",)), Filter(name="beach*"), Filter(("cat",), folders=("/trips",))):
        (hit,) = find(place.collection, Query(filter=filter), None)
        assert (hit.path, hit.copies) == ("/trips/2020/Beach.jpg", ("/photos/29.png",))
    (hit,) = find(place.collection, Query(filter=Filter(name="29.png")), None)
    assert (hit.path, hit.copies) == ("/photos/29.png", ("/trips/2020/Beach.jpg",))
    with pytest.raises(NotFound, match="no indexed photo is in /trips/2021"):
        find(place.collection, Query(filter=Filter(folders=("/trips/2021",))), None)


def test_hits_can_be_sorted_by_time_and_photos_without_a_date_are_last(place: Place) -> None:
    with place.catalog.write() as change:
        for id, date in ((30, None), (60, "2024-01-01T00:00:00"), (90, "2020-05-05T05:05:05")):
            change.tags._execute("UPDATE contents SET taken_at = ? WHERE id = ?", date, id)
    cats_and_dogs = Filter(("cat", "dog"))
    for sort in (None, "time"):
        hits = find(place.collection, Query(filter=cats_and_dogs, sort=sort), None)
        assert [hit.id for hit in hits] == [60, 180, 150, 120, 90, 30]
    with place.catalog.read() as view:
        vector = all_vectors(view, place.model)[30][None]
    by_relevance = find(place.collection, Query(text="x", filter=cats_and_dogs, top=4), only(wordings(vector, 0.5)))
    by_time = find(
        place.collection, Query(text="x", filter=cats_and_dogs, top=4, sort="time"), only(wordings(vector, 0.5))
    )
    assert by_relevance[0].id == 30 == by_time[-1].id
    assert sorted(hit.id for hit in by_relevance) == sorted(hit.id for hit in by_time)
    assert [hit.rank for hit in by_time] == [1, 2, 3, 4]
    dates = [hit.taken_at or "" for hit in by_time]
    assert dates == sorted(dates, reverse=True)
    with pytest.raises(InvalidInput, match="sorting by relevance"):
        Query(filter=Filter(name="*"), sort="relevance")


def test_hits_have_their_rank_score_copies_and_tags(place: Place) -> None:
    with place.catalog.read() as view:
        vector = all_vectors(view, place.model)[30][None]
    hits = find(place.collection, Query(text="anything", top=5), only(wordings(vector, 0.5)))
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    assert (hits[0].path, hits[0].id, hits[0].tags, hits[0].copies) == ("/photos/29.png", 30, ("cat", "dog"), ())
    assert hits[0].score == pytest.approx(1, abs=1e-3)
    assert not hits.nothing_fits
    assert [hit.relevance for hit in hits] == sorted((hit.relevance or 0 for hit in hits), reverse=True)
    assert find(place.collection, Query(text="anything", top=5), only(wordings(vector, 1.1))).nothing_fits


def test_a_filter_alone_is_a_query_and_an_unknown_tag_is_an_error(place: Place) -> None:
    hits = find(place.collection, Query(filter=Filter(("cat",)), top=3, sort="relevance"), None)
    assert [(hit.path, hit.score) for hit in hits] == [(f"/photos/{n}.png", 1.0) for n in (9, 19, 29)]
    with pytest.raises(NotFound, match="unicorn"):
        find(place.collection, Query(filter=Filter(("cat", "unicorn"))), None)
    with pytest.raises(NotFound, match="nobody"):
        find(place.collection, Query(text="x", filter=Filter(("nobody",))), Asked(unit_vectors(1, 1)[0]))
    with pytest.raises(NotFound, match="udcff"):  # a byte of a shell argument that is not UTF-8
        find(place.collection, Query(filter=Filter(("cat", "\udcff"))), None)
