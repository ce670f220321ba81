"""What an indexed folder leaves out, and how its options are kept."""

import os
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from searcher import Library, OptionChange, SearcherError
from searcher.indexer import IndexReport
from searcher.library import FolderOptions
from searcher.photos.spelling import as_on_disk, is_there
from tests.library.conftest import Album


def change(album: Album, *paths: Path, exclude: tuple[str, ...] = (), **options: Any) -> IndexReport:
    return album.library.index(*(paths or (album.folder,)), options=OptionChange(exclude, **options))


def options_of(album: Album) -> list[FolderOptions]:
    return [folder.options for folder in album.library.folders()]


def test_options_are_kept_with_the_folder(album: Album) -> None:
    album.fill()
    album.add(".secret/yellow.png", "yellow")
    assert change(album, exclude=("red.*",), hidden=True).removed == 1
    assert sorted(album.ids()) == [".secret/yellow.png", "blue.png", "green.png", "white.png"]
    assert album.counts() == album.counts(album.folder / ".secret", album.folder) == {"unchanged": 4}
    with Library.open(album.library.folder, model=album.model) as again:
        assert again.index().unchanged == 4
        assert [folder.options for folder in again.folders()] == [FolderOptions(("red.*",), hidden=True)]
    assert change(album, keep_excluded=False, hidden=False).as_dict()["added"] == 1
    assert album.counts() == {"unchanged": 4} and ".secret/yellow.png" not in album.ids()


def test_a_photo_that_is_excluded_leaves_the_library_at_the_next_run(album: Album) -> None:
    album.fill()
    album.add("sub/a.png", "yellow", 5)
    (album.folder / "broken.png").write_bytes(b"no picture")
    assert album.counts() == {"added": 1, "unchanged": 4, "failed": 1}
    (album.folder / ".searcherignore").write_text("sub/\nbroken.png\n/red.png\n")
    assert album.counts() == {"removed": 2, "unchanged": 3}
    assert album.library.check().ok
    (album.folder / ".searcherignore").unlink()
    assert album.counts() == {"added": 2, "unchanged": 3, "failed": 1}


def test_a_named_file_that_its_folder_leaves_out_is_not_indexed_and_a_notice_says_why(album: Album) -> None:
    album.fill()
    change(album, exclude=("*.jpg",))
    report = album.index(album.add("a.jpg"))
    assert (report.added, len(report.notices)) == (0, 1)
    assert "a.jpg: left out" in report.notices[0] and "--exclude '*.jpg'" in report.notices[0]


def test_a_folder_that_is_left_out_becomes_a_root_of_its_own_when_it_is_named(album: Album) -> None:
    album.fill()
    album.add("drafts/a.png", "yellow", 5)
    change(album, exclude=("drafts/",))
    assert album.counts(album.folder / "drafts") == {"added": 1}
    assert len(album.library.folders()) == 2
    ids = album.ids()
    assert change(album, keep_excluded=False).unchanged == 5  # now it is a part of the folder again
    assert options_of(album) == [FolderOptions()] and album.ids() == ids


def test_options_for_something_that_is_no_whole_folder_are_refused(album: Album) -> None:
    album.fill()
    album.add("sub/a.png", "yellow", 5)
    album.index()
    for path, says in ((album.folder / "sub", "part of the indexed folder"), (album.folder / "red.png", "no folder")):
        with pytest.raises(SearcherError, match=says):
            change(album, path, hidden=True)
    with pytest.raises(SearcherError, match="name it"):
        album.library.index(options=OptionChange(hidden=True))
    with pytest.raises(SearcherError, match="excludes nothing"):
        change(album, exclude=(" ",))
    assert options_of(album) == [FolderOptions()] and album.library.status().images == 5


def test_a_path_that_is_longer_than_the_system_allows_gives_a_notice(album: Album) -> None:
    album.fill()
    folder, here = "d" * 250, Path.cwd()
    os.chdir(album.folder)
    try:
        for _ in range(17):  # together longer than a path may be
            Path(folder).mkdir()
            os.chdir(folder)
        Path("deep.png").touch()
    finally:
        os.chdir(here)
    report = album.index()
    assert (report.unchanged, report.failed) == (4, 0)
    assert len(report.notices) == 1 and report.notices[0].endswith("File name too long")


@pytest.fixture
def folding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `tmp_path` find names in any letter case and normal form, as macOS does. A mock, as mounting needs rights."""
    real = os.lstat

    def fold(name: bytes) -> str:
        return normalize("NFC", os.fsdecode(name)).casefold()

    def lstat(path: str | bytes | os.PathLike[str], **options: int) -> os.stat_result:
        try:
            return real(path, **options)
        except FileNotFoundError:
            rest = os.fsencode(path).removeprefix(os.fsencode(tmp_path) + b"/")
            found = os.fsencode(tmp_path)
            for part in rest.split(b"/"):
                same = [
                    name
                    for name in os.listdir(found)  # noqa: PTH208
                    if fold(name) == fold(part)
                ]
                if not same:
                    raise
                found = found + b"/" + same[0]
            return real(found)

    monkeypatch.setattr(os, "lstat", lstat)


@pytest.mark.usefixtures("folding")
def test_a_folder_is_indexed_once_however_its_name_is_spelled(album: Album, tmp_path: Path) -> None:
    folder = tmp_path / normalize("NFD", "Été")
    folder.mkdir()
    album.fill()
    (album.folder / "red.png").rename(folder / "Red.png")
    album.index(folder)
    for name in ("Été", "été", normalize("NFD", "éTÉ")):
        report = album.index(tmp_path / normalize("NFC", name))
        assert (report.unchanged, report.added) == (1, 0)
        assert album.index(tmp_path / name / "RED.PNG").unchanged == 1
    assert str(folder) in album.library.status().roots and len(album.library.status().roots) == 2


@pytest.mark.usefixtures("folding")
@pytest.mark.parametrize(
    ("old", "new"), [("a.png", "A.png"), (normalize("NFC", "é.png"), normalize("NFD", "é.png")), ("x/a.png", "X/a.png")]
)
def test_a_photo_with_another_spelling_has_moved(album: Album, old: str, new: str) -> None:
    album.add("other.png", "blue")
    path = album.add(old)
    album.index()
    ids = album.ids()
    if "/" in new:
        path.parent.rename(album.folder / "X")
    else:
        path.rename(album.folder / new)
    assert album.counts() == {"moved": 1, "unchanged": 1}
    assert album.ids() == {"other.png": ids["other.png"], new: ids[old]}


def test_names_that_differ_only_in_case_or_form_are_different_photos_elsewhere(album: Album) -> None:
    names = ["a.png", "A.png", normalize("NFC", "é.png"), normalize("NFD", "é.png"), "🐕.png", "new\nline.png"]
    for number, name in enumerate(names):
        album.add(name, "red", number)
    os.link(album.folder / "a.png", album.folder / "a.PNG")
    assert album.counts() == {"added": 7}
    assert album.counts(*(album.folder / name for name in names)) == {"unchanged": 6}
    for name in (*names, "a.PNG"):
        assert as_on_disk(os.fsencode(album.folder / name)) == os.fsencode(album.folder / name)
        assert is_there(os.fsencode(album.folder), os.fsencode(name))
    (album.folder / "A.png").unlink()
    (album.folder / "a.PNG").unlink()
    assert album.counts() == {"removed": 2, "unchanged": 5}
