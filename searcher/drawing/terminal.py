"""Pictures in a terminal: which protocol a terminal knows, and the bytes that show an image with it.

kitty   https://sw.kovidgoyal.net/kitty/graphics-protocol/
iTerm2  https://iterm2.com/documentation-images.html
sixel   https://vt100.net/docs/vt3xx-gp/chapter14.html

All functions are pure. The cursor is at the start of a line before a picture, and somewhere on its last line after it.
"""

import io
import re
from base64 import standard_b64encode
from collections.abc import Mapping
from typing import Literal

import numpy as np
from PIL import Image

Protocol = Literal["kitty", "iterm2", "sixel"]

ASK_ATTRIBUTES = b"\x1b[c"
"""Primary device attributes (DA1): every terminal answers."""
ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
"""The answer. It holds 4 if the terminal shows sixel pictures."""

_CHUNK = 4096  # bytes of base64 in one command to kitty
_SIXEL_COLOURS = 256
_LONG_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """The protocol of the terminal that set these variables. None if they do not say.

    Inside tmux and screen they are those of another terminal, which sees none of the pictures.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "TMUX" in environment or "STY" in environment or term.startswith(("screen", "tmux")):
        return None
    if program in ("iTerm.app", "WezTerm", "mintty") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    if "KITTY_WINDOW_ID" in environment or program == "ghostty" or term in ("xterm-kitty", "xterm-ghostty"):
        return "kitty"
    return "sixel" if term == "mlterm" or term.endswith("-sixel") else None


def says_sixel(answer: bytes) -> bool:
    """Whether an answer to ASK_ATTRIBUTES says that the terminal shows sixel pictures."""
    found = ATTRIBUTES.search(answer)
    return found is not None and b"4" in found[1].split(b";")[1:]


def shown_with(protocol: Protocol, image: Image.Image, rows: int) -> bytes:
    """The bytes that show an RGB image. rows: lines of the terminal that it is high."""
    if protocol == "kitty":
        return kitty(image)
    return iterm2(image, rows) if protocol == "iterm2" else sixel(image)


def kitty(image: Image.Image) -> bytes:
    """The image as PNG, in commands of the kitty graphics protocol. The terminal is asked not to answer (q=2)."""
    data = standard_b64encode(_png(image))
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    commands = []
    for number, chunk in enumerate(chunks):
        control = b"a=T,f=100,q=2," if number == 0 else b""
        more = number < len(chunks) - 1
        commands.append(b"\x1b_G%sm=%d;%s\x1b\\" % (control, more, chunk))
    return b"".join(commands)


def iterm2(image: Image.Image, rows: int) -> bytes:
    """The image as PNG, as an inline image of iTerm2 that is `rows` lines high."""
    data = _png(image)
    arguments = b"inline=1;size=%d;height=%d;preserveAspectRatio=1" % (len(data), rows)
    return b"\x1b]1337;File=%s:%s\x07" % (arguments, standard_b64encode(data))


def sixel(image: Image.Image) -> bytes:
    """The image as sixel graphics with at most 256 colours, one pixel of the terminal for each of its own."""
    indexed = image.convert("RGB").quantize(_SIXEL_COLOURS)
    palette = np.array(indexed.getpalette() or [], np.int64).reshape(-1, 3)
    pixels = np.asarray(indexed)
    used = np.unique(pixels)
    parts = [b'\x1bP0;0;0q"1;1;%d;%d' % image.size]
    for colour in used.tolist():
        red, green, blue = ((palette[colour] * 100 + 127) // 255).tolist()  # in per cent
        parts.append(b"#%d;2;%d;%d;%d" % (colour, red, green, blue))
    bands = [_sixel_band(pixels[top : top + 6]) for top in range(0, image.height, 6)]
    return b"".join([*parts, b"-".join(bands), b"\x1b\\"])


def _sixel_band(band: np.ndarray) -> bytes:
    """Six rows of pixels or fewer: for each colour a line of characters. Each bit of one is a pixel of its column."""
    colours = np.unique(band)
    bits = (1 << np.arange(len(band))).astype(np.uint8)
    columns = ((band[None] == colours[:, None, None]) * bits[:, None]).sum(axis=1, dtype=np.uint8) + 63
    lines = [
        b"#%d%s" % (colour, _LONG_RUN.sub(_run, line.tobytes().rstrip(b"?")))
        for colour, line in zip(colours.tolist(), columns, strict=True)
    ]
    return b"$".join(lines)  # "$" returns to the start of the band


def _run(match: re.Match[bytes]) -> bytes:
    return b"!%d%s" % (len(match[0]), match[1])


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
