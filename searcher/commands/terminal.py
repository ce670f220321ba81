"""What the terminal behind stdout can show: links, bars, and pictures."""

import io
import os
import re
import sys
import time
from typing import TYPE_CHECKING

from searcher.filters.uri import is_uri

if TYPE_CHECKING:
    from searcher.drawing.terminal import Protocol

PREVIEW_ROWS, PREVIEW_COLUMNS = 8, 40
"""The most lines and columns of the terminal that a thumbnail takes."""

_BAR = 5  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_CELL = (10, 20)  # pixels of a character, for a terminal that does not say
_PATIENCE = 1  # seconds for an answer of the terminal
_WITHOUT_LINKS = re.compile("|dumb|linux|cons25|eterm.*|vt[0-9].*")  # names of terminals that would print the address


def shows_links() -> bool:
    """Whether stdout is a terminal that shows OSC 8 links, or ignores them. $FORCE_HYPERLINK=0 turns them off.

    NO_COLOR does not matter: a link has no colour.
    """
    if not sys.stdout.isatty() or os.environ.get("FORCE_HYPERLINK") in ("0", "false"):
        return False
    if "FORCE_HYPERLINK" in os.environ:
        return True
    vte = os.environ.get("VTE_VERSION", "")
    if vte.isascii() and vte.isdigit() and int(vte) < 5000:  # GNOME's terminals before links
        return False
    return not _WITHOUT_LINKS.fullmatch(os.environ.get("TERM", ""))


def linked(path: str, text: str) -> str:
    """`text` as a link to the file at an absolute path, if the terminal shows links."""
    return f"\x1b]8;;{file_uri(path)}\x1b\\{text}\x1b]8;;\x1b\\" if shows_links() else text


def file_uri(path: str) -> str:
    """The address of a file on this machine: its bytes, percent-encoded. A terminal compares the name of the host.

    That of a photo elsewhere is its URI.
    """
    import socket
    from urllib.parse import quote

    if is_uri(path):
        return quote(os.fsencode(path), safe=":/?#[]@!$&'()*+,;=%~")
    return f"file://{quote(socket.gethostname())}{quote(os.fsencode(path))}"


def bar(share: float) -> str:
    """A bar of _BAR characters for a number from 0 to 1. In ASCII if stdout has no block characters."""
    if _has_blocks():
        full, rest = divmod(round(share * _BAR * 8), 8)
        return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR)
    full = round(share * _BAR)
    return "#" * full + "." * (_BAR - full)


def _has_blocks() -> bool:
    try:
        _EIGHTHS.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return os.environ.get("TERM") != "linux"  # the fonts of the console have no eighths


class NoPictures(Exception):
    """The terminal shows no pictures. The message is a sentence that says why."""


class Previews:
    """Prints pictures in the terminal behind stdout. Raises NoPictures if it shows none."""

    def __init__(self) -> None:
        self.protocol = _protocol()
        self.cell = _cell_size()

    def bytes_of(self, thumbnail: bytes) -> bytes:
        """What to print for an image file, at most PREVIEW_ROWS lines high."""
        from PIL import Image

        from searcher.drawing.terminal import shown_with

        width, height = self.cell
        with Image.open(io.BytesIO(thumbnail)) as opened:
            image = opened.convert("RGB")
        columns = min(PREVIEW_COLUMNS, os.get_terminal_size(sys.stdout.fileno()).columns or PREVIEW_COLUMNS)
        image.thumbnail((columns * width, PREVIEW_ROWS * height))
        return shown_with(self.protocol, image, -(-image.height // height))

    @property
    def size(self) -> int:
        """The size of thumbnail that is large enough: 256 or 512 pixels."""
        return 256 if self.cell[1] * PREVIEW_ROWS <= 256 else 512


def _protocol() -> "Protocol":
    from searcher.drawing.terminal import ASK_ATTRIBUTES, protocol_of, says_sixel

    if not sys.stdout.isatty():
        raise NoPictures("No previews: the output does not go to a terminal.")
    known = protocol_of(os.environ)
    if known is None and os.environ.get("TERM") not in (None, "", "dumb", "linux"):
        known = "sixel" if says_sixel(_ask(ASK_ATTRIBUTES)) else None
    if known is None:
        raise NoPictures(
            "No previews: this terminal shows no pictures. "
            "Terminals that do: kitty, Ghostty, WezTerm, iTerm2, foot, Konsole, and others with sixel."
        )
    return known


def _ask(question: bytes) -> bytes:
    """The answer of the terminal to a question that ends with "c". Empty if it does not answer in time."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        return b""
    import select

    from searcher.drawing.terminal import ATTRIBUTES

    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    answer = b""
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():  # in the background, a change of the terminal would stop us
            return b""
        before = termios.tcgetattr(terminal)
        try:
            tty.setcbreak(terminal, termios.TCSADRAIN)
            os.write(terminal, question)
            end = time.monotonic() + _PATIENCE
            while not ATTRIBUTES.search(answer) and (left := end - time.monotonic()) > 0:
                if select.select([terminal], [], [], left)[0]:
                    answer += os.read(terminal, 1024)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    except (OSError, termios.error):
        return b""
    finally:
        os.close(terminal)
    return answer


def _cell_size() -> tuple[int, int]:
    """Width and height of a character of the terminal in pixels."""
    try:
        import fcntl
        import struct
        import termios

        answer = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, width, height = struct.unpack("HHHH", answer)
    except (ImportError, OSError):
        return _CELL
    if not (rows and columns and width >= columns and height >= rows):
        return _CELL
    return width // columns, height // rows
