"""Files are written while the process is interrupted or killed, or the disk fails: nothing is lost, searches go on."""

import errno
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from searcher.catalog import Catalog
from searcher.errors import SearcherError
from searcher.progress import Progress
from searcher.vectors import store, writing
from searcher.vectors.store import StoreStatus, VectorStore
from tests.vectors.filling import add, remove
from tests.vectors.stores import check, damage, files, many_files, status

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_an_interrupted_build_keeps_the_old_files(catalog: Catalog, moment: int) -> None:
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 25))
        vectors.rebuild(catalog)
        old = {path: path.read_bytes() for path in files(vectors)}
        add(catalog, 15, start=25)

        class Interrupting(Progress):
            calls = 0

            def advance(self, done: int, total: int | None = None) -> None:
                self.calls += 1
                if self.calls == moment:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            vectors.rebuild(catalog, Interrupting())
        assert {path: path.read_bytes() for path in files(vectors)} == old
        assert not list(catalog.folder.glob("*.new"))
        check(catalog, VectorStore(catalog.folder, vectors.model))
        with catalog.read() as view:
            assert vectors.problems(view) == []
        vectors.rebuild(catalog)
        check(catalog, vectors)


def before_first(catalog: Catalog) -> None:
    """No file was ever written."""
    add(catalog, 35)


def before_merge(catalog: Catalog) -> None:
    """Four files, of which the next run merges three with what is in none."""
    added = 0
    for count in (10, 4, 2, 1, 3):
        model = add(catalog, count, start=added)
        added += count
        if count != 3:
            VectorStore(catalog.folder, model).rebuild_if_needed(catalog)


def before_rebuild(catalog: Catalog) -> None:
    """Four files, all of which are written again because many of their vectors are gone."""
    VectorStore(catalog.folder, add(catalog, 40)).rebuild(catalog)
    remove(catalog, range(0, 40, 2))


def before_replacing(catalog: Catalog) -> None:
    """One file that covers what four new ones will. One of these is damaged."""
    with many_files():
        vectors = VectorStore(catalog.folder, add(catalog, 35))
        vectors.rebuild(catalog)
        damage(files(vectors)[2], "cut")


BEFORE = {"first": before_first, "merge": before_merge, "smaller": before_rebuild, "damaged": before_replacing}

KILLED = """
import os, sys
from pathlib import Path
from searcher.catalog import Catalog
from searcher.errors import SearcherError
from searcher.progress import Progress
from searcher.vectors import store
from tests.vectors.stores import many_files

calls = 0
def step():
    global calls
    calls += 1
    if calls == last:
        os.kill(os.getpid(), 9)

def seen(event, arguments):
    path = str(arguments[0]) if arguments else ""
    if (event == "open" and path.endswith(".new")) or (event in ("os.rename", "os.remove") and "faiss" in path):
        step()

class Steps(Progress):
    def advance(self, done, total):
        step()

def build(folder):
    commit = Catalog.write
    def write(*arguments):
        step()
        return commit(*arguments)
    Catalog.write = write
    sys.addaudithook(seen)
    catalog = Catalog(Path(folder))
    with catalog.read() as view:
        model = view.models.current()
    store.VectorStore(catalog.folder, model).rebuild_if_needed(catalog, Steps())

with many_files():
    for line in sys.stdin:
        folder, last = line.split()
        last = int(last)
        child = os.fork()
        if not child:
            build(folder)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def builder() -> Iterator[Callable[[Path, int, Callable[[], None]], int]]:
    """Builds the files of a library in a process that is killed at a step, and calls something all the while."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def build(folder: Path, last: int, meanwhile: Callable[[], None]) -> int:
            stdin.write(f"{folder} {last}\n")
            stdin.flush()
            while not select.select([stdout], [], [], 0)[0]:
                meanwhile()
            return int(stdout.readline())

        yield build


@pytest.mark.slow
@pytest.mark.parametrize("before", BEFORE)
def test_a_build_that_is_killed_at_any_step_loses_nothing_and_searches_go_on(tmp_path: Path, before: str) -> None:
    origin = tmp_path / "origin"
    with many_files(), closing(Catalog(origin)) as catalog:
        BEFORE[before](catalog)
    with many_files(), builder() as build:
        for last in range(1, 100):
            folder = tmp_path / f"killed-{last}"
            shutil.copytree(origin, folder)
            with closing(Catalog(folder)) as catalog:
                with catalog.read() as view:
                    model = view.models.current()
                assert model is not None
                searching = VectorStore(folder, model)
                ended = build(folder, last, lambda: check(catalog, searching))  # noqa: B023
                check(catalog, searching)
                check(catalog, VectorStore(folder, model))
                if ended == 0:
                    break
                assert ended == -9
                vectors = VectorStore(folder, model)
                vectors.rebuild_if_needed(catalog)
                found = status(catalog, vectors)
                assert (found.kind, found.pending, found.gone) == ("hnsw", 0, 0)
                with catalog.read() as view:
                    assert vectors.problems(view) == []
                    named = [part.file.after_id for part in vectors._parts_on_disk(view)]
                assert len(named) == len(files(vectors))
                assert not list(folder.glob("*.new"))
                check(catalog, searching)
                check(catalog, vectors)
            shutil.rmtree(folder)
        else:
            pytest.fail("it was never done")
        assert last > 5


class Failing:
    """The call number `at` of those that write fails, and all after it."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.calls, self.at = 0, at
        patch.setattr(writing._Digested, "put", self._failing(writing._Digested.put))
        patch.setattr(os, "fsync", self._failing(os.fsync))
        patch.setattr(Path, "replace", self._failing(Path.replace))
        patch.setattr(Path, "unlink", self._failing(Path.unlink))

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.at <= self.calls:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*arguments, **options)

        return called


@pytest.mark.parametrize("before", BEFORE)
def test_a_disk_that_fails_at_any_call_costs_one_line_and_the_next_run_writes_the_files(
    tmp_path: Path, before: str
) -> None:
    with many_files(), closing(Catalog(tmp_path / "origin")) as catalog:
        BEFORE[before](catalog)
    done = False
    at = 1
    while not done:
        folder = shutil.copytree(tmp_path / "origin", tmp_path / f"failed-{at}")
        with many_files(), closing(Catalog(folder)) as catalog:
            with catalog.read() as view:
                model = view.models.current()
            assert model is not None
            vectors = VectorStore(folder, model)
            with pytest.MonkeyPatch.context() as patch:
                failing = Failing(patch, at)
                try:
                    done = vectors.rebuild_if_needed(catalog)
                except SearcherError as error:
                    assert re.fullmatch("cannot write the vector files in .*: No space left on device; .*", str(error))
            check(catalog, vectors)
            check(catalog, VectorStore(folder, model))
            assert done or failing.calls >= at
            vectors.rebuild_if_needed(catalog)
            found = status(catalog, vectors)
            assert (found.kind, found.pending, found.gone) == ("hnsw", 0, 0)
            assert not list(folder.glob("*.new"))
            with catalog.read() as view:
                assert vectors.problems(view) == []
        at += 1 if at < 5 else 7  # a graph has many small writes
    assert at > 20


def test_a_graph_for_which_the_disk_has_no_room_is_refused_before_it_is_built(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = VectorStore(catalog.folder, add(catalog, 30))
    vectors.rebuild(catalog)
    add(catalog, 10, start=30)
    monkeypatch.setattr(store, "GRAPH_FROM", 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=40 * 2 * vectors.model.dim))
    with pytest.raises(SearcherError, match="No space left on device"):
        vectors.rebuild_if_needed(catalog)
    assert status(catalog, vectors) == StoreStatus("flat", 30, 10, 0)
    check(catalog, vectors)
