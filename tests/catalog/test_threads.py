"""Many threads that share a catalog."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from searcher.catalog import Catalog
from searcher.catalog import catalog as catalogs
from searcher.catalog.connect import connect_reader
from searcher.catalog.read.view import View
from searcher.filters import Filter
from tests.catalog.filling import fill, image_count

CHECKOUT = Path(__file__).parents[2]
THREADS, READS = 8, 200

COMMITS = """
import sys
from pathlib import Path
from searcher.catalog import Catalog
from tests.catalog.filling import fill
catalog = Catalog(Path(sys.argv[1]))
start = 1000
while not Path(sys.argv[2]).exists():
    fill(catalog, 5, start)
    start += 5
    print(start, flush=True)
catalog.close()
"""


def counts(view: View) -> None:
    model = view.models.current()
    assert model is not None
    # the other process commits both together
    assert view.files.image_count() == view.embeddings.count(model.id)


def vectors(view: View) -> None:
    model = view.models.current()
    assert model is not None
    count = view.embeddings.count(model.id)
    assert sum(len(ids) for ids, _ in view.embeddings.chunks(model)) == count


def photos(view: View) -> None:
    assert len(view.photos.of_embeddings(range(1, 11))) == 10
    assert view.photos.one(3) is not None


def pages(view: View) -> None:
    model = view.models.current()
    assert model is not None
    assert len(view.photos.browse(model, limit=10)) == 10
    assert sum(month.photos for month in view.photos.timeline()) == view.files.image_count()


def tags(view: View) -> None:
    assert view.tags.labels() == {} and view.tags.counts() == []
    assert len(view.embeddings.matching(Filter(("dog",)), 1)[0]) == 0


READERS: tuple[Callable[[View], None], ...] = (counts, vectors, photos, pages, tags)


def test_threads_read_one_catalog_while_another_process_commits(
    catalog: Catalog, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    errors: list[Exception] = []
    stop = tmp_path / "stop"

    def connect(folder: Path) -> object:
        opened.append(folder)
        return connect_reader(folder)

    def read(thread: int) -> None:
        try:
            for number in range(READS):
                with catalog.read() as view:
                    READERS[(thread + number) % len(READERS)](view)
        except Exception as error:
            errors.append(error)

    monkeypatch.setattr(catalogs, "connect_reader", connect)
    other = subprocess.Popen(
        [sys.executable, "-c", COMMITS, str(folder), str(stop)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )
    with other:
        try:
            assert other.stdout is not None
            other.stdout.readline()  # its first commit
            before = image_count(catalog)
            threads = [threading.Thread(target=read, args=(number,)) for number in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            after = image_count(catalog)
        finally:
            stop.touch()
        other.stdout.read()
    assert errors == []
    assert other.returncode == 0
    assert after > before
    assert len(opened) <= THREADS


def test_only_a_few_idle_connections_are_kept(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "KEPT_CONNECTIONS", 2)
    inside = threading.Barrier(5)

    def read() -> None:
        with catalog.read() as view:
            assert view.files.image_count() == 10
            inside.wait(10)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    for thread in threads:
        thread.join()
    assert len(catalog._idle) == 2
    fill(catalog, 1, start=10)
    assert image_count(catalog) == 11


def test_the_revision_changes_with_each_commit_of_any_process_and_with_no_other_call(folder: Path) -> None:
    catalog, other = Catalog(folder), Catalog(folder)
    seen = [catalog.revision()]
    for writer, start in ((catalog, 100), (other, 200)):
        fill(writer, 1, start)
        seen.append(catalog.revision())
    with catalog.read() as view:
        counts(view)
    with catalog.write():
        pass  # nothing is changed
    assert catalog.revision() == seen[-1]
    assert len(set(seen)) == 3
    with pytest.raises(ValueError), catalog.write() as change_again:
        change_again.files.add_root(b"/other", whole=True)
        raise ValueError
    assert catalog.revision() == seen[-1]
    other.close()
    catalog.close()
    assert catalog.revision() not in seen  # begun anew
    catalog.close()
