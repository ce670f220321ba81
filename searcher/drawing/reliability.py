"""Draws a reliability diagram: how often labels hold, against how probable the model said they were."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from searcher.drawing.lettering import ellipsis_end, font_for, shown
from searcher.drawing.saving import check_target, save_picture
from searcher.drawing.sheet import GREY, INK, PAPER

SIDE, MARGIN, FOOT = 480, 70, 90
TEXT_SIZE, SMALL_SIZE = 18, 13
BAR, LINE = (31, 119, 92), (190, 64, 38)

Bar = tuple[float, float, int]  # mean probability, share that holds, number of pairs


def reliability_picture(title: str, bars: Sequence[Bar], path: Path) -> None:
    """Draw a reliability diagram and write it to `path`, replacing an existing file.

    bars: one for each bin of probabilities that is not empty. Its suffix selects JPEG, PNG or WebP. Raises
    SearcherError as `saving.save_picture` does.
    """
    check_target(path)
    save_picture(draw_reliability(title, bars), path)


def draw_reliability(title: str, bars: Sequence[Bar]) -> Image.Image:
    """Draw the image that `reliability_picture` writes, in mode RGB. An honest model's points are on the diagonal."""
    picture = Image.new("RGB", (SIDE + 2 * MARGIN, SIDE + MARGIN + FOOT), PAPER)
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = MARGIN, MARGIN, MARGIN + SIDE, MARGIN + SIDE
    font = font_for(title, TEXT_SIZE)
    draw.text((left, 24), ellipsis_end(shown(title), font, SIDE + MARGIN), INK, font)
    small = font_for("0", SMALL_SIZE)
    for step in range(0, 11, 2):
        share = step / 10
        x, y = left + share * SIDE, bottom - share * SIDE
        draw.line([(left, y), (right, y)], (225, 225, 225))
        draw.text((left - 10, y), f"{share:.1f}", GREY, small, anchor="rm")
        draw.text((x, bottom + 10), f"{share:.1f}", GREY, small, anchor="mt")
    draw.line([(left, bottom), (right, top)], GREY)
    points = [(left + chance * SIDE, bottom - share * SIDE) for chance, share, _ in bars]
    if len(points) > 1:
        draw.line(points, LINE, 2)
    for (x, y), (_, _, pairs) in zip(points, bars, strict=True):
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], BAR)
        draw.text((x, y - 9), f"{pairs:,}", GREY, small, anchor="mb")
    draw.rectangle([left, top, right, bottom], outline=INK)
    draw.text((left + SIDE / 2, bottom + 38), "probability that the model gave", INK, small, anchor="mt")
    draw.text((left + SIDE / 2, bottom + 58), "numbers: pairs of photo and label", GREY, small, anchor="mt")
    draw.text((left, top - 8), "share of the labels that hold", INK, small, anchor="lb")
    return picture
