"""Text on images: choosing a font that has the characters, and shortening text to fit."""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

LONGEST_TEXT = 500
"""Characters of a text that are used. No line of a sheet can show more."""

# Tried in this order for characters that are not in Pillow's own (Latin) font. Missing fonts are skipped.
_FALLBACK_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansDevanagari-Regular.ttf",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "Arial.ttf",
    "LiberationSans-Regular.ttf",
    "DroidSansFallbackFull.ttf",
    "unifont.ttf",
)
_NO_GLYPH = "\U0010ffff"  # no font has this code point, so it is drawn as a missing character


def shown(text: str) -> str:
    """Make `text` drawable on one line: no control characters, and "�" for undecodable bytes."""
    return " ".join("".join(map(_drawable, text[:LONGEST_TEXT])).split())


def font_for(text: str, size: int) -> Font:
    """The first font that has all characters of `text`, or else the font that lacks the fewest of them."""
    letters = {c for c in text if not c.isspace()}
    best, fewest = _fonts(size)[0], len(letters) + 1
    for font in _fonts(size):
        missing = sum(not _has_letter(font, c) for c in letters)
        if missing == 0:
            return font
        if missing < fewest:
            best, fewest = font, missing
    return best


def ellipsis_end(text: str, font: Font, width: float) -> str:
    """Shorten `text` at its end with "…" if it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    keep = _longest(len(text), lambda n: font.getlength(text[:n].rstrip() + "…") <= width)
    return text[:keep].rstrip() + "…"


def ellipsis_middle(text: str, font: Font, width: float) -> str:
    """Shorten `text` in its middle with "…" if it is wider than `width` pixels. This keeps the end of file names."""
    if font.getlength(text) <= width:
        return text

    def cut(n: int) -> str:
        tail = n * 2 // 5
        return text[: n - tail] + "…" + text[len(text) - tail :]

    return cut(_longest(len(text), lambda n: font.getlength(cut(n)) <= width))


def _longest(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest n below `limit` for which `fits(n)` is true, by binary search. 0 if there is none."""
    return bisect_left(range(1, limit), True, key=lambda n: not fits(n))


@cache
def _fonts(size: int) -> tuple[Font, ...]:
    fonts: list[Font] = [ImageFont.load_default(size)]
    for name in _FALLBACK_FONTS:
        try:
            fonts.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return tuple(fonts)


@cache
def _has_letter(font: Font, letter: str) -> bool:
    def drawn(text: str) -> tuple[tuple[int, int], bytes]:
        mask = font.getmask(text)
        return mask.size, bytes(mask)

    return drawn(letter) != drawn(_NO_GLYPH)


def _drawable(letter: str) -> str:
    if "\ud800" <= letter <= "\udfff":  # a surrogate escape: a byte of a file name that is not UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    return letter if letter.isprintable() else " "
