"""What SQLite itself cannot compute for a filter."""

import os
import re
import sqlite3
import unicodedata
from functools import lru_cache

from searcher.filters.near import km_between


def register(connection: sqlite3.Connection) -> None:
    """Add the functions to a connection."""
    connection.create_function("km_between", 4, km_between, deterministic=True)
    connection.create_function("has_part", 2, has_part, deterministic=True)
    connection.create_function("name_matches", 2, name_matches, deterministic=True)


def has_part(text: str, part: str) -> bool:
    """Whether `part` is in `text`, whatever their case."""
    return " ".join(part.split()).casefold() in text.casefold()


def name_matches(relpath: bytes, pattern: bytes) -> bool:
    """Whether the last part of a path is what a pattern says: "*" is any characters, and "?" is one."""
    return _expression(pattern).fullmatch(_text(relpath[relpath.rfind(b"/") + 1 :])) is not None


@lru_cache(maxsize=64)
def _expression(pattern: bytes) -> re.Pattern[str]:
    meaning = {"*": ".*", "?": "."}
    runs = re.sub(r"\*+", "*", _text(pattern))  # one after another, they would take forever to not match
    return re.compile("".join(meaning.get(letter) or re.escape(letter) for letter in runs), re.DOTALL | re.IGNORECASE)


def _text(name: bytes) -> str:
    """A name in one spelling: macOS writes an accent as a letter of its own."""
    text = os.fsdecode(name)
    return text if text.isascii() else unicodedata.normalize("NFC", text)
