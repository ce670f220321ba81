"""Switching a library to another model. Searches use the old model until all photos are embedded with the new one."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from searcher import Library
from searcher.catalog import Catalog
from searcher.catalog.connect import CATALOG_NAME
from searcher.errors import SearcherError
from searcher.indexer import IndexReport
from searcher.library import encoders, refresh
from searcher.models import Model
from tests.histogram_model import HistogramModel, OtherModel
from tests.library.conftest import Album, Disk
from tests.library.test_processes import start, wait_for
from tests.watcher import Watcher

MODELS = """
import sys, time
from searcher import Library
from searcher.library import encoders
from tests.histogram_model import HistogramModel, OtherModel
from tests.watcher import Watcher

class Slow(OtherModel):
    def encode_pixels(self, batch):
        time.sleep(0.05)
        return super().encode_pixels(batch)

def progress(done, total):
    if total:
        print(done, flush=True)

by_digest = {model.digest: model for model in (HistogramModel(), Slow())}
encoders.remembered = lambda row: by_digest[row.digest]
"""
REEMBED = (
    MODELS
    + """
with Library.open(sys.argv[1], model=Slow()) as library:
    print("report", library.index(progress=Watcher(progress)).notices)
"""
)
SEARCH = (
    MODELS
    + """
with Library.open(sys.argv[1]) as long:
    for line in sys.stdin:
        pass_on = Library.open(sys.argv[1])
        for library in (long, pass_on):
            hits = library.search("red", top=1000)
            print(len(hits), *sorted({round(hit.score, 2) for hit in hits}), flush=True)
        pass_on.close()
"""
)
OLD, NEW = "320 1.0", "320 0.8"


@pytest.fixture(autouse=True)
def models_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    by_digest = {model.digest: model for model in (HistogramModel(), OtherModel())}
    monkeypatch.setattr(encoders, "remembered", lambda row: by_digest[row.digest])


@pytest.fixture
def many(album: Album) -> Album:
    """An indexed album of 320 red photos."""
    for number in range(320):
        album.add(f"{number:03}.png", "red", number)
    album.index()
    return album


def give(
    album: Album, model: HistogramModel | None = None, progress: Callable[[int, int | None], None] | None = None
) -> IndexReport:
    """Do the same as `searcher index --model other`."""
    with Library.open(album.library.folder, model=model or OtherModel()) as library:
        return library.index(progress=Watcher(progress))


def seen(folder: Path) -> str:
    """Return how many photos a search in a newly opened library finds, and their scores."""
    with Library.open(folder) as library:
        hits = library.search("red", top=1000)
        assert library.check().ok
        return f"{len(hits)} " + " ".join(sorted({str(round(hit.score, 2)) for hit in hits}))


def embeddings(album: Album) -> dict[str, int]:
    sql = "SELECT m.name, count(*) FROM embeddings e JOIN models m ON m.id = e.model_id GROUP BY m.id"
    with closing(sqlite3.connect(album.library.folder / CATALOG_NAME)) as catalog:
        return dict(catalog.execute(sql).fetchall())


@pytest.mark.slow
def test_concurrent_searches_use_the_old_model_and_then_the_new_one(many: Album) -> None:
    searching = subprocess.Popen(
        [sys.executable, "-c", SEARCH, many.library.folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},  # noqa: PTH109
    )
    assert searching.stdin and searching.stdout

    def searched() -> list[str]:
        print("go", file=searching.stdin, flush=True)
        return [searching.stdout.readline().strip() for _ in range(2)]  # type: ignore[union-attr]

    found = searched()
    reembedding = start(REEMBED, many.library.folder)
    wait_for(reembedding, 32)
    while reembedding.poll() is None:
        found += searched()
    found += searched()
    _, errors = searching.communicate()
    assert searching.returncode == 0, errors
    assert reembedding.returncode == 0, reembedding.communicate()[1]
    switch = found.index(NEW)
    assert found == [OLD] * switch + [NEW] * (len(found) - switch)
    assert switch > 4


def test_a_killed_run_leaves_the_old_model_in_use_and_the_next_run_continues(many: Album) -> None:
    process = start(REEMBED, many.library.folder)
    wait_for(process, 96)
    process.kill()
    process.communicate()
    assert seen(many.library.folder) == OLD
    done = embeddings(many)["other"]
    assert 96 <= done < 320
    (notice,) = many.index().notices  # a run without --model in between
    assert "other" in notice and "--model" in notice
    model = OtherModel()
    assert give(many, model).notices == ("all photos are embedded with other 1: searches now use it",)
    assert model.encoded == 320 - done
    assert seen(many.library.folder) == NEW


def test_the_data_of_the_old_model_is_removed_after_the_switch(many: Album) -> None:
    assert [file.name[:6] for file in many.library.folder.glob("*.faiss")] == ["histog"]
    give(many)
    assert embeddings(many) == {"other": 320}
    assert [file.name[:6] for file in many.library.folder.glob("*.faiss")] == ["other-"]
    with Catalog(many.library.folder).read() as view:
        assert view.models.is_refreshed()


def test_the_next_run_removes_what_a_killed_process_did_not_remove(
    many: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refresh, "_remove_retired", killed)
        with pytest.raises(KeyboardInterrupt):
            give(many)
    assert embeddings(many) == {"histogram": 320, "other": 320}
    give(many)
    with Library.open(many.library.folder) as library:
        library.index()
    assert embeddings(many) == {"other": 320}
    assert seen(many.library.folder) == NEW


def test_photos_added_during_the_run_are_embedded_before_the_switch(many: Album) -> None:
    added = False

    def progress(done: int, total: int | None) -> None:
        nonlocal added
        if not added and done >= 320:
            added = True
            many.add("late.png", "red", 400)
            many.index()

    report = give(many, progress=progress)
    assert added and report.unchanged == 321
    assert seen(many.library.folder) == "321 0.8"


def test_a_run_that_started_before_a_switch_ends_with_an_error(many: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    many.add("late.png", "red", 400)

    def switched(batch: np.ndarray) -> np.ndarray:
        give(many)
        return HistogramModel().encode_pixels(batch)

    monkeypatch.setattr(many.model, "encode_pixels", switched)
    with pytest.raises(SearcherError, match="another model"):
        many.index()
    assert seen(many.library.folder) == "321 0.8"


def test_changed_new_and_deleted_files_are_handled_by_the_same_run(many: Album) -> None:
    many.add("000.png", "red", 500)
    (many.folder / "001.png").unlink()
    many.add("new.png", "red", 501)
    ids = {hit.id for hit in many.library.search("red", top=1000)}
    report = give(many)
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 1, 1, 318)
    assert seen(many.library.folder) == NEW
    with Library.open(many.library.folder) as library:
        assert len({hit.id for hit in library.search("red", top=1000)} & ids) == 319


def test_a_file_that_changed_without_a_new_size_or_time_is_read_again(many: Album) -> None:
    photo, other = many.folder / "000.png", many.folder / "001.png"
    times = photo.stat()
    size = max(photo.stat().st_size, other.stat().st_size) + 8
    photo.write_bytes(photo.read_bytes().ljust(size, b"\0"))
    os.utime(photo, ns=(times.st_atime_ns, times.st_mtime_ns))
    many.index()
    photo.write_bytes(other.read_bytes().ljust(size, b"\1"))
    os.utime(photo, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert many.counts() == {"unchanged": 320}
    assert give(many).changed == 1
    assert seen(many.library.folder) == NEW


def test_a_missing_disk_delays_the_switch_until_it_is_back(many: Album, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    many.add(str(disk / "away.png"), "red", 500)
    many.index(disk)
    disk.rename(tmp_path / "drawer")
    for _ in range(2):
        notices = give(many).notices
        assert len(notices) == 2 and "1 photo" in notices[0] and str(disk) in notices[0]
        assert seen(many.library.folder) == "321 1.0"
    (tmp_path / "drawer").rename(disk)
    model = OtherModel()
    give(many, model)
    assert model.encoded == 1
    assert seen(many.library.folder) == "321 0.8"


def test_a_disk_below_a_root_that_is_not_mounted_delays_the_switch(
    album: Album, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searcher.library.encoders.remembered", lambda row: HistogramModel())
    album.copy("disk/black.png", "copy.png")
    album.index()
    (album.folder / "copy.png").unlink()
    album.add("new.png", "red", 9)
    disk.unplug()
    report = give(album)
    assert "2 photos" in report.notices[0] and str(disk.folder) in report.notices[0]
    assert (report.added, report.removed) == (1, 1)  # by the model that searches still use
    assert embeddings(album) == {"histogram": 7, "other": 4}
    disk.folder.rmdir()
    disk.plug()
    give(album)
    assert embeddings(album) == {"other": 7}


def test_a_library_can_switch_back_to_its_first_model(many: Album) -> None:
    give(many)
    give(many, HistogramModel())
    assert embeddings(many) == {"histogram": 320}
    assert seen(many.library.folder) == OLD


def test_a_run_with_the_librarys_own_model_embeds_nothing(many: Album) -> None:
    model = HistogramModel()
    assert give(many, model).notices == ()
    assert model.encoded == 0


@pytest.mark.parametrize("model", [HistogramModel(), OtherModel()])
def test_a_run_opens_the_model_that_was_asked_for_once(
    album: Album, monkeypatch: pytest.MonkeyPatch, model: HistogramModel
) -> None:
    album.fill()
    album.add("yellow.png", "yellow", 4)
    opened: list[str] = []

    def open_model(name: str) -> HistogramModel:
        opened.append(name)
        return model

    monkeypatch.setattr(Model, "open", open_model)
    with Library.open(album.library.folder, model="named") as library:
        assert library.index().added == 1
    assert opened == ["named"]
