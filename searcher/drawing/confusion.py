"""Draws a confusion matrix as an image: one row per true label, one column per predicted label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from searcher.drawing.lettering import ellipsis_end, font_for, shown
from searcher.drawing.saving import check_target, save_picture
from searcher.drawing.sheet import GREY, INK, PAPER

MAX_LABELS = 2000
MATRIX = 1400  # approximate width and height of the matrix, in pixels
LARGEST_CELL, NAMED_CELL, NUMBERED_CELL = 40, 12, 28
MARGIN, NAME_WIDTH, LINE = 40, 180, 24
TITLE_SIZE, TEXT_SIZE = 24, 15
LISTED = 15  # how many of the most frequent mistakes are listed
RIGHT, WRONG = (31, 119, 92), (190, 64, 38)


def confusion_picture(labels: Sequence[str], confusion: np.ndarray, path: Path) -> None:
    """Draw a confusion matrix and write it to `path`, replacing an existing file.

    confusion: integers (labels, labels), the number of photos per true label (row) and predicted label (column). The
    strength of a cell's colour is the square root of its share of the row, so that rare mistakes are visible.
    path: its suffix selects JPEG, PNG or WebP.

    Raises SearcherError as `saving.save_picture` does.
    """
    check_target(path)
    save_picture(draw_confusion(labels, confusion), path)


def draw_confusion(labels: Sequence[str], confusion: np.ndarray) -> Image.Image:
    """Draw the image that `confusion_picture` writes, in mode RGB."""
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    cell = max(2, min(LARGEST_CELL, MATRIX // len(labels)))
    side = cell * len(labels)
    names = NAME_WIDTH if cell >= NAMED_CELL else 0
    mistakes = _mistakes(labels, confusion)
    left, top = MARGIN + names, MARGIN + 2 * LINE + names
    width = max(left + side, 700) + MARGIN
    height = top + side + MARGIN + (LINE * (len(mistakes) + 2) if mistakes else 0)
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    _write(draw, (MARGIN, MARGIN), f"{np.trace(confusion) / max(confusion.sum(), 1):.1%} correct", INK, TITLE_SIZE)
    note = "rows: true labels, columns: predicted labels, values: per cent of the row"
    _write(draw, (MARGIN, MARGIN + LINE + 4), note, GREY, room=width - 2 * MARGIN)
    picture.paste(_matrix(share, cell), (left, top))
    if names:
        for number, label in enumerate(labels):
            middle = number * cell + cell // 2
            _write(draw, (left - 8, top + middle), label, INK, min(TEXT_SIZE, cell), NAME_WIDTH - 8, "rm")
            _write_upwards(picture, (left + middle, top - 8), label, min(TEXT_SIZE, cell))
    if cell >= NUMBERED_CELL:
        _write_numbers(draw, share, cell, (left, top))
    for line, text in enumerate(["Most frequent mistakes", *mistakes] if mistakes else []):
        y = top + side + LINE * (line + 1) + LINE // 2
        _write(draw, (MARGIN, y), text, INK if line else GREY, room=width - 2 * MARGIN)
    return picture


def _matrix(share: np.ndarray, cell: int) -> Image.Image:
    strength = np.sqrt(share)[:, :, None]
    paper = np.array(Image.new("RGB", (1, 1), PAPER))[0, 0].astype(float)
    colour = np.where(np.eye(len(share), dtype=bool)[:, :, None], np.array(RIGHT), np.array(WRONG))
    pixels = (paper * 0.96 * (1 - strength) + colour * strength).round().astype(np.uint8)
    matrix = Image.fromarray(pixels).resize((cell * len(share),) * 2, Image.Resampling.NEAREST)
    if cell >= NAMED_CELL:  # smaller cells have no room for grid lines
        draw = ImageDraw.Draw(matrix)
        for edge in range(0, matrix.width, cell):
            draw.line((edge, 0, edge, matrix.height), fill=PAPER)
            draw.line((0, edge, matrix.width, edge), fill=PAPER)
    return matrix


def _write_numbers(draw: ImageDraw.ImageDraw, share: np.ndarray, cell: int, at: tuple[int, int]) -> None:
    for row, column in np.argwhere(share >= 0.005):
        middle = (at[0] + int(column) * cell + cell // 2, at[1] + int(row) * cell + cell // 2)
        colour = PAPER if share[row, column] > 0.3 else INK
        _write(draw, middle, f"{share[row, column] * 100:.0f}", colour, 12, anchor="mm")


def _mistakes(labels: Sequence[str], confusion: np.ndarray) -> list[str]:
    """The most frequent mistakes, one line per mistake, sorted by share of their row and then by count."""
    totals = confusion.sum(axis=1)
    wrong = confusion * ~np.eye(len(labels), dtype=bool)
    rows, columns = np.nonzero(wrong)
    counts = wrong[rows, columns]
    order = np.lexsort((-counts, -counts / totals[rows]))[:LISTED]
    return [
        f"{labels[row]} predicted as {labels[column]}: {count / totals[row]:.0%} ({count:,} of {totals[row]:,})"
        for row, column, count in zip(rows[order], columns[order], counts[order], strict=True)
    ]


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    colour: str,
    size: int = TEXT_SIZE,
    room: int = MATRIX,
    anchor: str = "lm",
) -> None:
    line = shown(text)
    font = font_for(line + "…", size)
    draw.text(at, ellipsis_end(line, font, room), fill=colour, font=font, anchor=anchor)


def _write_upwards(picture: Image.Image, at: tuple[int, int], text: str, size: int) -> None:
    """Write text that reads upwards, at most NAME_WIDTH pixels long. `at` is the middle of its lower end."""
    # Pasted through a mask, because the text strips of narrow columns overlap.
    ink = Image.new("L", (NAME_WIDTH - 8, size + 8))
    _write(ImageDraw.Draw(ink), (0, ink.height // 2), text, "white", size, ink.width)
    upright = ink.rotate(90, expand=True)
    picture.paste(INK, (at[0] - upright.width // 2, at[1] - upright.height), upright)
