"""Kinds of things and what belongs to them: a bird is also a robin, an owl or a duck. From WordNet (kinds.txt)."""

import re
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
        at = lines.find(f"\n{noun}\t") if "\t" not in noun else -1
        if at >= 0:
            breadth, *narrower = lines[at + 1 : lines.index("\n", at + 1)].split("\t")[1:]
            return Kind(int(breadth), tuple(narrower))
    return None


def kinds_digest() -> str:
    """Identifies the content of the file: what relevance was computed with."""
    return blake2b(_lines().encode(), digest_size=8).hexdigest()


def _singulars(name: str) -> Iterator[str]:
    yield name
    for plural, singular in _PLURALS:
        if name.endswith(plural) and len(name) > len(plural) + 1:
            yield name.removesuffix(plural) + singular


@cache
def _lines() -> str:
    return FILE.read_text(encoding="utf-8")
