"""Text that people wrote with any program: its encoding is found out, and what no tokenizer takes is removed."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from searcher.errors import InvalidInput

MAX_LINE = 1 << 24  # bytes; a longer line is not read
# UTF-32 comes first, because its mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LATIN = "cp1252"  # what Windows writes in Western Europe and America


def decode_text(data: bytes) -> tuple[str, bool]:
    """Text from bytes, and whether its encoding is a guess.

    The encoding is that of the byte order mark. Without one it is UTF-16 if every second byte is zero, else UTF-8, else
    Windows-1252, which is the guess.
    """
    encoding = _marked(data[:1024])
    return _decode_bytes(data) if encoding is None else (data.decode(encoding, "replace"), False)


def _decode_bytes(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode(LATIN, "replace"), True


def read_text(path: Path, what: str) -> str:
    """The text of a file, with "\\n" at the line ends.

    Raises InvalidInput, with `what` ("labels") in the message, if the file cannot be read or its encoding is a guess.
    """
    try:
        text, guessed = decode_text(path.read_bytes())
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else None
        raise InvalidInput(f"cannot read {what} from {path}: {reason or error}") from error
    if guessed:
        raise InvalidInput(f"cannot read {what} from {path}: not UTF-8 text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_list(path: Path, what: str) -> list[str]:
    """The lines of a file that are not blank and do not begin with `#`, without white space around them.

    Raises as `read_text` does.
    """
    # Not splitlines(), because it also splits at characters that a line may contain, such as U+2028.
    lines = (line.strip() for line in read_text(path, what).split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def read_lines(path: Path) -> Iterator[tuple[str | None, bool]]:
    """The lines of a file with their line ends, each decoded as `decode_text` does it, and whether that is a guess.

    None stands for a line that is too long. Raises OSError if the file cannot be read.
    """
    with path.open("rb") as file:
        encoding = _marked(file.read(1024))
        file.seek(0)
        if encoding is None or encoding == "utf-8-sig":
            file.seek(len(codecs.BOM_UTF8) if encoding else 0)
            while line := file.readline(MAX_LINE):
                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE)
                    yield None, False
                    continue
                text, guessed = _decode_bytes(line)
                # Some programs end a line with a carriage return alone.
                for part in re.findall(r"[^\r]*(?:\r\n?|$)", text) if "\r" in text[:-2] else (text,):
                    if part:
                        yield part, guessed
            return
    with path.open(encoding=encoding, errors="replace", newline="") as text_file:
        while text := text_file.readline(MAX_LINE):
            yield text, False


def _marked(head: bytes) -> str | None:
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    odd, even = head[1::2].count(0), head[::2].count(0)
    if len(head) >= 4 and max(odd, even) > 0.4 * len(head) / 2 and min(odd, even) < 0.1 * len(head) / 2:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def clean(text: str) -> str:
    """`text` on one line: without NUL bytes and lone surrogates, and with single spaces."""
    return " ".join(text.replace("\0", " ").encode("utf-8", "replace").decode().split())


def clean_all(texts: Any) -> list[str]:
    """The usable texts among a caption or a list of captions. Anything that is not a text is left out."""
    given = texts if isinstance(texts, list) else [texts]
    cleaned = (clean(text) for text in given if isinstance(text, str))
    return [text for text in cleaned if text]


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError if it is not JSON, or if it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
