"""Contact sheets that are written into an indexed folder are not indexed."""

from pathlib import Path

import pytest

from searcher.drawing.sheet import SheetCell, SheetRow, contact_sheet
from tests.library.conftest import Album


def write_sheet(album: Album, name: str) -> Path:
    path = album.folder / name
    contact_sheet([SheetRow("red", [SheetCell(str(album.folder / "red.png"), "0.9")])], path)
    return path


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet.png", "found/sheet.webp"])
def test_a_sheet_in_an_indexed_folder_is_not_indexed(album: Album, name: str) -> None:
    album.fill()
    (album.folder / "found").mkdir()
    sheet = write_sheet(album, name)
    assert album.counts() == {"unchanged": 4}
    assert album.counts(sheet) == {}
    assert album.counts(sheet.parent) == ({"unchanged": 4} if sheet.parent == album.folder else {})
    assert album.library.status().images == 4
    write_sheet(album, name)  # replaces the first one
    assert album.counts() == {"unchanged": 4}


def test_a_sheet_that_was_there_before_the_first_run_is_not_indexed(album: Album) -> None:
    album.add("red.png")
    sheet = write_sheet(album, "sheet.jpg")
    assert album.counts(sheet) == {}
    assert album.counts() == {"added": 1}
    assert album.library.status().images == 1


def test_photos_next_to_a_sheet_are_indexed_and_a_photo_with_its_name_too(album: Album) -> None:
    album.fill()
    sheet = write_sheet(album, "sheet.png")
    album.add("yellow.png", "yellow", 5)
    assert album.counts() == {"added": 1, "unchanged": 4}
    sheet.unlink()
    album.add("sheet.png", "black", 6)
    assert album.counts() == {"added": 1, "unchanged": 5}
    assert album.found("black") == ["sheet.png"]
