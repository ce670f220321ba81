"""Raw files, videos and others that are passed over are counted, and what a library holds is kept."""

import sys
from pathlib import Path

import pytest

from searcher import OptionChange
from searcher.errors import InvalidInput
from tests.library.conftest import Album
from tests.library.test_metadata import tags
from tests.photos.files import picture
from tests.photos.raws import dng
from tests.photos.test_metadata import bag, packet


def add_raw(album: Album, name: str, seed: int = 1) -> Path:
    path = album.folder / name
    path.write_bytes(dng(picture(seed, width=96, height=64)))
    return album.touch(path)


def without_rawpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)


def test_raw_files_beside_a_jpeg_are_passed_over_and_counted(album: Album) -> None:
    album.add("1.jpg")
    add_raw(album, "1.DNG")
    add_raw(album, "2.dng", 2)
    report = album.index()
    assert (report.added, report.failed) == (2, 0)
    assert report.as_dict()["passed_over"] == {"videos": 0, "raw": 1, "jpeg_xl": 0}
    [line] = report.notices
    assert line.startswith("1 camera raw file was passed over: a JPEG or HEIC of the same name lies beside it")
    assert album.counts() == {"unchanged": 2}


def test_the_option_adds_and_removes_raw_files_and_a_later_run_without_it_does_the_same(album: Album) -> None:
    album.add("1.jpg")
    add_raw(album, "1.dng")
    add_raw(album, "2.dng", 2)
    album.index()
    everything = album.library.index(album.folder, options=OptionChange(raw="all"))
    assert (everything.added, everything.unchanged, everything.notices) == (1, 2, ())
    assert album.counts() == {"unchanged": 3}
    add_raw(album, "1.dng", seed=3)
    assert album.counts() == {"changed": 1, "unchanged": 2}
    alone = album.library.index(album.folder, options=OptionChange(raw="alone"))
    assert (alone.removed, alone.unchanged) == (1, 2)
    none = album.library.index(album.folder, options=OptionChange(raw="none"))
    assert (none.removed, none.unchanged) == (1, 1)
    assert none.notices == ("2 camera raw files were passed over (--raw none)",)
    assert album.counts() == {"unchanged": 1}
    album.add("1.jpg", number=5)
    assert album.index().notices == none.notices  # the answer is kept with the folder
    with pytest.raises(InvalidInput, match="raw is all, alone, none or None, not 'some'"):
        album.library.index(album.folder, options=OptionChange(raw="some"))


def test_without_the_extra_one_line_says_what_to_install_and_nothing_is_removed(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_raw(album, "1.dng")
    album.index()
    without_rawpy(monkeypatch)
    add_raw(album, "1.dng", seed=2)
    add_raw(album, "2.dng", seed=3)
    add_raw(album, "3.nef", seed=4)
    for raw in (None, "all", "alone"):
        report = album.library.index(album.folder, options=OptionChange(raw=raw))
        assert (report.unchanged, report.removed, report.failed) == (1, 0, 0)
        [line] = report.notices
        assert line == "2 camera raw files were passed over: to index them, run pip install 'searcher[raw]'"
    monkeypatch.undo()
    assert album.counts() == {"added": 2, "changed": 1}


def test_videos_are_counted_also_if_they_are_named_and_forgotten_if_they_failed_before(album: Album) -> None:
    clip = album.folder / "clip.mp4"
    photo = album.add("clip.png")
    clip.write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    report = album.index(photo, clip)
    assert (report.added, report.failed) == (1, 0)
    assert report.notices == ("1 video was passed over",)


def test_a_raw_file_that_the_user_names_is_read_also_beside_a_jpeg(album: Album) -> None:
    photo = album.add("1.jpg")
    raw = add_raw(album, "1.dng")
    assert album.counts(photo, raw) == {"added": 2}
    assert album.counts(album.folder) == {"unchanged": 2}


def test_a_sidecar_of_the_name_belongs_to_a_jpeg_whose_raw_file_is_passed_over(album: Album) -> None:
    album.add("1.jpg")
    add_raw(album, "1.dng")
    add_raw(album, "2.dng", 2)
    for name in ("1.xmp", "1.dng.xmp", "2.xmp"):
        (album.folder / name).write_text(packet(bag("dc:subject", name)))
    assert album.counts() == {"added": 2}
    assert (tags(album, "1.jpg"), tags(album, "2.dng")) == (["1.xmp"], ["2.xmp"])


def test_a_raw_file_that_failed_and_is_passed_over_now_is_no_failure(album: Album) -> None:
    raw = album.folder / "1.dng"
    raw.write_bytes(b"nothing")
    assert album.index().failed == 1
    album.add("1.jpg")
    report = album.index()
    assert (report.failed, report.as_dict()["passed_over"]["raw"]) == (0, 1)
