"""A library that follows its folders while they change."""

import builtins
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from searcher import Library, OptionChange, SearcherError
from searcher.catalog.rows import VectorFile
from searcher.indexer import IndexReport
from searcher.library import indexing
from searcher.vectors import store, writing
from tests.histogram_model import COLOURS
from tests.library.conftest import Album
from tests.photos.test_metadata import bag, packet
from tests.watcher import Watcher

pytest.importorskip("watchfiles")


class Watched:
    """A library that is watched in another thread."""

    def __init__(self, album: Album) -> None:
        self.album, self.stop, self.progress = album, threading.Event(), Watcher()
        self.reports: list[IndexReport] = []
        self.error: Exception | None = None

    def until(self, reached: Callable[[], bool], seconds: float = 20.0) -> float:
        """Wait until something holds. Returns how long that took."""
        started = time.monotonic()
        while not reached():
            assert self.error is None
            assert time.monotonic() - started < seconds, self.reports
            time.sleep(0.02)
        return time.monotonic() - started

    def paths(self) -> list[str]:
        with Library.open(self.album.library.folder, model=self.album.model) as other:  # as another process does
            hits = other.search(" ".join(COLOURS), top=10_000)
            return sorted(self.album.name(path) for hit in hits for path in (hit.path, *hit.copies))

    def has(self, *names: str) -> bool:
        return self.paths() == sorted(names)


@contextmanager
def watching(album: Album, *paths: Path) -> Iterator[Watched]:
    watched = Watched(album)
    thread = threading.Thread(target=_collect, args=(watched, paths))
    thread.start()
    try:
        watched.until(lambda: len(watched.reports) >= 2)  # from now on, changes are noticed
        yield watched
    finally:
        watched.stop.set()
        thread.join(20)
        assert not thread.is_alive()


def _collect(watched: Watched, paths: tuple[Path, ...]) -> None:
    try:
        for report in watched.album.library.watch(*paths, stop=watched.stop, progress=watched.progress):
            watched.reports.append(report)
    except SearcherError as error:
        watched.error = error


def test_photos_that_come_change_move_and_go_are_followed(album: Album) -> None:
    album.fill()
    ids = album.ids()
    with watching(album, album.folder) as watched:
        album.add("sub/new/yellow.png", "yellow", 5)
        watched.until(lambda: "sub/new/yellow.png" in watched.paths())
        (album.folder / "red.png").rename(album.folder / "sub/moved.png")
        watched.until(lambda: "sub/moved.png" in watched.paths())
        assert album.ids()["sub/moved.png"] == ids["red.png"]
        (album.folder / "blue.png").unlink()
        shutil.rmtree(album.folder / "sub/new")
        watched.until(lambda: watched.has("green.png", "sub/moved.png", "white.png"))
        (album.folder / "sub/moved.png").unlink()  # now the folder is empty
        (album.folder / "sub").rename(album.folder / "other")
        album.add("other/deep/black.png", "black", 6)
        (album.folder / "other/deep").rename(album.folder / "top")
        watched.until(lambda: watched.has("green.png", "top/black.png", "white.png"))
        album.add(".hidden/red.png")
        (album.folder / "notes.txt").touch()
        (album.folder / ".searcherignore").write_text("green.*\n")
        watched.until(lambda: watched.has("top/black.png", "white.png"))
    assert album.counts() == {"unchanged": 2} and len(album.library.folders()) == 1


def test_a_photo_is_searchable_two_seconds_after_it_is_whole(album: Album, tmp_path: Path) -> None:
    album.fill()
    source = tmp_path / "large.png"
    Image.effect_noise((400, 400), 90).convert("RGB").save(source)
    data = source.read_bytes()
    with watching(album) as watched:
        for _ in range(2):
            with (album.folder / "slow.png").open("wb") as file:
                for start in range(0, len(data), len(data) // 4):
                    file.write(data[start : start + len(data) // 4])
                    file.flush()
                    time.sleep(0.15)
            assert watched.until(lambda: "slow.png" in watched.paths()) < 4  # 2 on a machine with nothing else to do
            (album.folder / "slow.png").unlink()
            watched.until(lambda: "slow.png" not in watched.paths())
    assert sum(report.failed for report in watched.reports) == 0  # no part of the file was read


def test_the_keywords_of_a_changed_sidecar_are_read(album: Album) -> None:
    album.fill()
    with watching(album, album.folder) as watched:
        (album.folder / "red.png.xmp").write_text(packet(bag("dc:subject", "sea")))
        watched.until(lambda: [count.label for count in album.library.label_counts()] == ["sea"])


def test_a_burst_of_files_is_one_batch(album: Album) -> None:
    album.fill()
    data = (album.folder / "red.png").read_bytes()
    with watching(album) as watched:
        before = len(watched.reports)
        for folder in range(10):
            (album.folder / f"f{folder}").mkdir()
            for number in range(50):
                (album.folder / f"f{folder}/{number}.png").write_bytes(data)
        watched.until(lambda: album.library.status().images == 504)
        watched.until(lambda: sum(report.added for report in watched.reports) == 500)
    assert [report.added for report in watched.reports[before:] if report.added] == [500]


def test_a_folder_that_goes_away_is_missing_and_watched_again_when_it_is_back(album: Album) -> None:
    album.fill()
    ids, away = album.ids(), album.folder.with_name("away")
    with watching(album) as watched:
        album.folder.rename(away)
        watched.until(lambda: any("not found" in notice for notice in watched.reports[-1].notices))
        assert album.library.status().images == 4
        away.rename(album.folder)
        watched.until(lambda: watched.reports[-1].unchanged == 4 and not watched.reports[-1].notices)
        count = len(watched.reports)
        album.add("yellow.png", "yellow", 5)
        watched.until(lambda: "yellow.png" in watched.paths() and len(watched.reports) > count)
    assert ids.items() <= album.ids().items()
    assert sum(report.removed for report in watched.reports) == 0


def test_a_name_that_is_not_utf_8_does_not_end_the_watch(album: Album) -> None:
    album.fill()
    with watching(album) as watched:
        album.add("new.png", "yellow", 5).rename(album.folder / os.fsdecode(b"caf\xe9.png"))
        watched.until(lambda: os.fsdecode(b"caf\xe9.png") in watched.paths())
        album.add("later.png", "black", 6)
        watched.until(lambda: "later.png" in watched.paths())


def test_a_folder_that_another_process_indexes_is_watched_too(album: Album, tmp_path: Path) -> None:
    album.fill()
    other = tmp_path / "other"
    other.mkdir()
    with watching(album) as watched:
        shutil.copy(album.folder / "red.png", other / "1.png")
        with Library.open(album.library.folder, model=album.model) as second:
            second.index(other)
        time.sleep(1.5)
        shutil.copy(album.add("x.png", "yellow", 7), other / "2.png")
        watched.until(lambda: "../other/2.png" in watched.paths())


def test_options_and_single_files_hold_in_a_watch(album: Album, tmp_path: Path) -> None:
    album.fill()
    album.library.index(album.folder, options=OptionChange(exclude=("*.jpg",)))
    single = tmp_path / "single"
    single.mkdir()
    shutil.copy(album.folder / "red.png", single / "a.png")
    album.index(single / "a.png")
    with watching(album) as watched:
        album.add("no.jpg", "yellow", 7)
        shutil.copy(album.folder / "red.png", single / "b.png")
        shutil.copy(album.folder / "blue.png", single / "a.png")
        watched.until(lambda: sum(report.changed for report in watched.reports) == 1)
    assert watched.paths() == ["../single/a.png", "blue.png", "green.png", "red.png", "white.png"]
    assert [folder.whole for folder in album.library.folders()] == [True, False]


def test_an_error_of_a_later_run_is_a_notice_and_the_run_is_repeated(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.fill()
    monkeypatch.setattr("searcher.library.watching.RETRY_S", 0.1)
    with watching(album) as watched:
        real, failures = indexing.index, iter([True, True])

        def fail(*arguments: object, **options: object) -> IndexReport:
            if next(failures, False):
                raise SearcherError("the disk is full")
            return real(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(indexing, "index", fail)
        album.add("yellow.png", "yellow", 5)
        watched.until(lambda: "yellow.png" in watched.paths())
    assert watched.progress.notices == ["the disk is full; trying again in 0 seconds"] * 2


class SlowBuild:
    """Graphs are built for this: it waits before it writes a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        real = writing.write

        def slow(path: Path, count: int, dim: int, chunks: Iterator[Any], **options: Any) -> VectorFile:
            def waited() -> Iterator[Any]:
                for chunk in chunks:
                    self.begun.set()
                    self.go_on.wait(20)
                    yield chunk

            return real(path, count, dim, waited(), **options)

        monkeypatch.setattr(store, "GRAPH_FROM", 5)
        monkeypatch.setattr(store, "write", slow)


def _is_found(watched: Watched, name: str) -> bool:
    return name in watched.paths()


def test_new_photos_are_found_while_a_graph_is_built(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.fill()
    build = SlowBuild(monkeypatch)
    with watching(album) as watched:
        album.add("yellow.png", "yellow", 5)
        watched.until(build.begun.is_set)
        for number, colour in enumerate(("black", "red", "green"), 6):
            album.add(f"{number}.png", colour, number)
            watched.until(partial(_is_found, watched, f"{number}.png"))
        assert album.library.status().kind == "flat"
        build.go_on.set()
        watched.until(lambda: (album.library.status().kind, album.library.status().pending) == ("hnsw", 0))
        watched.until(lambda: bool(watched.progress.notices))
        assert watched.progress.notices[0].startswith("arranging 5 vectors for fast searches")
    with album.library._catalog.read() as view:
        assert view.models.is_refreshed()


def test_a_build_that_watching_stops_is_done_by_the_next_run(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.fill()
    build = SlowBuild(monkeypatch)
    with watching(album) as watched:
        album.add("yellow.png", "yellow", 5)
        watched.until(build.begun.is_set)
        watched.stop.set()
        threading.Timer(0.3, build.go_on.set).start()
    assert album.library.status().kind == "flat" and album.library.status().pending == 1
    assert not list(album.library.folder.glob("*.new"))
    assert album.counts() == {"unchanged": 5}
    assert album.library.status().kind == "hnsw" and album.library.status().pending == 0


def test_a_build_that_fails_while_watching_is_a_notice(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.fill()
    monkeypatch.setattr(store, "GRAPH_FROM", 5)

    def full(*arguments: object, **options: object) -> VectorFile:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", full)
        with watching(album) as watched:
            album.add("yellow.png", "yellow", 5)
            watched.until(lambda: any("No space left" in notice for notice in watched.progress.notices))
            assert "yellow.png" in watched.paths()
    assert album.counts() == {"unchanged": 5}
    assert album.library.status().kind == "hnsw"


def test_a_folder_that_goes_before_it_is_indexed_does_not_hold_up_the_rest(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.fill()
    with watching(album) as watched:
        real, folders = indexing.index, iter([album.folder / "new"])

        def late(*arguments: object, **options: object) -> IndexReport:
            if folder := next(folders, None):
                shutil.rmtree(folder)
            return real(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(indexing, "index", late)
        album.add("new/yellow.png", "yellow", 5)
        album.add("black.png", "black", 6)
        watched.until(lambda: "black.png" in watched.paths())
    assert not watched.progress.notices


def test_without_the_extra_one_line_says_what_to_install(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.add("red.png")
    real = builtins.__import__

    def without(name: str, *arguments: object) -> object:
        if name == "watchfiles":
            raise ImportError(name)
        return real(name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SearcherError, match=r'pip install "searcher\[watch\]"'):
        next(album.library.watch(album.folder))
    assert not album.library.exists


def test_a_file_cannot_be_watched(album: Album) -> None:
    with pytest.raises(SearcherError, match="is a file: name folders"):
        next(album.library.watch(album.add("red.png")))
