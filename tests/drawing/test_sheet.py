"""Contact sheets show all hits, text stays in its area, and any name can be drawn."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.drawing import sheet as module
from searcher.drawing.lettering import ellipsis_end, ellipsis_middle, font_for, shown
from searcher.drawing.sheet import SheetCell, SheetRow, contact_sheet, draw_sheet
from searcher.errors import SearcherError

STEP = module.THUMB_WIDTH + module.GAP


@pytest.fixture
def red(tmp_path: Path) -> str:
    path = tmp_path / "red.png"
    Image.new("RGB", (400, 300), "red").save(path)
    return str(path)


def row(title: str, *paths: str, caption: str = "0.300") -> SheetRow:
    return SheetRow(title, [SheetCell(path, caption) for path in paths])


def reds(sheet: Image.Image) -> int:
    """The number of pure red thumbnails on a sheet, computed from the area that they cover."""
    area = int((np.asarray(sheet) == (255, 0, 0)).all(axis=2).sum())
    return round(area / (module.THUMB_WIDTH * module.THUMB_HEIGHT))


def ink(picture: Image.Image) -> int:
    """The number of pixels that do not have the background colour."""
    return int((np.asarray(picture) != np.asarray(Image.new("RGB", (1, 1), module.PAPER))).any(axis=2).sum())


@pytest.mark.parametrize("count", [1, 3, 5, 6, 12])
def test_every_hit_is_drawn_and_long_rows_wrap(red: str, count: int) -> None:
    sheet = draw_sheet([row("a red wall", *[red] * count), row("another", red)])
    assert reds(sheet) == count + 1
    assert sheet.width == 2 * module.MARGIN + min(count, 5) * STEP - module.GAP


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".webp"])
def test_the_sheet_is_written_in_the_format_of_its_suffix(tmp_path: Path, red: str, suffix: str) -> None:
    path = tmp_path / f"sheet{suffix}"
    contact_sheet([row("a wall", red)], path)
    old = path.read_bytes()
    contact_sheet([row("a red wall", red)], path)
    assert path.read_bytes() != old
    with Image.open(path) as sheet:
        assert sheet.format == {".jpg": "JPEG", ".JPEG": "JPEG", ".png": "PNG", ".webp": "WEBP"}[suffix]
        sheet.load()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["red.png", path.name])


def test_an_unknown_suffix_or_unwritable_path_is_an_error(tmp_path: Path, red: str) -> None:
    with pytest.raises(SearcherError, match=r"cannot write found\.gif: .*\.png"):
        contact_sheet([row("x", red)], tmp_path / "found.gif")
    with pytest.raises(SearcherError, match="no such folder"):
        contact_sheet([row("x", red)], tmp_path / "absent" / "found.jpg")
    (tmp_path / "taken.jpg").mkdir()
    with pytest.raises(SearcherError, match="cannot write"):
        contact_sheet([row("x", red)], tmp_path / "taken.jpg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["red.png", "taken.jpg"]


def test_a_sheet_without_hits_or_without_queries_is_drawn(red: str) -> None:
    assert draw_sheet([]).width > 0
    empty = draw_sheet([SheetRow("a unicorn", [])])
    assert ink(empty) > 100
    assert reds(draw_sheet([SheetRow("a unicorn", []), row("a red wall", red)])) == 1


def test_a_missing_or_unreadable_photo_is_drawn_as_an_empty_frame(tmp_path: Path, red: str) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    sheet = draw_sheet([row("x", str(tmp_path / "gone.jpg"), str(tmp_path / "text.jpg"), red)])
    assert reds(sheet) == 1


def test_wide_and_tall_photos_are_shown_whole_and_others_fill_the_frame(tmp_path: Path) -> None:
    for name, size in (("wide", (1500, 300)), ("tall", (300, 900)), ("square", (500, 500)), ("tiny", (1, 1))):
        picture = Image.new("RGB", size, "blue")
        if size[0] > 1:
            edge = (0, 0, size[0] // 50, size[1]) if name == "wide" else (0, 0, size[0], size[1] // 50)
            picture.paste("red", edge)
        picture.save(tmp_path / f"{name}.png")
    frame = {name: np.asarray(module.thumbnail(str(tmp_path / f"{name}.png"))) for name in ("wide", "tall")}
    mat = np.asarray(Image.new("RGB", (1, 1), module.MAT))
    for seen in frame.values():
        assert (seen == mat).all(axis=2).any()
        assert ((seen[:, :, 0] > 150) & (seen[:, :, 2] < 100)).any(), "the edge of the photo must be visible"
    for name in ("square", "tiny"):
        assert not (np.asarray(module.thumbnail(str(tmp_path / f"{name}.png"))) == mat).all(axis=2).any()


ODD_TEXTS = [
    "日本の寺",
    "на пляже",
    "שלום עולם",
    "مرحبا",
    "हिन्दी",
    "😀 family 👨‍👩‍👧",
    "caf\udce9",
    "\ud800",
    "new\nline\ttab\0nul",
    "",
    " ",
    "x" * 10_000,
    "i" * 400,
    "W W " * 100,
    "e\u0301" * 200,
]


@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
def test_no_text_overflows_its_area(red: str, text: str) -> None:
    sheet = draw_sheet([row(text, red, f"/nowhere/{text}.jpg", caption=text)])
    width, height = sheet.size
    for box in (
        (0, 0, module.MARGIN - 2, height),
        (width - module.MARGIN + 2, 0, width, height),
        (
            module.MARGIN + module.THUMB_WIDTH + 2,
            module.MARGIN + module.TITLE_HEIGHT,
            module.MARGIN + STEP - 2,
            height,
        ),
    ):
        assert ink(sheet.crop(box)) == 0, box


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.integers(20, 400))
def test_shortened_text_fits(text: str, width: int) -> None:
    line = shown(text)
    font = font_for(line + "…", 15)
    for cut in (ellipsis_end, ellipsis_middle):
        short = cut(line, font, width)
        assert font.getlength(short) <= width
        assert short == line or "…" in short


def test_characters_that_cannot_be_drawn_are_replaced() -> None:
    assert shown("caf\udce9.jpg") == "caf\N{REPLACEMENT CHARACTER}.jpg"
    assert shown(" two\nlines\0 ") == "two lines"


def test_a_shortened_file_name_keeps_its_ending() -> None:
    name = "a very long name of a photo of my sister at the beach 2023-06-14.jpg"
    font = font_for(name, 15)
    assert ellipsis_middle(name, font, 250).endswith("14.jpg")
    assert ellipsis_middle(name, font, 250).startswith("a very")
    assert ellipsis_end(name, font, 250).startswith("a very long")
    assert ellipsis_end(name, font, 250).endswith("…")


def test_hits_above_the_limit_are_counted_but_not_drawn(red: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 2)
    sheet = draw_sheet([row("x", *[red] * 23)])
    assert reds(sheet) == 10
    assert sheet.height < 3 * (module.THUMB_HEIGHT + module.CAPTION_HEIGHT + module.TITLE_HEIGHT)


def test_the_largest_sheet_fits_into_a_jpeg() -> None:
    line = module.THUMB_HEIGHT + module.CAPTION_HEIGHT + module.TITLE_HEIGHT + module.ROW_GAP
    assert module.MAX_LINES * line + 2 * module.MARGIN + module.NOTE_HEIGHT < 65_500


def test_the_sample_photos_are_drawn(tmp_path: Path) -> None:
    paths = [str(path) for path in sample_photos()]
    contact_sheet([row("everything", *paths)], tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert np.asarray(sheet).std() > 40
