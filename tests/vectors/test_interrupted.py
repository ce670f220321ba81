"""Files are written while the process is interrupted or killed, or the disk fails: nothing is lost, searches go on."""

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from searcher.catalog import Catalog
from searcher.progress import Progress
from searcher.vectors.store import VectorStore
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
    if event in ("open", "os.rename", "os.remove") and "faiss" in str(arguments[0]):
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
        assert last > 10
