"""VectorStore: what it finds equals an exact search, whatever happens to its file."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.catalog import Catalog
from searcher.catalog.rows import ModelRow
from searcher.errors import SearcherError
from searcher.vectors import plan
from searcher.vectors.part import verify
from searcher.vectors.store import StoreStatus, VectorStore
from searcher.vectors.writing import write
from tests.vectors.filling import add, all_vectors, remove, unit_vectors
from tests.vectors.stores import check, damage, files, many_files, put, status

CHECKOUT = Path(__file__).parents[2]


STEPS = (
    "add",
    "remove",
    "if needed",
    "rebuild",
    "delete",
    "header",
    "cut",
    "foreign",
    "older",
    "swapped",
    "fresh",
    "orphans",
)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=8), many=st.booleans(), which=st.integers(0, 9))
def test_a_search_equals_an_exact_search_whatever_happens(steps: list[str], many: bool, which: int) -> None:
    setting = many_files() if many else nullcontext()
    with setting, tempfile.TemporaryDirectory() as name, closing(Catalog(Path(name))) as catalog:
        model = add(catalog, 12)
        added = 12
        vectors, other = VectorStore(catalog.folder, model), VectorStore(catalog.folder, model)
        older: dict[Path, bytes] = {}
        for step in steps:
            there = files(vectors)
            path = there[which % len(there)] if there else vectors.path()
            if step == "add":
                add(catalog, 5, start=added)
                added += 5
            elif step in ("remove", "orphans"):
                remove(catalog, range(added // 2, added // 2 + 4), orphans=step == "remove")
            elif step == "if needed":
                vectors.rebuild_if_needed(catalog)
            elif step == "rebuild":  # as another process does
                older = {path: path.read_bytes() for path in there}
                other.rebuild(catalog)
            elif step == "delete":
                path.unlink(missing_ok=True)
            elif step == "fresh":
                vectors = VectorStore(catalog.folder, model)
            elif step == "older" and older:
                for path, data in older.items():
                    put(path, data)
            elif step == "swapped" and there:
                put(path, there[0].read_bytes())
            elif there and step in ("header", "cut", "foreign"):
                damage(path, step)
            check(catalog, vectors)
            check(catalog, other)
            check(catalog, VectorStore(catalog.folder, model))


def test_an_empty_library_finds_nothing(catalog: Catalog) -> None:
    model = add(catalog, 0)
    vectors = VectorStore(catalog.folder, model)
    check(catalog, vectors)
    assert vectors.size == 0
    assert not vectors.rebuild_if_needed(catalog)
    vectors.rebuild(catalog)
    check(catalog, vectors)
    assert status(catalog, vectors) == StoreStatus("none", 0, 0, 0)


def test_fewer_hits_than_asked_for_are_filled_up_with_minus_one(catalog: Catalog) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 3))
    with catalog.read() as view:
        vectors.sync(view)
    for _ in range(2):  # outside and inside of a file
        _, ids = vectors.search(unit_vectors(1, 1), 5)
        assert sorted(ids[0].tolist()) == [-1, -1, 1, 2, 3] and ids[0, 3:].tolist() == [-1, -1]
        _, ids = vectors.search(unit_vectors(1, 1), 5, np.array([2, 77], np.int64))
        assert ids.tolist() == [[2, -1, -1, -1, -1]]
        assert vectors.rebuild_if_needed(catalog)
        vectors = VectorStore(catalog.folder, vectors.model)
        with catalog.read() as view:
            vectors.sync(view)
        vectors.path().unlink()


# the status and when a new file is written


def test_status_counts_what_is_in_the_file_pending_and_gone(catalog: Catalog) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 30))
    assert status(catalog, vectors) == StoreStatus("none", 0, 30, 0)
    vectors.rebuild(catalog)
    assert status(catalog, vectors) == StoreStatus("flat", 30, 0, 0)
    add(catalog, 4, start=30)
    remove(catalog, [1, 2, 31])
    assert status(catalog, vectors) == StoreStatus("flat", 30, 3, 2)
    check(catalog, vectors)
    assert vectors.size == 33
    assert status(catalog, vectors) == status(catalog, VectorStore(catalog.folder, vectors.model))
    vectors.rebuild(catalog)
    assert status(catalog, vectors) == StoreStatus("flat", 31, 0, 0)


def test_a_new_file_is_written_when_a_tenth_is_outside(catalog: Catalog) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 50))
    assert vectors.rebuild_if_needed(catalog)
    assert not vectors.rebuild_if_needed(catalog)
    add(catalog, 3, start=50)
    remove(catalog, [0])
    assert not vectors.rebuild_if_needed(catalog)
    remove(catalog, [1])
    assert vectors.rebuild_if_needed(catalog)
    assert status(catalog, vectors) == StoreStatus("flat", 51, 0, 0)


def test_a_new_file_is_written_when_many_are_outside_of_a_large_one(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_OUTSIDE", 3)
    vectors = VectorStore(catalog.folder, add(catalog, 100))
    assert vectors.rebuild_if_needed(catalog)
    add(catalog, 2, start=100)
    assert not vectors.rebuild_if_needed(catalog)
    add(catalog, 1, start=102)
    assert vectors.rebuild_if_needed(catalog)


@pytest.mark.parametrize("kind", ["missing", "cut", "foreign", "header"])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_file_that_is_missing_or_damaged_is_written_again(catalog: Catalog, kind: str, is_open: bool) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 30))
    vectors.rebuild(catalog)
    if is_open:
        check(catalog, vectors)
    if kind == "missing":
        vectors.path().unlink()
    else:
        damage(vectors.path(), kind)
    check(catalog, vectors)
    if kind == "header" and is_open:
        return  # its digest is that of the good file, which this store has open: `problem` finds it
    assert status(catalog, vectors) == StoreStatus("none", 0, 30, 0)
    assert vectors.rebuild_if_needed(catalog)
    assert verify(vectors.path())
    assert status(catalog, vectors) == StoreStatus("flat", 30, 0, 0)


@pytest.mark.parametrize("kind", ["good", "header"])
def test_a_file_that_is_replaced_by_an_older_one_hides_nothing(catalog: Catalog, kind: str) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 10))
    vectors.rebuild(catalog)
    older = vectors.path().read_bytes()
    add(catalog, 10, start=10)
    vectors.rebuild(catalog)
    add(catalog, 10, start=20)
    check(catalog, vectors)
    put(vectors.path(), older)
    if kind == "header":
        damage(vectors.path(), kind)
    check(catalog, vectors)
    assert status(catalog, vectors).pending == (20 if kind == "good" else 30)


def test_problems_of_the_file_are_named(catalog: Catalog) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 30))

    def problem() -> str | None:
        with catalog.read() as view:
            found = vectors.problems(view)
        assert len(found) < 2
        return found[0] if found else None

    assert problem() is None  # no file was ever written
    vectors.rebuild(catalog)
    assert problem() is None
    whole = vectors.path().read_bytes()
    for kind in ("header", "cut", "foreign"):
        damage(vectors.path(), kind)
        assert problem() == f"{vectors.path().name}: damaged"
        put(vectors.path(), whole)
    body = bytearray(whole)
    body[len(body) // 2] ^= 1
    put(vectors.path(), bytes(body))
    assert problem() == f"{vectors.path().name}: damaged"
    write(vectors.path(), 1, vectors.model.dim, [(np.array([1]), unit_vectors(1, 1))])
    assert "does not belong" in (problem() or "")
    vectors.path().unlink()
    assert problem() == f"{vectors.path().name}: missing"


def test_a_file_that_cannot_be_written_is_a_one_line_error_and_leaves_the_old_one(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 30))
    vectors.rebuild(catalog)
    whole = vectors.path().read_bytes()
    add(catalog, 30, start=30)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(SearcherError, match="No space left"):
        patch.setattr(os, "fsync", full)
        vectors.rebuild(catalog)
    assert vectors.path().read_bytes() == whole
    assert sorted(path.suffix for path in catalog.folder.iterdir() if "faiss" in path.name) == [".faiss"]
    check(catalog, vectors)


def test_a_library_that_was_copied_elsewhere_is_searched_there(catalog: Catalog, tmp_path: Path) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 30))
    vectors.rebuild(catalog)
    catalog.close()
    copy = Path(shutil.copytree(tmp_path, tmp_path / "copy"))
    with closing(Catalog(copy)) as copied:
        moved = VectorStore(copy, vectors.model)
        check(copied, moved)
        assert status(copied, moved) == StoreStatus("flat", 30, 0, 0)


# other processes and threads

CHANGES = """
import sys
from pathlib import Path
from searcher.catalog import Catalog
from searcher.vectors.store import VectorStore
from tests.vectors.filling import add, remove
catalog = Catalog(Path(sys.argv[1]))
for start in range(100, 160, 10):
    model = add(catalog, 10, start)
    remove(catalog, range(start, start + 3))
    VectorStore(catalog.folder, model).rebuild(catalog)
"""


def test_a_search_finds_everything_while_another_process_replaces_the_file(catalog: Catalog) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 30))
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen([sys.executable, "-c", CHANGES, str(catalog.folder)], env=environment) as other:
        try:
            while other.poll() is None:
                check(catalog, vectors)
        finally:
            other.kill()
    assert other.returncode == 0
    check(catalog, vectors)
    assert status(catalog, vectors) == StoreStatus("flat", 72, 0, 0)


def look_for_everything(catalog: Catalog, vectors: VectorStore, query: np.ndarray) -> None:
    with catalog.read() as view:
        vectors.sync(view)
        expected = all_vectors(view, vectors.model)
        _, ids = vectors.search(query, 1000)
    with catalog.read() as view:  # another thread may have synced with a view that no longer held some of them
        kept = all_vectors(view, vectors.model).keys()
    assert expected.keys() & kept <= set(ids[0].tolist())


def test_threads_search_while_embeddings_come_and_go_and_files_are_written(catalog: Catalog) -> None:
    model: ModelRow = add(catalog, 30)
    vectors = VectorStore(catalog.folder, model)
    errors: list[BaseException] = []
    done = threading.Event()

    def search(seed: int) -> None:
        try:
            while not done.is_set():
                look_for_everything(catalog, vectors, unit_vectors(1, seed))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    try:
        for start in range(100, 220, 10):
            add(catalog, 10, start)
            remove(catalog, range(start, start + 4))
            vectors.rebuild_if_needed(catalog)
            if start % 30 == 0:
                vectors.path().unlink(missing_ok=True)
            if start % 40 == 0 and vectors.path().exists():
                damage(vectors.path(), "cut")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    check(catalog, vectors)


def test_a_thread_with_an_older_view_takes_nothing_away_from_the_others(catalog: Catalog) -> None:
    model = add(catalog, 30)
    VectorStore(catalog.folder, model).rebuild(catalog)
    vectors = VectorStore(catalog.folder, model)
    for kind in ("nothing", "header", "older"):
        with catalog.read() as old:
            count = old.files.image_count()  # from now on it does not change
            whole = vectors.path().read_bytes()
            add(catalog, 10, start=1000 + count)
            VectorStore(catalog.folder, model).rebuild(catalog)
            with catalog.read() as new:
                vectors.sync(new)
                if kind == "header":
                    damage(vectors.path(), "header")
                elif kind == "older":
                    put(vectors.path(), whole)
                vectors.sync(old)
                _, ids = vectors.search(unit_vectors(1, 1), 1000)
                assert all_vectors(new, model).keys() <= set(ids[0].tolist())
