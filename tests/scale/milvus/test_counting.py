"""Lists and counts of a library in Milvus are those of the same library on this machine, read row by row or counted."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.catalog.read.photos import Order
from searcher.catalog.rows import Photo
from searcher.filters import EVERYTHING, Filter
from searcher.scale.milvus import browsing, counting, overview
from searcher.scale.milvus.address import Address, read_address
from searcher.scale.milvus.connection import Connection
from searcher.search.collection import Collection
from searcher.search.local import LocalCollection
from searcher.vectors.store import VectorStore
from tests.catalog.worlds import ORDERS, World, catalog_of, filters, one_condition, worlds
from tests.scale.milvus.filling import copy_to_milvus
from tests.vectors.filling import unit_vectors


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    found = read_address(f"milvus:{tmp_path_factory.mktemp('milvus')}/a.db/photos")
    with closing(Connection(found)) as kept:  # until the end: opening the file takes a while
        kept.call("list_collections")
        yield found


@pytest.fixture(params=["read", "counted"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the photos are so many that Milvus counts them."""
    if request.param == "counted":
        for module in (browsing, counting, overview):
            monkeypatch.setattr(module, "FEW", -1)
        monkeypatch.setattr(browsing, "FEW_DATES", -1)


def listed(collection: Collection, filter: Filter, order: Order, offset: int, limit: int) -> list[tuple[str, float]]:
    """Paths and probabilities of a page."""
    page = collection.browse(filter, order, offset, limit)
    photos = collection.photos([id for id, _ in page])
    return [(photos[id][0].path, sure) for id, sure in page]


def plain(photo: Photo) -> dict[str, Any]:
    """A photo without what each kind of library has its own way to say."""
    return photo._asdict() | {"content_id": 0, "root": b"", "relpath": photo.path_bytes, "tags": ()}


@pytest.mark.usefixtures("few")
def test_lists_and_counts_equal_those_on_this_machine(address: Address, tmp_path: Path) -> None:
    @settings(max_examples=4, deadline=None)
    @given(
        world=worlds(least=5),
        some=st.lists(one_condition | filters, min_size=2, max_size=2),
        pages=st.lists(
            st.tuples(st.sampled_from(ORDERS), st.integers(0, 7), st.sampled_from([-1, 1, 2, 3, 50])), min_size=4
        ),
    )
    def equal(world: World, some: list[Filter], pages: list[tuple[Order, int, int]]) -> None:
        world.photos = [photo for photo in world.photos if photo.embedded]
        rows = unit_vectors(max(1, len(world.photos)), 1).astype(np.float16).astype(np.float32)
        with catalog_of(world, rows) as catalog:
            assert world.model is not None
            store = VectorStore(catalog.folder, world.model)
            local = LocalCollection(catalog, store, world.model)
            with copy_to_milvus(catalog, world.model, address, tmp_path) as remote:
                for filter in (EVERYTHING, *some):
                    if world.lacks_a_folder(filter):
                        continue
                    for order, offset, limit in pages:
                        page = listed(remote, filter, order, offset, limit)
                        assert page == listed(local, filter, order, offset, limit)
                    assert remote.timeline(filter) == local.timeline(filter)
                    assert remote.label_counts(filter) == local.label_counts(filter)
                    for each in (1.0, 90.0):
                        assert places(remote, filter, each) == places(local, filter, each)
                    assert labels(remote, filter) == labels(local, filter)
                same(remote, local, world)

    equal()


def places(collection: Collection, filter: Filter, precision: float) -> set[tuple[object, ...]]:
    found = collection.places(filter, precision)
    assert [place.photos for place in found] == sorted((place.photos for place in found), reverse=True)
    return {(round(place.latitude, 9), round(place.longitude, 9), place.photos, place.id) for place in found}


def labels(collection: Collection, filter: Filter) -> list[tuple[object, ...]]:
    """Each label with its counts, and the number of its samples."""
    return [
        (label.label, label.photos, label.sources, len(label.samples), len(set(label.samples)))
        for label in collection.label_overview(filter)
    ]


def same(remote: Collection, local: Collection, world: World) -> None:
    """What is said about images and about the whole library."""
    ids = list(local.image_files(range(1, 40)))
    files = [
        {id: (file.photo.path, *file[1:]) for id, file in each.image_files(ids).items()} for each in (remote, local)
    ]
    assert files[0] == files[1] and len(files[0]) == len(ids)
    assert [photo.path for photo in remote.with_copies(ids[:2])] == [photo.path for photo in local.with_copies(ids[:2])]
    for id in ids:
        mine, other = remote.details(id), local.details(id)
        assert mine is not None and other is not None
        assert mine.content == other.content
        assert plain(mine.photo) == plain(other.photo)
        assert [copy.path for copy in mine.copies] == [copy.path for copy in other.copies]
        assert remote.digest(id) == local.digest(id)
    assert remote.details(999) is None and remote.digest(999) is None
    assert remote.labels() == local.labels()
    facets, expected = remote.facets(), local.facets()
    for kind in ("cameras", "formats", "orientations"):
        assert sorted(getattr(facets, kind)) == sorted(getattr(expected, kind))
    assert set(facets.sources) == set(expected.sources)
    assert sum(folder.images for folder in remote.folders()) == sum(folder.images for folder in local.folders())
    assert remote.vector_state().vectors == len(world.photos)
