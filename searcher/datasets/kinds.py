"""Kinds of things and what belongs to them: a bird is also a robin, an owl or a duck. From WordNet (kinds.txt)."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "kinds.txt"
_ARTICLE = re.compile(r"^(?:an?|the|some|my)\s+")
_PLURALS = (("ies", "y"), ("ves", "f"), ("es", ""), ("s", ""), ("men", "man"))


class Kind(NamedTuple):
    """breadth: how many kinds of things belong to it, itself included. narrower: lists of some of them."""

    breadth: int
    narrower: tuple[str, ...]


ALONE = Kind(1, ())  # what names no kind


def find_kind(text: str) -> Kind | None:
    """The kind that a text names, with or without an article, in the singular or the plural. None if it names none."""
    name = _ARTICLE.sub("", " ".join(text.lower().split()).strip(" .!?"))
    lines = _lines()
    for noun in _singulars(name):
        at = bisect_left(lines, f"{noun}\t")
        found, breadth, *narrower = lines[at].split("\t") if at < len(lines) else ("", "1")
        if found == noun:
            return Kind(int(breadth), tuple(narrower))
    return None


def kinds_digest() -> str:
    """Identifies the content of the file: what relevance was computed with."""
    return blake2b(FILE.read_bytes(), digest_size=8).hexdigest()


def _singulars(name: str) -> Iterator[str]:
    yield name
    for plural, singular in _PLURALS:
        if name.endswith(plural) and len(name) > len(plural) + 1:
            yield name.removesuffix(plural) + singular


@cache
def _lines() -> list[str]:
    """The kinds, one a line, sorted by name."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]
