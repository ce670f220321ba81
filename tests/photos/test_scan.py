"""A scan finds every photo below a folder once, and reports everything that it cannot list."""

import os
import socket
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.errors import InvalidInput
from searcher.photos.rules import FolderOptions, OptionChange
from searcher.photos.scan import FoundFile, FoundSidecar, LinkOut, MountPoint, Unreadable, scan
from searcher.photos.suffixes import FOUND_SUFFIXES, SIDECAR_SUFFIX

FOLLOW = FolderOptions(follow_links=True)


Form = Literal["NFC", "NFD"]


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(root: Path, options: FolderOptions = FolderOptions(), below: str = "") -> list[str]:  # noqa: B008
    """The relative paths that scan yields, sorted. Any error fails the test."""

    files = [
        file for file in scan(os.fsencode(root), options, os.fsencode(below)) if not isinstance(file, FoundSidecar)
    ]
    assert not [file for file in files if not isinstance(file, FoundFile)]
    return sorted(os.fsdecode(file.relpath) for file in files)


def found_and_errors(root: Path) -> tuple[list[str], dict[str, str]]:
    files = list(scan(os.fsencode(root), FOLLOW))
    errors = {os.fsdecode(file.relpath): file.error.strerror or "" for file in files if isinstance(file, Unreadable)}
    return sorted(os.fsdecode(file.relpath) for file in files if isinstance(file, FoundFile)), errors


def test_a_file_has_its_path_size_and_modification_time(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/c.jpg")
    (tmp_path / "a/b/c.jpg").write_bytes(b"12345")
    os.utime(tmp_path / "a/b/c.jpg", ns=(1, 1_234_567_890_123_456_789))
    [file] = scan(os.fsencode(tmp_path))
    assert file == FoundFile(b"a/b/c.jpg", 5, 1_234_567_890_123_456_789)


def test_photos_are_recognised_by_their_suffix_in_any_letter_case(tmp_path: Path) -> None:
    photos = [
        f"photo{number}{suffix.decode()}" for number, suffix in enumerate(sorted(FOUND_SUFFIXES - {SIDECAR_SUFFIX}))
    ]
    photos += ["A.JPG", "b.JpEg", "c.d.heic"]
    touch(tmp_path, *photos, "notes.txt", "jpg", "x.jpgx", "photo.jpg.xmp", "code.ts", "none.")
    assert found(tmp_path) == sorted(photos)


def test_an_empty_folder_has_no_photos(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_names_that_are_unusual_or_not_utf8_are_found(tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", "東京.jpg".encode(), b"new\nline.jpg", b"-rf *.jpg", b"\xff\xfe/\x80.jpg"]
    for name in names:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert sorted(file.relpath for file in scan(os.fsencode(tmp_path))) == sorted(names)


def test_hidden_files_thumbnails_and_recycle_bins_are_skipped(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "seen.jpg",
        "folder.jpg/inside a folder with the name of a photo.jpg",
        "._seen.jpg",
        ".hidden.jpg",
        ".thumbnails/a.png",
        "album/.cache/a.jpg",
        "album/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "#recycle/a.jpg",
        "$RECYCLE.BIN/a.jpg",
        "System Volume Information/a.jpg",
    )
    assert found(tmp_path) == ["folder.jpg/inside a folder with the name of a photo.jpg", "seen.jpg"]


def test_only_the_originals_of_an_apple_library_are_found(tmp_path: Path) -> None:
    library = "My Photos.photoslibrary"
    touch(
        tmp_path,
        f"{library}/originals/A/1.heic",
        f"{library}/resources/derivatives/A/1.jpeg",
        "resources/2.jpg",
    )
    assert found(tmp_path) == [f"{library}/originals/A/1.heic", "resources/2.jpg"]
    assert found(tmp_path / library) == ["originals/A/1.heic"]


def test_links_out_of_the_root_are_followed_only_on_request(tmp_path: Path) -> None:
    touch(tmp_path, "outside/real.jpg", "root/plain.jpg")
    (tmp_path / "outside/real.jpg").write_bytes(b"12345")
    (tmp_path / "root/link.jpg").symlink_to("../outside/real.jpg")
    (tmp_path / "root/folder").symlink_to("../outside")
    (tmp_path / "root/gone.jpg").symlink_to("../nowhere.jpg")
    (tmp_path / "root/notes").symlink_to("/etc/hostname")
    root = os.fsencode(tmp_path / "root")
    assert set(scan(root)) - {LinkOut(b"link.jpg"), LinkOut(b"folder"), LinkOut(b"gone.jpg")} == {
        file for file in scan(root) if isinstance(file, FoundFile) and file.relpath == b"plain.jpg"
    }
    files = {file.relpath: file.size for file in scan(root, FOLLOW) if isinstance(file, FoundFile)}
    assert files == {b"plain.jpg": 1, b"link.jpg": 5, b"folder/real.jpg": 5}


def test_a_link_to_a_photo_that_is_found_anyway_is_not_a_second_photo(tmp_path: Path) -> None:
    touch(tmp_path, "sub/real.jpg", ".hidden/real.jpg", "sub/without suffix")
    (tmp_path / "sorted").mkdir()
    (tmp_path / "sorted/dog.jpg").symlink_to(tmp_path / "sub/real.jpg")
    (tmp_path / "sorted/hidden.jpg").symlink_to(tmp_path / ".hidden/real.jpg")
    (tmp_path / "sorted/named.jpg").symlink_to(tmp_path / "sub/without suffix")
    assert found(tmp_path) == ["sorted/hidden.jpg", "sorted/named.jpg", "sub/real.jpg"]


def test_a_time_beyond_what_sqlite_stores_is_cut(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", (10_000_000_000, 10_000_000_000))  # the year 2286
    [file] = scan(os.fsencode(tmp_path))
    assert isinstance(file, FoundFile) and file.mtime_ns == 2**63 - 1


def test_a_folder_on_another_disk_is_a_mount_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "own.jpg", "nas/a.jpg", "nas/deep/b.jpg")
    real = os.stat

    def stat(path: bytes) -> os.stat_result:  # a mock, because mounting needs rights
        status = real(path)
        if b"/nas" not in path:
            return status
        fields = list(status)
        fields[2] += 1  # st_dev
        return os.stat_result(fields)

    monkeypatch.setattr("searcher.photos.scan.os.stat", stat)
    found = list(scan(os.fsencode(tmp_path)))
    assert [file for file in found if isinstance(file, MountPoint)] == [MountPoint(b"nas")]
    assert sorted(file.relpath for file in found if isinstance(file, FoundFile)) == [
        b"nas/a.jpg",
        b"nas/deep/b.jpg",
        b"own.jpg",
    ]


def test_a_folder_of_the_same_disk_that_is_mounted_again_is_a_mount_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "all photos"
    touch(root, "a.jpg", "at home/b.jpg", "other/c.jpg")
    name = str(root / "at home").replace(" ", "\\040")
    mounts = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n40 22 8:1 /pictures {name} rw,relatime - ext4 /dev/sda1 rw\n"
    (tmp_path / "mountinfo").write_text(mounts)  # a copy of the list, because mounting needs rights
    monkeypatch.setattr("searcher.photos.scan._MOUNTS", str(tmp_path / "mountinfo"))
    found = list(scan(os.fsencode(root)))
    assert [file for file in found if isinstance(file, MountPoint)] == [MountPoint(b"at home")]
    assert len(found) == 4
    monkeypatch.setattr("searcher.photos.scan._MOUNTS", str(tmp_path / "missing"))  # as on another system
    assert len(list(scan(os.fsencode(root)))) == 3


def test_linked_folders_are_listed_once_and_link_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "outside/out.jpg", "root/a.jpg", "root/sub/b.jpg")
    root = tmp_path / "root"
    (root / "sub/up").symlink_to("..")
    (root / "self").symlink_to(".")
    (root / "zweiter").symlink_to("../outside")
    (root / "erster").symlink_to("../outside")
    (root / "again").symlink_to("sub")
    (tmp_path / "outside/back").symlink_to("../root")
    (tmp_path / "outside/on").symlink_to(root / "sub")
    assert found(root, FOLLOW) == ["a.jpg", "erster/out.jpg", "sub/b.jpg"]
    assert found(root, FOLLOW, "sub") == ["sub/b.jpg"]
    assert sorted(file.relpath for file in scan(os.fsencode(root)) if not isinstance(file, FoundFile)) == [
        b"erster",
        b"zweiter",
    ]


def test_links_to_photos_that_are_left_out_in_the_same_root_are_followed(tmp_path: Path) -> None:
    """git-annex keeps photos in .git, with links to them where the photos were."""
    touch(tmp_path, ".git/annex/1.jpg", "a/b.jpg", ".secret/c.jpg")
    (tmp_path / "a/annexed.jpg").symlink_to("../.git/annex/1.jpg")
    (tmp_path / "shown").symlink_to(".secret")
    assert found(tmp_path) == ["a/annexed.jpg", "a/b.jpg", "shown/c.jpg"]


def test_a_scan_of_a_part_follows_no_link_to_another_part(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg", "b/deep/3.jpg")
    (tmp_path / "a/link.jpg").symlink_to("../b/2.jpg")
    (tmp_path / "a/folder").symlink_to("../b")
    (tmp_path / "a/up").symlink_to("..")
    outside = tmp_path.with_name(f"{tmp_path.name} outside")
    outside.mkdir()
    (outside / "back").symlink_to(tmp_path)
    (tmp_path / "a/out").symlink_to(outside)
    assert found(tmp_path, FOLLOW, "a") == ["a/1.jpg"]
    assert found(tmp_path, FOLLOW) == ["a/1.jpg", "b/2.jpg", "b/deep/3.jpg"]


def test_excluded_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.png", "Private/c.jpg", "x/Private/d.jpg", "x/drafts/e.jpg", "drafts/f.jpg", "#1.jpg")
    assert found(tmp_path, FolderOptions(("*.png", "Private/", "/drafts"))) == ["#1.jpg", "a.jpg", "x/drafts/e.jpg"]
    assert found(tmp_path, FolderOptions(("#*", "x"))) == ["Private/c.jpg", "a.jpg", "b.png", "drafts/f.jpg"]
    assert found(tmp_path, FolderOptions(("*.png",)), "x") == ["x/Private/d.jpg", "x/drafts/e.jpg"]
    assert found(tmp_path, FolderOptions(("Private/",)), "x") == ["x/drafts/e.jpg"]


def test_an_ignore_file_holds_in_its_folder_and_inner_ones_decide_first(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "keep.png", "x/b.png", "x/c.jpg", "x/y/d.png", "x/y/e.jpg", "tmp/f.jpg")
    (tmp_path / ".searcherignore").write_text("# drafts\n*.png\n!keep.png\n/tmp/\n")
    (tmp_path / "x/.searcherignore").write_text("!b.png\n/y/e.jpg\n")
    assert found(tmp_path) == ["keep.png", "x/b.png", "x/c.jpg"]
    assert found(tmp_path, below="x/y") == []
    assert found(tmp_path, FolderOptions(("c.jpg",), hidden=True)) == ["keep.png", "x/b.png"]


def test_an_ignore_file_in_any_encoding_does_no_harm(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / ".searcherignore").write_bytes(b"\xff\xfe[\0\\\n!\n[z-a]\n**\x80\n" + b"(" * 5000 + b"\na[\n")
    assert found(tmp_path) == ["a.jpg"]
    (tmp_path / ".searcherignore").unlink()
    (tmp_path / ".searcherignore").mkdir()
    assert found(tmp_path) == ["a.jpg"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_a_pattern_matches_a_name_in_any_unicode_normal_form(tmp_path: Path, form: Form, typed: Form) -> None:
    touch(tmp_path, normalize(form, "Fête/1.jpg"), "2.jpg")
    assert found(tmp_path, FolderOptions((normalize(typed, "fête/"), normalize(typed, "Fête/")))) == ["2.jpg"]


def test_hidden_photos_are_found_on_request_but_no_thumbnails_and_deleted_files(tmp_path: Path) -> None:
    left_out = [".Trash-1000/a.jpg", ".thumbnails/a.png", ".git/a.jpg", "._a.jpg", "$Recycle.Bin/a.jpg", "@eaDir/a.jpg"]
    touch(tmp_path, ".a.jpg", ".b/.c/d.jpg", "e.jpg", *left_out)
    assert found(tmp_path, FolderOptions(hidden=True)) == [".a.jpg", ".b/.c/d.jpg", "e.jpg"]
    assert found(tmp_path) == ["e.jpg"]


@pytest.mark.parametrize("pattern", ["", " ", "caf\udce9", "/"])
def test_a_pattern_that_excludes_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="excludes nothing"):
        OptionChange(exclude=(pattern,)).applied_to(FolderOptions())


def test_options_add_up_until_they_are_dropped() -> None:
    options = OptionChange(exclude=("a",), hidden=True).applied_to(FolderOptions(("b",), follow_links=True))
    assert options == FolderOptions(("b", "a"), hidden=True, follow_links=True)
    assert OptionChange(exclude=("c",), keep_excluded=False, hidden=False).applied_to(options) == FolderOptions(
        ("c",), follow_links=True
    )
    assert FolderOptions.from_dict(options.as_dict()) == options


def test_a_path_that_is_too_long_is_reported_with_the_reason(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(20):  # each step is short enough, the whole path is not
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
        Path("deep.jpg").touch()
    finally:
        os.chdir(here)
    photos, errors = found_and_errors(tmp_path)
    assert photos == ["a.jpg"]
    assert list(errors.values()) == ["File name too long"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=8))
def test_each_folder_is_listed_once_with_any_links(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("links")
    for name in "abcdef":
        touch(root, f"{name}/{name}.jpg")
    for number, (at, to) in enumerate(links):
        (root / at / f"link{number}").symlink_to(root / to)
    assert found(root) == [f"{name}/{name}.jpg" for name in "abcdef"]


def test_paths_that_cannot_be_listed_are_reported_and_the_scan_continues(tmp_path: Path) -> None:
    touch(tmp_path, "good.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe of no interest")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "unplugged").symlink_to("/mnt/nowhere")
    (tmp_path / "loop1.jpg").symlink_to("loop2.jpg")
    (tmp_path / "loop2.jpg").symlink_to("loop1.jpg")
    photos, errors = found_and_errors(tmp_path)
    assert photos == ["good.jpg"]
    assert set(errors) == {"pipe.jpg", "gone.jpg", "unplugged", "loop1.jpg", "loop2.jpg"}
    assert errors["pipe.jpg"] == "not a regular file"
    assert errors["gone.jpg"] == errors["unplugged"] == "a broken link: its target does not exist"
    assert "symbolic links" in errors["loop1.jpg"]


def test_a_socket_that_is_named_like_a_photo_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.jpg")
        assert found_and_errors(tmp_path) == ([], {"s.jpg": "not a regular file"})


def test_an_unreadable_folder_is_reported_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg", "locked/b.jpg", "open/c.jpg")
    real = os.scandir

    def scandir(path: bytes) -> object:  # a mock, because permissions do not stop root
        if path.endswith(b"/locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("searcher.photos.scan.os.scandir", scandir)
    assert found_and_errors(tmp_path) == (["a.jpg", "open/c.jpg"], {"locked": "Permission denied"})


def test_a_root_that_is_missing_or_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        found(tmp_path / "absent")
    touch(tmp_path, "a.jpg")
    with pytest.raises(NotADirectoryError):
        found(tmp_path / "a.jpg")


def test_a_root_that_is_a_link_is_followed(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert found(tmp_path / "link") == ["a.jpg"]
