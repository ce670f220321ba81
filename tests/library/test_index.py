"""What an index run reports and what can be found after it."""

import os
import shutil
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searcher import Library, SearcherError
from searcher.catalog import Catalog
from searcher.catalog.connect import CATALOG_NAME
from searcher.indexer import update
from searcher.indexer.places import is_gone
from searcher.library import refresh
from searcher.photos import decode
from searcher.vectors import pipeline
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album
from tests.watcher import Watcher


def test_photos_are_found_by_their_content(album: Album) -> None:
    album.add("a/sea.png", "blue")
    album.add("b/wood.png", "green")
    assert album.counts() == {"added": 2}
    assert album.found("blue") == ["a/sea.png"]
    hit = album.library.search("something green", top=1)[0]
    assert (hit.rank, hit.path, hit.copies) == (1, str(album.folder / "b/wood.png"), ())
    assert hit.score == pytest.approx(1, abs=1e-3)


def test_a_second_run_embeds_nothing(album: Album) -> None:
    album.fill()
    before = album.model.encoded
    assert album.counts() == {"unchanged": 4}
    assert album.model.encoded == before == 4


def test_each_kind_of_change_is_reported_and_found_by_searches(album: Album) -> None:
    album.fill()
    ids = album.ids()
    (album.folder / "red.png").rename(album.folder / "crimson.png")
    (album.folder / "green.png").unlink()
    album.add("blue.png", "yellow", 7)
    album.add("new.png", "black", 8)
    assert album.counts() == {"added": 1, "changed": 1, "moved": 1, "removed": 1, "unchanged": 1}
    assert album.found("red") == ["crimson.png"]
    assert album.found("green") == album.found("blue") == []
    assert album.found("yellow") == ["blue.png"]
    now = album.ids()
    assert (now["crimson.png"], now["blue.png"]) == (ids["red.png"], ids["blue.png"])
    assert now["new.png"] not in ids.values()
    assert album.counts() == {"unchanged": 4}


def test_a_touched_file_with_the_same_content_is_unchanged_and_read_only_once(album: Album) -> None:
    album.fill()
    album.touch(album.folder / "red.png")
    before = album.model.encoded
    assert album.counts() == {"unchanged": 4}
    with closing(sqlite3.connect(album.library.folder / CATALOG_NAME)) as catalog:
        times = [row[0] for row in catalog.execute("SELECT mtime_ns FROM images WHERE relpath = ?", [b"red.png"])]
    assert times == [(album.folder / "red.png").stat().st_mtime_ns]
    assert album.model.encoded == before


def test_a_copy_is_one_hit_and_not_embedded_again(album: Album) -> None:
    album.fill()
    album.copy("red.png", "copies/red.png")
    album.copy("red.png", "copies/again.png")
    before = album.model.encoded
    assert album.counts() == {"added": 2, "unchanged": 4}
    assert album.model.encoded == before
    assert album.found("red") == ["copies/again.png=copies/red.png=red.png"]
    hit = album.library.search("red", top=1)[0]
    assert hit.path == str(album.folder / "red.png")
    (album.folder / "red.png").unlink()
    assert album.counts() == {"removed": 1, "unchanged": 5}
    assert album.found("red") == ["copies/again.png=copies/red.png"]


def test_many_copies_in_one_run_are_embedded_once(album: Album) -> None:
    album.add("0.png", "red")
    for number in range(1, 200):
        album.copy("0.png", f"{number}.png")
    assert album.counts() == {"added": 200}
    assert album.model.encoded == 1
    assert len(album.library.search("red")) == 1


def test_two_files_that_swap_names_keep_their_ids(album: Album) -> None:
    album.fill()
    ids = album.ids()
    swap(album, "red.png", "blue.png")
    assert album.counts() == {"moved": 2, "unchanged": 2}
    now = album.ids()
    assert (now["red.png"], now["blue.png"]) == (ids["blue.png"], ids["red.png"])
    assert album.found("red") == ["blue.png"]


def swap(album: Album, one: str, other: str) -> None:
    first, second, between = album.folder / one, album.folder / other, album.folder / "between"
    first.rename(between)
    second.rename(first)
    between.rename(second)
    album.touch(first)
    album.touch(second)


@pytest.mark.parametrize("chain", ["red green blue", "blue green red", "green red blue"])
def test_a_chain_of_renames_keeps_every_id(album: Album, chain: str) -> None:
    album.fill()
    ids = album.ids()
    places = [album.folder / f"{name}.png" for name in (*chain.split(), "purple")]
    for source, target in reversed(list(pairwise(places))):
        source.rename(target)
        album.touch(target)
    assert album.counts() == {"moved": 3, "unchanged": 1}
    now = album.ids()
    assert [now[place.name] for place in places[1:]] == [ids[place.name] for place in places[:-1]]


def test_a_file_renamed_over_another_is_moved_and_the_other_removed(album: Album) -> None:
    album.fill()
    ids = album.ids()
    (album.folder / "red.png").rename(album.folder / "blue.png")
    assert album.counts() == {"moved": 1, "removed": 1, "unchanged": 2}
    assert album.ids()["blue.png"] == ids["red.png"]
    assert album.found("blue") == []


def test_an_edited_photo_keeps_its_id_and_its_saved_original_gets_a_new_one(album: Album) -> None:
    album.fill()
    ids = album.ids()
    album.copy("red.png", "red-original.png")
    album.add("red.png", "black", 9)
    assert album.counts() == {"added": 1, "changed": 1, "unchanged": 3}
    assert album.ids()["red.png"] == ids["red.png"]


def test_a_photo_moved_to_another_root_keeps_its_id_if_only_that_root_is_indexed(album: Album, tmp_path: Path) -> None:
    album.fill()
    ids = album.ids()
    other = tmp_path / "other"
    other.mkdir()
    (album.folder / "red.png").rename(other / "red.png")
    assert album.counts(other) == {"moved": 1}
    assert album.ids()["../other/red.png"] == ids["red.png"]
    assert album.counts() == {"unchanged": 3}


def test_user_tags_stay_with_an_image_when_its_file_moves(album: Album) -> None:
    album.fill()
    with closing(sqlite3.connect(album.library.folder / CATALOG_NAME)) as catalog, catalog:
        catalog.execute("INSERT INTO labels (id, name) VALUES (1, 'Rex')")
        image = album.ids()["red.png"]
        catalog.execute("INSERT INTO tags VALUES (?, 1, 'user', NULL, NULL, '2026-01-01')", [image])
    (album.folder / "red.png").rename(album.folder / "rex.png")
    album.index()
    assert album.library.search("red", top=1)[0].tags == ("Rex",)


def test_embeddings_of_deleted_photos_are_removed(album: Album) -> None:
    album.fill()
    (album.folder / "red.png").unlink()
    album.add("blue.png", "yellow", 30)
    album.index()
    with Catalog(album.library.folder).read() as view:
        model = view.models.current()
        assert model is not None
        assert view.embeddings.count(model.id) == view.files.image_count() == 3


# files that fail


def test_unreadable_files_are_listed_with_a_reason_and_do_not_stop_the_run(album: Album) -> None:
    album.add("good.png")
    (album.folder / "text.jpg").write_text("this is no picture")
    (album.folder / "empty.png").touch()
    (album.folder / "short.png").write_bytes(album.add("whole.png", "blue").read_bytes()[:60])
    (album.folder / "link.jpg").symlink_to("nowhere")
    os.mkfifo(album.folder / "pipe.jpg")
    assert album.counts() == {"added": 2, "failed": 5}
    failures = {album.name(failure.path): failure.error for failure in album.library.failures()}
    assert set(failures) == {"text.jpg", "empty.png", "short.png", "link.jpg", "pipe.jpg"}
    assert all(failures.values()) and "empty" in failures["empty.png"]
    assert album.index().notices == ()  # each of them is listed among the failures
    assert album.counts() == {"unchanged": 2, "failed": 5}
    assert album.library.status().failed == 5


def test_a_failed_file_is_read_again_only_if_its_size_or_time_changes(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = album.folder / "bad.png"
    path.write_text("no picture")
    album.touch(path)
    assert album.counts() == {"failed": 1}
    tried: list[bytes] = []

    def read_bytes(path: bytes) -> bytes:
        tried.append(path)
        return decode.read_bytes(path)

    monkeypatch.setattr(pipeline, "read_bytes", read_bytes)
    assert album.counts() == {"failed": 1}
    assert tried == []
    album.touch(path)
    assert album.counts() == {"failed": 1}
    assert tried
    album.add("bad.png", "blue")
    assert album.counts() == {"added": 1}
    assert album.library.failures() == []
    path.write_text("broken again")
    assert album.counts() == {"failed": 1}
    assert album.found("blue") == []
    path.unlink()
    album.add("other.png")
    assert album.counts() == {"added": 1}


def test_all_copies_of_a_broken_file_fail_with_the_same_reason(album: Album) -> None:
    for name in ("one.jpg", "two.jpg", "three.jpg"):
        (album.folder / name).write_text("the same nonsense")
    report = album.index()
    assert report.failed == 3
    assert len({failure.error for failure in report.failures}) == 1


def test_an_encoder_error_ends_the_run_and_keeps_committed_batches(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        album.add(f"{number:03}.png", "red", number)
    real = HistogramModel.encode_pixels

    def breaks(self: HistogramModel, batch: np.ndarray) -> np.ndarray:
        if self.encoded >= 2 * pipeline.BATCH_SIZE:
            raise RuntimeError("out of memory")
        return real(self, batch)

    monkeypatch.setattr(HistogramModel, "encode_pixels", breaks)
    with pytest.raises(RuntimeError, match="out of memory"):
        album.index()
    monkeypatch.undo()
    done = album.library.status().images
    assert done == 2 * pipeline.BATCH_SIZE
    assert album.counts() == {"added": 100 - done, "unchanged": done}
    assert album.model.encoded == 100


def test_ctrl_c_keeps_committed_batches_and_the_next_run_continues(album: Album) -> None:
    for number in range(100):
        album.add(f"{number:03}.png", "red", number)

    def interrupt(done: int, total: int | None) -> None:
        if total is not None and done >= pipeline.BATCH_SIZE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        album.library.index(album.folder, progress=Watcher(interrupt))
    done = album.library.status().images
    assert done == pipeline.BATCH_SIZE
    assert len(album.library.search("red", top=1000)) == done
    assert album.counts() == {"added": 100 - done, "unchanged": done}


def test_progress_counts_every_file_and_ends_at_the_total(album: Album) -> None:
    for number in range(80):
        album.add(f"{number:03}.png", "red", number)
    album.index()
    for number in range(40):
        album.touch(album.folder / f"{number:03}.png")
        album.add(f"new{number:03}.png", "blue", number)
    watcher = Watcher()
    album.library.index(album.folder, progress=watcher)
    known = [done for done, total in watcher.said if total is not None]
    assert {total for _, total in watcher.said} == {None, 80}
    assert known == sorted(known) and known[-1] == 80


def test_a_photo_that_cannot_be_preprocessed_is_a_failed_file(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.add("good.png", "red")
    album.add("odd.png", "blue", 13)
    real = HistogramModel.preprocess

    def preprocess(self: HistogramModel, image: Image.Image) -> np.ndarray:
        if image.width == 33:
            raise ZeroDivisionError(f"{os.fsdecode(b'odd name')} \udcff")
        return real(self, image)

    monkeypatch.setattr(HistogramModel, "preprocess", preprocess)
    assert album.counts() == {"added": 1, "failed": 1}
    assert "cannot be prepared" in album.library.failures()[0].error


def test_camera_metadata_is_stored_with_the_photo(album: Album) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera 5"
    exif.get_ifd(0x8769)[0x9003] = "2023:06:01 12:30:00"
    Image.new("RGB", (40, 30)).save(album.folder / "shot.jpg", exif=exif)
    album.index()
    assert album.library.search("black", top=1)[0].taken_at == "2023-06-01T12:30:00"
    with closing(sqlite3.connect(album.library.folder / CATALOG_NAME)) as catalog:
        row = catalog.execute("SELECT width, height, format, camera FROM contents").fetchone()
    assert row == (40, 30, "JPEG", "Camera 5")


def test_a_long_run_writes_the_vector_index_before_it_ends(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "REBUILD_AFTER", 64)
    for number in range(300):
        album.add(f"{number:03}.png", "red", number)
    vectors: list[int] = []

    def progress(done: int, total: int | None) -> None:
        if total and done % 32 == 0:
            with Library.open(album.library.folder, model=album.model) as other:
                vectors.append(other.status().vectors if done else 0)

    album.library.index(album.folder, progress=Watcher(progress))
    assert vectors == [0, 0, 0, 64, 64, 128, 128, 128, 128, 256]
    assert album.library.status().vectors + album.library.status().pending == 300


def test_the_next_run_updates_derived_data_after_an_interrupted_run(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.add("red.png", "red")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(refresh, "refresh", interrupted)
    with pytest.raises(KeyboardInterrupt):
        album.index()
    monkeypatch.undo()
    assert (album.library.status().vectors, album.library.status().pending) == (0, 1)
    assert album.counts() == {"unchanged": 1}
    assert (album.library.status().vectors, album.library.status().pending) == (1, 0)


def test_a_photo_moved_from_another_root_over_a_known_photo_replaces_it(album: Album, tmp_path: Path) -> None:
    album.fill()
    other = tmp_path / "other"
    other.mkdir()
    album.add("cyan.png", "yellow", 20).rename(other / "yellow.png")
    assert album.counts(other) == {"added": 1}
    (other / "yellow.png").rename(album.folder / "blue.png")
    (other / "notes.txt").touch()
    assert album.counts() == {"moved": 1, "removed": 1, "unchanged": 3}
    assert (album.found("blue"), album.found("yellow")) == ([], ["blue.png"])


def test_two_photos_overwritten_with_the_same_photo_keep_their_ids(album: Album) -> None:
    album.fill()
    with closing(sqlite3.connect(album.library.folder / CATALOG_NAME)) as catalog:
        before = catalog.execute("SELECT relpath, id FROM images ORDER BY relpath").fetchall()
    album.add("red.png", "yellow", 20)
    album.copy("red.png", "blue.png")
    assert album.counts() == {"changed": 2, "unchanged": 2}
    with closing(sqlite3.connect(album.library.folder / CATALOG_NAME)) as catalog:
        assert catalog.execute("SELECT relpath, id FROM images ORDER BY relpath").fetchall() == before
    assert album.found("yellow") == ["blue.png=red.png"]
    assert album.found("red") == album.found("blue") == []


def test_each_copy_is_looked_at_once_in_a_run_and_a_moved_one_is_still_found(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def count(*place: Any) -> bool:
        nonlocal looks
        looks += 1
        return is_gone(*place)

    monkeypatch.setattr("searcher.indexer.commit.is_gone", count)
    album.add("000.png")
    for number in range(1, 150):
        os.link(album.folder / "000.png", album.folder / f"{number:03}.png")
    assert album.counts() == {"added": 150}
    assert looks == 0
    for number in range(150, 300):
        os.link(album.folder / "000.png", album.folder / f"{number:03}.png")
    assert album.counts() == {"added": 150, "unchanged": 150}
    assert looks <= 200
    (album.folder / "140.png").rename(album.folder / "moved.png")
    for number in range(300, 303):
        os.link(album.folder / "000.png", album.folder / f"{number:03}.png")
    assert album.counts() == {"added": 3, "moved": 1, "unchanged": 299}


def test_a_library_that_is_deleted_during_a_run_is_an_error_and_is_not_made_again(album: Album) -> None:
    album.fill()
    album.add("new.png", "blue", 9)

    def delete(done: int, total: int | None) -> None:
        if total:
            shutil.rmtree(album.library.folder, ignore_errors=True)

    with pytest.raises(SearcherError, match="deleted or replaced"):
        album.library.index(album.folder, progress=Watcher(delete))
    assert not album.library.folder.exists()
