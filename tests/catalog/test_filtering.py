"""Filters, pages and counts against a search through all photos in Python, on random catalogs."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.catalog import Catalog
from searcher.catalog.read.photos import Month
from searcher.catalog.rows import USER, ZERO_SHOT, LabelCount, Place
from searcher.errors import NotFound
from searcher.filters import EVERYTHING, Filter
from tests.catalog.worlds import ORDERS, World, catalog_of, filters, sort_key, worlds


@settings(max_examples=60, deadline=None)
@given(world=worlds(), asked=st.lists(filters, min_size=1, max_size=6), size=st.integers(1, 4))
def test_filters_pages_and_counts_equal_a_search_through_all_photos(
    world: World, asked: list[Filter], size: int
) -> None:
    with catalog_of(world) as catalog, catalog.read() as view:
        assert world.model is not None
        for filter in (EVERYTHING, *asked):
            if world.lacks_a_folder(filter):
                with pytest.raises(NotFound, match="no indexed photo is in"):
                    view.photos.browse(world.model, filter)
                continue
            expected = world.matching(filter)

            sql, parameters = view._compiled(filter)
            assert sorted(view._rows(sql, *parameters)) == sorted((photo.id, p) for photo, p in expected)

            copies = view.photos.of_embeddings(range(1000), filter)
            assert {id: [photo.meant for photo in photos] for id, photos in copies.items()} == {
                photo.embedding: world.meant(photo, filter) for photo in world.photos if photo.embedded
            }

            ids, probabilities = view.embeddings.matching(filter, world.model.id)
            assert ids.dtype == np.int64 and probabilities.dtype == np.float64
            present = sorted((photo.embedding, p) for photo, p in expected if photo.embedded)
            assert list(zip(ids.tolist(), probabilities.tolist(), strict=True)) == present

            months = Counter(photo.taken_at and photo.taken_at[:7] for photo, _ in expected)
            dated = sorted((month for month in months if month), reverse=True)
            timeline = [Month(month, months[month]) for month in [*dated, None] if months[month]]
            assert view.photos.timeline(filter) == timeline

            counted = view.tags.counts(filter)
            assert {(row.label, row.source): row.photos for row in counted} == world.counts(filter)
            listed = [(-row.photos, row.label, row.source) for row in counted]
            assert listed == sorted(listed)

            for order in ORDERS:
                ranked = sorted(
                    ((photo, p) for photo, p in expected if photo.embedded),
                    key=lambda found: sort_key(order, *found),
                )
                everything = [(photo.embedding, p) for photo, p in ranked]
                assert view.photos.browse(world.model, filter, order) == everything
                pages = [
                    view.photos.browse(world.model, filter, order, offset=offset, limit=size)
                    for offset in range(0, len(everything) + size, size)
                ]
                assert all(len(page) <= size for page in pages)
                assert [row for page in pages for row in page] == everything


def test_a_label_includes_the_labels_below_it_but_not_those_above(catalog: Catalog) -> None:
    with catalog.write() as change:
        labels = change.tags.add_labels({"poodle": "dog", "dog": "animal", "cat": "animal"})
        change.tags.put_results([1, 2], labels.values(), [(1, labels["poodle"], ZERO_SHOT, 0.75)], 1)
        change.tags.add_user_tag([2], labels["dog"])
    with catalog.read() as view:
        found = {name: view.embeddings.matching(Filter((name,)), 1) for name in ("animal", "dog", "poodle", "cat")}
        assert {name: dict(zip(*map(list, rows), strict=True)) for name, rows in found.items()} == {
            "animal": {1: 0.75, 2: 1.0},
            "dog": {1: 0.75, 2: 1.0},
            "poodle": {1: 0.75},
            "cat": {},
        }
        both, least = view.embeddings.matching(Filter(("animal", "poodle")), 1)
        assert both.tolist() == [1] and least.tolist() == [0.75]


def test_labels_that_are_above_each_other_in_a_circle_do_no_harm(catalog: Catalog) -> None:
    with catalog.write() as change:
        labels = change.tags.add_labels({"hen": "egg", "egg": "hen"})
        change.tags.add_user_tag([1], labels["hen"])
        change.tags.add_user_tag([2], labels["egg"])
    with catalog.read() as view:
        assert view.embeddings.matching(Filter(("egg",)), 1)[0].tolist() == [1, 2]


def test_counts_of_copies_and_sources(catalog: Catalog) -> None:
    with catalog.write() as change:
        labels = change.tags.add_labels({"dog": None, "cat": None})
        change.files.put_image(Place(1, b"copy.png", 1, 1), 1)
        results = [(number, labels["dog"], ZERO_SHOT, 0.5) for number in (1, 2, 3)]
        change.tags.put_results([1, 2, 3], labels.values(), results, 1)
        change.tags.add_user_tag([1, 11], labels["cat"])
    with catalog.read() as view:
        assert view.tags.counts() == [LabelCount("dog", ZERO_SHOT, 3), LabelCount("cat", USER, 1)]
        assert view.tags.counts(Filter(("cat",))) == [LabelCount("cat", USER, 1), LabelCount("dog", ZERO_SHOT, 1)]


def test_a_refusal_removes_what_runs_gave_and_lasts_until_the_label_is_given_by_hand(catalog: Catalog) -> None:
    def give(*contents: int) -> None:
        results = [(number, label, ZERO_SHOT, 0.5) for number in contents]
        with catalog.write() as change:
            change.tags.put_results(contents, [label], results, 1)

    def having() -> list[int]:
        with catalog.read() as view:
            return [int(id) for id in view.embeddings.matching(Filter(("dog",)), 1)[0]]

    with catalog.write() as change:
        label = change.tags.add_labels({"dog": None})["dog"]
    give(1, 2, 3)
    with catalog.write() as change:
        assert change.tags.refuse_tag([2, 4], label) == 2
        assert change.tags.refuse_tag([2], label) == 0
    give(1, 2, 4, 5)
    assert having() == [1, 3, 5]
    with catalog.read() as view:
        assert view.tags.counts() == [LabelCount("dog", ZERO_SHOT, 3)]
        assert view.tags.by_hand(range(10)) == {2: {"dog": False}, 4: {"dog": False}}
        assert sorted(view.photos.tags(range(10))) == [1, 3, 5]
    with catalog.write() as change:
        assert change.tags.add_user_tag([2], label) == 1
    give(2, 4)
    assert having() == [1, 2, 3, 5]


def test_any_text_can_be_a_tag(catalog: Catalog) -> None:
    names = ["x' OR 1=1 --", "%", "", '"', "日本", "a" * 10_000]
    with catalog.write() as change:
        labels = change.tags.add_labels(dict.fromkeys(names))
        for number, name in enumerate(names, start=1):
            change.tags.add_user_tag([number], labels[name])
    with catalog.read() as view:
        for number, name in enumerate(names, start=1):
            assert view.embeddings.matching(Filter((name,)), 1)[0].tolist() == [number]


def test_a_page_after_the_last_one_is_empty(catalog: Catalog) -> None:
    with catalog.read() as view:
        model = view.models.current()
        assert model is not None
        assert [id for id, _ in view.photos.browse(model)] == list(range(10, 0, -1))
        assert [id for id, _ in view.photos.browse(model, order="oldest", offset=8)] == [9, 10]
        assert view.photos.browse(model, offset=10) == view.photos.browse(model, limit=0) == []
        assert view.photos.timeline() == [Month("2023-06", 10)]


def test_a_filter_of_many_tags_stays_within_the_limits_of_sqlite(catalog: Catalog) -> None:
    names = [f"label {number}" for number in range(20)]
    with catalog.write() as change:
        labels = change.tags.add_labels(dict.fromkeys(names))
        for label_id in labels.values():
            change.tags.add_user_tag([3], label_id)
    with catalog.read() as view:
        assert view.embeddings.matching(Filter(tuple(names)), 1)[0].tolist() == [3]
        assert view.tags.counts(Filter(tuple(names)))[0].photos == 1
