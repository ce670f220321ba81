"""The nouns of WordNet 3.0 (Debian's package wordnet-base, folder /usr/share/wordnet)."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import wordfreq

# WordNet's groups of nouns for things, animals, people, places and doings that a photo can show.
VISIBLE = {3, 4, 5, 6, 8, 11, 13, 14, 15, 17, 18, 19, 20, 27}


class WordNet:
    """The nouns of WordNet 3.0, read from the folder of its database files (see `man wndb`)."""

    def __init__(self, folder: Path) -> None:
        self.words: dict[str, list[str]] = {}
        self.below: dict[str, list[str]] = {}
        self.parents: dict[str, list[str]] = {}
        self.group: dict[str, int] = {}
        for line in _lines(folder / "data.noun"):
            fields = line.split(" | ")[0].split()
            number, count = fields[0], int(fields[3], 16)
            pointers = fields[5 + 2 * count :]
            self.group[number] = int(fields[1])
            self.words[number] = [word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2]]
            links = list(zip(pointers[::4], pointers[1::4], pointers[2::4], strict=False))
            self.below[number] = [kind for symbol, kind, part in links if symbol in ("~", "~i") and part == "n"]
            self.parents[number] = [kind for symbol, kind, part in links if symbol in ("@", "@i") and part == "n"]
        # the meanings of each word, the most frequent one first
        self.meanings = {
            fields[0].replace("_", " "): fields[-int(fields[2]) :]
            for fields in (line.split() for line in _lines(folder / "index.noun"))
        }

    @cache  # noqa: B019  one object, which lives as long as the program
    def tree(self, kind: str) -> frozenset[str]:
        """A kind and everything below it."""
        return frozenset([kind]).union(*(self.tree(below) for below in self.below[kind]))

    def meaning(self, word: str) -> str | None:
        """The most frequent meaning of a word that a photo can show."""
        return next((kind for kind in self.meanings.get(word, ()) if self.group[kind] in VISIBLE), None)

    @cache  # noqa: B019
    def above(self, kind: str) -> frozenset[str]:
        """A kind and everything that it belongs to."""
        return frozenset([kind]).union(*(self.above(parent) for parent in self.parents[kind]))

    @cache  # noqa: B019
    def word(self, kind: str) -> tuple[float, str]:
        """The frequency of the most frequent word of a kind, and the word."""
        return max((wordfreq.zipf_frequency(word, "en"), word) for word in self.words[kind])


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="latin-1") as file:
        yield from (line for line in file if not line.startswith(" "))  # the licence is indented
