"""A library whose vectors are in several files with graphs."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from searcher.catalog import Catalog
from searcher.progress import Progress
from searcher.vectors import plan, store
from searcher.vectors.store import StoreStatus, VectorStore
from tests.vectors.filling import add, remove
from tests.vectors.stores import check, damage, files, many_files, put, status


def test_new_embeddings_become_files_of_their_own_and_are_merged(catalog: Catalog) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 25))
        assert vectors.rebuild_if_needed(catalog)
        assert len(files(vectors)) == 3
        assert status(catalog, vectors) == StoreStatus("hnsw", 25, 0, 0)
        kept = {path: path.read_bytes() for path in files(vectors)[:2]}
        for start in range(25, 100, 5):
            add(catalog, 5, start)
            vectors.rebuild_if_needed(catalog)
            check(catalog, vectors)
        assert {path: path.read_bytes() for path in kept} == kept  # what is full is not written again
        assert status(catalog, vectors) == StoreStatus("hnsw", 100, 0, 0)
        assert 10 <= len(files(vectors)) <= 16
        with catalog.read() as view:
            assert vectors.problems(view) == []
            assert len(view.models.vector_files(vectors.model.id)) <= 2 * len(files(vectors))


def test_building_graphs_is_announced_and_is_a_phase_with_its_own_count(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    class Recording(Progress):
        def advance(self, done: int, total: int | None) -> None:
            seen.append((done, total))

        def notice(self, message: str) -> None:
            seen.append(message.split(",")[0])

        @contextmanager
        def phase(self, title: str) -> Iterator[Progress]:
            seen.append(title)
            yield self
            seen.append("end")

    monkeypatch.setattr(store, "AT_ONCE", 4)
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 15))
        assert vectors.needs_graph(catalog)
        vectors.rebuild_if_needed(catalog, Recording())
        assert not vectors.needs_graph(catalog)
    counts = [(done, 15) for done in (4, 8, 10, 14, 15)]
    assert seen == ["arranging 15 vectors for fast searches", "Arranging vectors", *counts, "end"]
    seen.clear()
    vectors.rebuild(catalog, Recording())
    assert not seen  # an exact file takes no time


def test_a_file_whose_photos_are_gone_becomes_smaller(catalog: Catalog) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 40))
        vectors.rebuild(catalog)
        assert len(files(vectors)) == 4
        remove(catalog, range(10, 30))
        assert vectors.rebuild_if_needed(catalog)
        assert status(catalog, vectors) == StoreStatus("hnsw", 20, 0, 0)
        check(catalog, vectors)
        vectors.rebuild(catalog)
        assert len(files(vectors)) == 2
        remove(catalog, range(40))
        vectors.rebuild(catalog)
        check(catalog, vectors)
        assert status(catalog, VectorStore(catalog.folder, vectors.model)) == StoreStatus("none", 0, 0, 0)


@pytest.mark.parametrize("lost", range(4))
def test_each_of_several_files_is_named_and_written_again_when_it_is_lost(catalog: Catalog, lost: int) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 40))
        vectors.rebuild(catalog)
        others = {path: path.read_bytes() for path in files(vectors)}
        path = files(vectors)[lost]
        del others[path]
        path.unlink()
        check(catalog, VectorStore(catalog.folder, vectors.model))
        with catalog.read() as view:
            assert vectors.problems(view) == [f"{path.name}: missing"]
        assert VectorStore(catalog.folder, vectors.model).rebuild_if_needed(catalog)
        assert {path: path.read_bytes() for path in others} == others
        with catalog.read() as view:
            assert vectors.problems(view) == []


def test_a_damaged_graph_is_noticed_and_written_again(catalog: Catalog) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 40))
        vectors.rebuild(catalog)
        path = files(vectors)[1]
        data = bytearray(path.read_bytes())
        link = data.index(struct.pack("<3i", -1, -1, -1))  # unused links of a node
        data[link : link + 4] = struct.pack("<i", 10**9)
        put(path, bytes(data))
        fresh = VectorStore(catalog.folder, vectors.model)
        check(catalog, fresh)
        assert status(catalog, fresh) == StoreStatus("hnsw", 30, 10, 0)
        with catalog.read() as view:
            assert fresh.problems(view) == [f"{path.name}: damaged"]
        assert fresh.rebuild_if_needed(catalog)
        assert status(catalog, fresh) == StoreStatus("hnsw", 40, 0, 0)


def damage_body(path: Path) -> None:
    """Change one bit of a vector: only a look at every byte notices it."""
    data = bytearray(path.read_bytes())
    data[data.index(b"IxSQ") + 100] ^= 1
    put(path, bytes(data))


@pytest.mark.parametrize("kind", ["body", "header", "foreign", "missing", "older"])
def test_a_repair_writes_only_what_is_wrong(catalog: Catalog, kind: str) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 40))
        vectors.rebuild(catalog)
        wrong = files(vectors)[1:3] if kind == "body" else files(vectors)[2:3]
        good = {path: path.stat().st_ino for path in files(vectors) if path not in wrong}
        add(catalog, 3, start=40)  # in no file yet
        for path in wrong:
            if kind == "body":
                damage_body(path)
            elif kind == "missing":
                path.unlink()
            elif kind == "older":
                put(path, files(vectors)[0].read_bytes())
            else:
                damage(path, kind)
        fresh = VectorStore(catalog.folder, vectors.model)
        with catalog.read() as view:
            assert [line.split(":")[0] for line in fresh.problems(view)] == [path.name for path in wrong]
        fresh.repair(catalog)
        with catalog.read() as view:
            assert fresh.problems(view) == []
        assert status(catalog, fresh) == StoreStatus("hnsw", 43, 0, 0)
        assert {path: path.stat().st_ino for path in good} == good
        check(catalog, fresh)


def test_a_repair_needs_no_file_where_no_photo_is_left(catalog: Catalog) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 30))
        vectors.rebuild(catalog)
        damage_body(files(vectors)[1])
        remove(catalog, range(10, 20))
        vectors.repair(catalog)
        assert len(files(vectors)) == 2
        with catalog.read() as view:
            assert vectors.problems(view) == []
        check(catalog, VectorStore(catalog.folder, vectors.model))


def test_files_that_a_killed_process_has_not_removed_are_removed_by_the_next_run(catalog: Catalog) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 40))
        vectors.rebuild(catalog)
        left = {path: path.read_bytes() for path in files(vectors)[1:]}
    vectors.rebuild(catalog)
    for path, data in left.items():
        path.write_bytes(data)
    assert not vectors.rebuild_if_needed(catalog)
    assert files(vectors) == [vectors.path()]


@pytest.mark.parametrize(("dim", "least"), [(384, 200_000), (512, 200_000), (1536, 87_381)])
def test_the_largest_files_have_a_graph_whatever_the_length_of_the_vectors(
    catalog: Catalog, dim: int, least: int
) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 1)._replace(dim=dim))
    assert [vectors._has_graph(count) for count in (least - 1, least, plan.max_vectors(dim))] == [False, True, True]
