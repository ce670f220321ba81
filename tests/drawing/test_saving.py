"""A drawn picture replaces only another drawn picture. It is written completely or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from searcher.drawing.saving import SUFFIXES, check_target, save_picture
from searcher.errors import SearcherError
from searcher.photos.own import is_own_picture

RED, BLUE = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (50, 30), "blue")


def content(folder: Path) -> dict[str, bytes | None]:
    """The bytes of each file in a folder. A link that leads nowhere has None."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_drawn_picture_is_replaced_by_another(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sheet{suffix}"
    save_picture(RED, path)
    check_target(path)
    save_picture(BLUE, path)
    with Image.open(path) as written:
        assert written.size == BLUE.size
    assert is_own_picture(path)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["photo", "text", "empty file", "dangling link", "link to a photo", "folder", "pipe"])
def test_what_searcher_did_not_draw_is_never_overwritten(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"sheet{suffix}"
    if kind == "photo":
        RED.save(path)
    elif kind == "text":
        path.write_text("my notes")
    elif kind == "empty file":
        path.touch()
    elif kind == "dangling link":
        path.symlink_to(tmp_path / f"absent{suffix}")
    elif kind == "link to a photo":
        RED.save(tmp_path / f"photo{suffix}")
        path.symlink_to(tmp_path / f"photo{suffix}")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    before = content(tmp_path)
    with pytest.raises(SearcherError, match=f"sheet{suffix}.* was not drawn by searcher"):
        check_target(path)
    with pytest.raises(SearcherError, match=f"sheet{suffix}.* was not drawn by searcher"):
        save_picture(BLUE, path)
    assert content(tmp_path) == before


def test_an_unknown_suffix_or_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    for name in ("sheet", "sheet.gif", "absent/sheet.jpg"):
        with pytest.raises(SearcherError, match=f"cannot write .*{name}"):
            check_target(tmp_path / name)
    assert not content(tmp_path)


def test_a_picture_that_is_too_large_for_its_format_is_an_error_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "sheet.webp"
    save_picture(RED, path)
    before = content(tmp_path)
    with pytest.raises(SearcherError, match=r"cannot write .*sheet\.webp: .*16383"):
        save_picture(Image.new("RGB", (8, 16_384)), path)
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["sheet.png", "sheet[1].png", "**.png", "?.png"])
def test_a_part_file_of_a_dead_process_is_removed_and_one_of_a_living_process_stays(tmp_path: Path, name: str) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living = os.getppid()
    for file in (
        f".{name}.{dead.pid}.part",
        f".{name}.{living}.part",
        f".other.png.{dead.pid}.part",
        f".{name}.x.part",
    ):
        (tmp_path / file).write_bytes(b"half")
    save_picture(RED, tmp_path / name)
    assert sorted(content(tmp_path)) == sorted(
        [name, f".{name}.{living}.part", f".other.png.{dead.pid}.part", f".{name}.x.part"]
    )
