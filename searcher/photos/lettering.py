"""Text on a picture: a font that has the letters, and lengths that fit."""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

LONGEST_TEXT = 500
"""Letters that are looked at; no line of a sheet shows as many."""

# Tried in this order for letters that Pillow's own font (Latin) lacks; those not installed are passed over.
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
_NO_GLYPH = "\U0010ffff"  # a code point that no font has: what it looks like is what a missing letter looks like


def shown(text: str) -> str:
    """`text` as it can be drawn on one line: no control characters, "�" for bytes that are no letters."""
    return " ".join("".join(map(_drawable, text[:LONGEST_TEXT])).split())


def font_for(text: str, size: int) -> Font:
    """The first font that has all of the letters in `text`, else the one that lacks the fewest."""
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
    """`text`, cut at its end with "…" where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    keep = _longest(len(text), lambda n: font.getlength(text[:n].rstrip() + "…") <= width)
    return text[:keep].rstrip() + "…"


def ellipsis_middle(text: str, font: Font, width: float) -> str:
    """`text`, cut in its middle with "…" where it is too wide: the end of a file name tells files apart."""
    if font.getlength(text) <= width:
        return text

    def cut(n: int) -> str:
        tail = n * 2 // 5
        return text[: n - tail] + "…" + text[len(text) - tail :]

    return cut(_longest(len(text), lambda n: font.getlength(cut(n)) <= width))


def _longest(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest n below `limit` for which `fits` holds, by halving; 0 when none does."""
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
    if "\ud800" <= letter <= "\udfff":  # how Python writes a byte of a file name that is not UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    return letter if letter.isprintable() else " "
