"""A run that builds a graph: what it shows, and what is left when it is interrupted or fails."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from searcher import SearcherError
from searcher.catalog.rows import VectorFile
from searcher.progress import Progress
from searcher.vectors import store
from tests.library.conftest import Album


class Recording(Progress):
    """Collects counts of photos and of vectors apart."""

    def __init__(self) -> None:
        self.photos: list[tuple[int, int | None]] = []
        self.vectors: list[tuple[int, int | None]] = []

    def advance(self, done: int, total: int | None) -> None:
        self.photos.append((done, total))

    @contextmanager
    def phase(self, title: str) -> Iterator[Progress]:
        assert title == "Arranging vectors"
        phase = Progress()
        phase.advance = self.graph  # type: ignore[method-assign]
        yield phase

    def graph(self, done: int, total: int | None) -> None:
        self.vectors.append((done, total))


@pytest.fixture
def ready(album: Album, monkeypatch: pytest.MonkeyPatch) -> Album:
    """The next run adds a photo and builds a graph."""
    album.fill()
    album.add("yellow.png", "yellow", 5)
    monkeypatch.setattr(store, "GRAPH_FROM", 5)
    monkeypatch.setattr(store, "AT_ONCE", 2)
    return album


def check_kept(album: Album) -> None:
    """The old file is there, and the new photo is found without it. The next run builds the graph."""
    status = album.library.status()
    assert (status.kind, status.vectors, status.pending) == ("flat", 4, 1)
    assert not list(album.library.folder.glob("*.new"))
    assert album.found("yellow") == ["yellow.png"] and album.found("red") == ["red.png"]
    assert album.counts() == {"unchanged": 5}
    status = album.library.status()
    assert (status.kind, status.vectors, status.pending) == ("hnsw", 5, 0)
    assert album.found("yellow") == ["yellow.png"]


def test_vectors_are_counted_apart_from_photos(ready: Album) -> None:
    progress = Recording()
    ready.library.index(ready.folder, progress=progress)
    assert progress.vectors == [(2, 5), (4, 5), (5, 5)]
    assert progress.photos[-1] == (1, 1)


def test_ctrl_c_while_a_graph_is_built_keeps_the_photos_and_the_old_file(ready: Album) -> None:
    class Pressing(Recording):
        def graph(self, done: int, total: int | None) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ready.library.index(ready.folder, progress=Pressing())
    check_kept(ready)


def test_a_full_disk_while_a_graph_is_built_keeps_the_photos_and_the_old_file(
    ready: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **options: object) -> VectorFile:
        raise OSError(28, "No space left on device", path)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", full)
        with pytest.raises(SearcherError, match=r"No space left on device; nothing is lost.*again$"):
            ready.index()
    check_kept(ready)
