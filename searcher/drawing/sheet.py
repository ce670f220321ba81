"""Draws a contact sheet: one image that shows queries and their hits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from searcher.drawing.lettering import Font, ellipsis_end, ellipsis_middle, font_for, shown
from searcher.drawing.saving import check_target, save_picture
from searcher.photos.decode import PhotoError, decode_guarded, open_photo

MAX_LINES = 100
"""Most lines of thumbnails on one sheet. Further hits are counted but not drawn. The reason is that a JPEG has at most
65,535 pixels per side."""

# Sizes in pixels. Thumbnails are 4:3. A photo that is much wider or taller is shown whole, on a mat.
THUMB_WIDTH, THUMB_HEIGHT = 288, 216
MARGIN, GAP = 48, 20
TITLE_HEIGHT, CAPTION_HEIGHT, NOTE_HEIGHT, ROW_GAP = 48, 60, 40, 44
TITLE_SIZE, NAME_SIZE, CAPTION_SIZE = 26, 15, 14
CORNER = 8
CROP_AT_MOST = 0.3  # share of the photo's area: a square loses a quarter, and a 3:4 portrait would lose nearly half

PAPER, MAT = "#faf9f7", "#eeece8"
INK, GREY, FAINT = "#1f1e1c", "#86827b", "#dedad3"


@dataclass(frozen=True, slots=True)
class SheetCell:
    """One hit.

    path: the photo. Its file name is drawn below it. caption: text on the next line, such as the score. picture: an
    image file that shows the photo, if the one at `path` shall not be read.
    """

    path: str
    caption: str = ""
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One query and its hits, best first."""

    title: str
    cells: Sequence[SheetCell]


def contact_sheet(rows: Sequence[SheetRow], path: Path, *, columns: int = 5) -> None:
    """Draw `rows` and write the image to `path`, replacing one that searcher drew earlier.

    path: its suffix selects JPEG, PNG or WebP. columns: hits per line. A row with more hits continues on the next
    line. A photo that cannot be read is drawn as a frame that says so.

    Raises SearcherError as `saving.save_picture` does. A failure leaves no partial file.
    """
    check_target(path)
    save_picture(draw_sheet(rows, columns=columns), path)


def draw_sheet(rows: Sequence[SheetRow], *, columns: int = 5) -> Image.Image:
    """Draw the image that `contact_sheet` writes, in mode RGB."""
    columns = max(1, min(columns, max((len(row.cells) for row in rows), default=1)))
    bands = _bands(rows, columns)
    width = 2 * MARGIN + columns * THUMB_WIDTH + (columns - 1) * GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + sum(band.height for band in bands)), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for band in bands:
        y = top
        if band.title is not None:
            if top > MARGIN:
                y += ROW_GAP
                draw.line((MARGIN, y - ROW_GAP // 2, width - MARGIN, y - ROW_GAP // 2), fill=FAINT)
            _write(draw, (MARGIN, y + TITLE_SIZE), band.title, TITLE_SIZE, INK, width - 2 * MARGIN)
            y += TITLE_HEIGHT
        if band.note:
            _write(draw, (MARGIN, y + NAME_SIZE), band.note, NAME_SIZE, GREY, width - 2 * MARGIN)
        for column, cell in enumerate(band.cells):
            _draw_cell(sheet, draw, cell, (MARGIN + column * (THUMB_WIDTH + GAP), y))
        top += band.height
    return sheet


@dataclass(frozen=True, slots=True)
class _Band:
    """One line of thumbnails, or a note instead of them. The first band of a row also has the row's title."""

    title: str | None
    note: str
    cells: Sequence[SheetCell]
    height: int


def _bands(rows: Sequence[SheetRow], columns: int) -> list[_Band]:
    bands: list[_Band] = []
    left_out = 0
    for row in rows:
        lines = [row.cells[start : start + columns] for start in range(0, len(row.cells), columns)] or [[]]
        for number, cells in enumerate(lines):
            if len(bands) >= MAX_LINES:
                left_out += len(cells)
                continue
            first = number == 0
            height = THUMB_HEIGHT + CAPTION_HEIGHT if cells else NOTE_HEIGHT
            height += TITLE_HEIGHT * first + ROW_GAP * (first and bool(bands))
            note = "" if cells else "nothing found"
            bands.append(_Band(row.title if first else None, note, cells, height))
    if left_out:
        bands.append(_Band(None, f"and {left_out:,} more", [], NOTE_HEIGHT))
    return bands


def _draw_cell(sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: SheetCell, at: tuple[int, int]) -> None:
    left, top = at
    sheet.paste(thumbnail(cell.path, cell.picture), at, _rounded_frame())
    baseline = top + THUMB_HEIGHT + 23
    _write(draw, (left, baseline), Path(cell.path).name, NAME_SIZE, INK, THUMB_WIDTH, cut=ellipsis_middle)
    _write(draw, (left, baseline + 20), cell.caption, CAPTION_SIZE, GREY, THUMB_WIDTH)


def thumbnail(path: str, picture: bytes | None = None) -> Image.Image:
    """Draw the thumbnail of a photo: see `SheetCell`.

    The photo fills the frame if that crops at most CROP_AT_MOST of it. Otherwise it is shown whole on a mat. If it
    cannot be read, the frame says so.
    """
    size = (THUMB_WIDTH, THUMB_HEIGHT)
    try:
        smallest = THUMB_HEIGHT // 2
        read = open_photo(path, smallest) if picture is None else decode_guarded(picture, smallest)
    except PhotoError:
        return _unreadable(size)
    photo = read.image
    seen = THUMB_WIDTH / THUMB_HEIGHT / (photo.width / photo.height)
    if min(seen, 1 / seen) >= 1 - CROP_AT_MOST:
        # Crop less at the top, because that is where heads usually are.
        return ImageOps.fit(photo, size, Image.Resampling.LANCZOS, centering=(0.5, 0.33))
    return ImageOps.pad(photo, size, Image.Resampling.LANCZOS, color=MAT)


def _unreadable(size: tuple[int, int]) -> Image.Image:
    picture = Image.new("RGB", size, MAT)
    font = font_for("cannot be read", CAPTION_SIZE)
    middle = (size[0] // 2, size[1] // 2)
    ImageDraw.Draw(picture).text(middle, "cannot be read", fill=GREY, font=font, anchor="mm")
    return picture


@cache
def _rounded_frame() -> Image.Image:
    fine = 4  # drawn larger and reduced, because ImageDraw does not draw smooth edges
    frame = Image.new("L", (THUMB_WIDTH * fine, THUMB_HEIGHT * fine))
    ImageDraw.Draw(frame).rounded_rectangle((0, 0, frame.width - 1, frame.height - 1), CORNER * fine, fill=255)
    return frame.reduce(fine)


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    colour: str,
    width: int,
    cut: Callable[[str, Font, float], str] = ellipsis_end,
) -> None:
    """Write one line of text, at most `width` pixels long. `at` is the left end of its baseline."""
    line = shown(text)
    font = font_for(line + "…", size)
    draw.text(at, cut(line, font, width), fill=colour, font=font, anchor="ls")
