"""Folders, links, single files, missing disks, and forgetting."""

import os
import shutil
from pathlib import Path

import pytest

from searcher import Library, OptionChange, SearcherError
from searcher.vectors import pipeline
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album, Disk

# folders


def test_naming_the_same_folder_in_different_ways_makes_no_duplicates(
    album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.fill()
    album.add("sub/deep/x.png", "yellow")
    album.index()
    link = tmp_path / "link"
    link.symlink_to(album.folder)
    monkeypatch.chdir(album.folder / "sub")
    for path in (".", "..", "deep/../deep", link, link / "sub", album.folder / "sub/deep", "deep/x.png"):
        report = album.index(path)
        assert (report.added, report.removed, report.moved) == (0, 0, 0), path
        assert report.unchanged >= 1
    report = album.index(album.folder, ".", album.folder / "red.png", link)
    assert (report.added, report.unchanged) == (0, 5)
    assert album.library.status().roots == (str(album.folder),)
    assert album.library.status().images == 5


def test_a_root_inside_a_new_root_becomes_part_of_it_and_keeps_its_ids(album: Album) -> None:
    album.add("sub/a.png", "red")
    album.add("sub/hidden/.secret/b.png", "blue")
    album.add("c.png", "green")
    assert album.counts(album.folder / "sub") == {"added": 1}
    assert album.counts(album.folder / "sub/hidden/.secret") == {"added": 1}
    ids = album.ids()
    assert album.counts() == {"added": 1, "unchanged": 1}
    assert {name: id for name, id in album.ids().items() if name != "c.png"} == ids
    hidden = str(album.folder / "sub/hidden/.secret")  # a scan skips hidden folders, so it stays a separate root
    assert album.library.status().roots == (str(album.folder), hidden)
    assert album.index().removed == 0
    assert album.library.index().unchanged == 3


def test_indexing_a_subfolder_of_a_root_updates_only_the_subfolder(album: Album) -> None:
    album.add("a/1.png", "red")
    album.add("b/2.png", "blue")
    album.index()
    (album.folder / "a/1.png").unlink()
    album.add("a/3.png", "green")
    album.add("b/4.png", "white")
    (album.folder / "b/2.png").unlink()
    assert album.counts(album.folder / "a") == {"added": 1, "removed": 1}
    assert sorted(album.ids()) == ["a/3.png", "b/2.png"]


def test_single_files_are_indexed_without_their_folder_and_updated(album: Album) -> None:
    one, two = album.add("1.png", "red"), album.add("2.png", "blue", 1)
    album.add("3.png", "green", 2)
    assert album.counts(one, two, one) == {"added": 2}
    assert album.library.index().unchanged == 2
    two.unlink()
    assert album.counts(two) == {"removed": 1}
    album.add("1.png", "white", 3)
    report = album.library.index()
    assert (report.changed, report.added) == (1, 0)
    assert album.counts() == {"added": 1, "unchanged": 1}  # now the whole folder
    assert album.library.status().roots == (str(album.folder),)
    assert album.library.index().unchanged == 2


def test_a_single_file_without_a_photo_suffix_stays_indexed(album: Album) -> None:
    path = album.add("photo.backup", "red")
    album.add("other.png", "blue")
    assert album.counts(path) == {"added": 1}
    assert album.counts() == {"added": 1, "unchanged": 1}
    assert album.counts() == {"unchanged": 2}
    path.unlink()
    assert album.counts() == {"removed": 1, "unchanged": 1}


def test_names_that_are_not_utf_8_are_indexed_found_moved_and_removed(album: Album) -> None:
    album.add("plain.png", "blue")
    folder = album.folder / os.fsdecode(b"caf\xe9\xff")
    weird = folder / os.fsdecode(b"\xf0\n\t'\".png")
    folder.mkdir()
    album.add("red.png", "red", 3).rename(weird)
    assert album.counts() == {"added": 2}
    assert album.library.search("red", top=1)[0].path == str(weird)
    assert album.counts(folder) == {"unchanged": 1}
    moved = weird.rename(folder / os.fsdecode(b"\xfe\xff.png"))
    assert album.counts() == {"moved": 1, "unchanged": 1}
    assert album.library.search("red", top=1)[0].path == str(moved)
    assert album.library.forget(folder) == 1


def test_an_empty_folder_can_be_indexed(album: Album) -> None:
    assert album.counts() == {}
    assert list(album.library.search("red")) == []
    assert album.library.status().roots == (str(album.folder),)


@pytest.mark.parametrize("existing", [False, True])
def test_a_missing_path_is_an_error_and_changes_nothing(album: Album, existing: bool) -> None:
    if existing:
        album.fill()
    album.add("late.png")
    for path in (album.folder / "typo", album.folder.parent / "typo", album.folder / "typo.png"):
        with pytest.raises(SearcherError, match="typo"):
            album.index(album.folder, path)
    assert album.library.exists is existing
    if existing:
        assert album.library.status().images == 4


def test_indexing_a_new_library_without_a_folder_is_an_error(tmp_path: Path, model: HistogramModel) -> None:
    with (
        Library.open(tmp_path / "library", model=model, create=True) as library,
        pytest.raises(SearcherError, match="name a folder"),
    ):
        library.index()
    assert not (tmp_path / "library").exists()


# missing disks


def test_a_missing_root_removes_nothing_and_gives_a_notice(album: Album) -> None:
    album.fill()
    album.folder.rename(album.folder.with_name("unplugged"))
    report = album.index(album.folder)
    assert (report.removed, report.unchanged) == (0, 0)
    assert len(report.notices) == 1 and str(album.folder) in report.notices[0]
    assert "4 photos" in report.notices[0]
    assert album.library.index().notices == report.notices
    assert album.library.status().missing == (str(album.folder),)
    assert len(album.ids()) == 4


@pytest.mark.parametrize("leftover", [None, ".hidden"])
def test_a_root_that_has_become_empty_removes_nothing(album: Album, leftover: str | None) -> None:
    album.fill()
    unplugged = album.folder.with_name("unplugged")
    album.folder.rename(unplugged)
    album.folder.mkdir()
    if leftover:
        (album.folder / leftover).touch()
    report = album.index()
    assert report.removed == 0 and "empty" in report.notices[0]
    shutil.rmtree(album.folder)
    unplugged.rename(album.folder)
    report = album.index()
    assert (report.unchanged, report.notices) == (4, ())


def test_deleting_the_last_photo_beside_other_files_removes_it(album: Album) -> None:
    path = album.add("only.png")
    (album.folder / "notes.txt").touch()
    album.index()
    path.unlink()
    report = album.index()
    assert (report.removed, report.notices) == (1, ())


def test_single_files_on_a_missing_disk_are_kept(album: Album) -> None:
    path = album.add("1.png")
    album.index(path)
    album.folder.rename(album.folder.with_name("unplugged"))
    album.folder.mkdir()
    report = album.library.index()
    assert report.removed == 0 and len(report.notices) == 1
    assert len(album.library.search("red")) == 1


def test_photos_in_a_deleted_subfolder_are_removed(album: Album) -> None:
    album.add("a/1.png", "red")
    album.add("b/2.png", "blue")
    album.index()
    shutil.rmtree(album.folder / "a")
    assert album.counts(album.folder / "a") == {"removed": 1}


def test_photos_behind_broken_links_are_kept(album: Album, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    album.add("near.png", "red")
    shutil.copy(album.add("far.png", "blue", 1), disk / "far.png")
    (album.folder / "far.png").unlink()
    shutil.copy(album.add("linked.png", "green", 2), disk / "linked.png")
    (album.folder / "linked.png").unlink()
    (album.folder / "folder").symlink_to(disk)
    (album.folder / "linked.png").symlink_to(disk / "linked.png")
    assert album.library.index(album.folder, options=OptionChange(follow_links=True)).added >= 3
    before = album.library.status().images
    disk.rename(tmp_path / "unplugged")
    report = album.index()
    assert (report.removed, report.failed) == (0, 0)
    assert len(report.notices) == 2
    assert album.library.status().images == before
    (tmp_path / "unplugged").rename(disk)
    assert album.index().notices == ()


def test_naming_a_broken_link_says_that_it_is_one(album: Album) -> None:
    (album.folder / "link.png").symlink_to("nowhere")
    with pytest.raises(SearcherError, match=r"link\.png is a broken link"):
        album.index(album.folder / "link.png")


@pytest.mark.parametrize("leave_folder", [True, False])
@pytest.mark.parametrize("name", ["", "disk", "disk/sub", "disk/black.png"])
def test_a_disk_below_a_root_that_is_not_mounted_removes_nothing(
    album: Album, disk: Disk, name: str, leave_folder: bool
) -> None:
    ids = album.ids()
    disk.unplug(leave_folder)
    report = album.index(album.folder / name)
    assert (report.removed, report.failed) == (0, 0)
    assert len(report.notices) == 1
    assert album.ids() == ids
    if disk.folder.exists():
        disk.folder.rmdir()
    disk.plug()
    report = album.index()
    assert (report.added, report.unchanged, report.notices) == (0, 6, ())


def test_a_copy_of_a_photo_on_a_disk_that_is_not_mounted_has_not_moved(album: Album, disk: Disk) -> None:
    ids = album.ids()
    disk.unplug()
    shutil.copy(disk.contents / "black.png", album.folder / "copy.png")
    report = album.index()
    assert (report.added, report.moved, report.removed) == (1, 0, 0)
    disk.folder.rmdir()
    disk.plug()
    assert album.index().unchanged == 7
    assert ids["disk/black.png"] == album.ids()["disk/black.png"]


def test_a_photo_that_is_deleted_on_a_mounted_disk_is_removed(album: Album, disk: Disk) -> None:
    (disk.folder / "black.png").unlink()
    assert album.counts() == {"removed": 1, "unchanged": 5}


def test_a_disk_mounted_elsewhere_is_recognised_without_reading_photos(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.fill()
    ids, elsewhere = album.ids(), album.folder.with_name("elsewhere")
    album.folder.rename(elsewhere)
    monkeypatch.setattr(pipeline, "read_bytes", lambda path: pytest.fail(f"{path!r} was read"))
    report = album.index(elsewhere)
    assert (report.unchanged, report.added, report.moved) == (4, 0, 0)
    assert "now found at" in report.notices[0]
    assert album.library.status().roots == (str(elsewhere),)
    assert {name.removeprefix("../elsewhere/"): id for name, id in album.ids().items()} == ids


def test_another_folder_is_not_mistaken_for_a_missing_disk(album: Album, tmp_path: Path) -> None:
    album.fill()
    album.folder.rename(tmp_path / "unplugged")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "unplugged/red.png", other / "red.png")  # the times differ
    os.utime(other / "red.png", (1, 1))
    assert album.counts(other) == {"added": 1}
    assert len(album.library.status().roots) == 2


# forgetting


def test_forgetting_removes_images_from_the_library_but_deletes_no_photo(album: Album) -> None:
    album.fill()
    album.add("sub/x.png", "yellow")
    album.index()
    assert album.library.forget(album.folder / "sub") == 1
    assert album.library.forget(album.folder / "red.png") == 1
    assert album.found("yellow") == album.found("red") == []
    assert album.library.forget(album.folder) == 3
    assert album.library.status().roots == ()
    assert len(list(album.folder.rglob("*.png"))) == 5
    with pytest.raises(SearcherError):
        album.library.forget(album.folder)


def test_forgetting_a_folder_forgets_the_roots_inside_it(album: Album) -> None:
    album.add("a/1.png")
    album.add("b/2.png", "blue")
    album.index(album.folder / "a", album.folder / "b")
    assert album.library.forget(album.folder) == 2


def test_forgetting_what_was_never_indexed_is_an_error(album: Album, tmp_path: Path) -> None:
    album.fill()
    for path in (tmp_path, tmp_path / "nowhere", album.folder / "nothing"):
        if path != tmp_path:
            with pytest.raises(SearcherError, match="ever indexed"):
                album.library.forget(path)
    assert album.library.status().images == 4


def test_a_link_in_a_root_to_a_folder_outside_is_part_of_the_root(album: Album, tmp_path: Path) -> None:
    album.add("near.png", "red")
    album.add("far.png", "blue", 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (album.folder / "far.png").rename(elsewhere / "far.png")
    (album.folder / "link").symlink_to(elsewhere)
    assert album.counts() == {"added": 1}
    assert album.library.index(album.folder, options=OptionChange(follow_links=True)).added == 1
    assert album.counts(album.folder / "link") == {"unchanged": 1}
    assert album.library.status().roots == (str(album.folder),)
    assert album.library.index(album.folder, options=OptionChange(follow_links=False)).removed == 1
    assert album.counts(album.folder / "link") == {"added": 1}
    assert len(album.library.status().roots) == 2


def test_a_copy_that_can_be_opened_comes_before_a_copy_on_a_missing_disk(album: Album, tmp_path: Path) -> None:
    disk, here = tmp_path / "disk", tmp_path / "here"
    disk.mkdir()
    here.mkdir()
    for folder in (disk, here):
        shutil.copy(album.add("red.png"), folder / "red.png")
        album.index(folder)
    assert album.library.search("red")[0].path == str(disk / "red.png")
    disk.rename(tmp_path / "unplugged")
    hit = album.library.search("red")[0]
    assert (hit.path, hit.copies) == (str(here / "red.png"), (str(disk / "red.png"),))
