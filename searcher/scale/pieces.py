"""Pieces: the parts that a source is cut into. Each piece becomes one shard."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from searcher.scale.files import prefix_of

Stamp = tuple[int | None, int | None]
"""Size in bytes and modification time in nanoseconds of a file."""


class FileAt(NamedTuple):
    """A file as it was listed. path: absolute, or a URI. size: bytes. mtime_ns: modification time. error: why it cannot
    be read.
    """

    path: bytes
    size: int | None
    mtime_ns: int | None
    error: str | None = None

    @property
    def stamp(self) -> Stamp:
        """With which it is seen whether the file has changed."""
        return self.size, self.mtime_ns

    def inner(self, source: str) -> str:
        """Its path in the file system of a source that is a URI."""
        return self.path.decode().removeprefix(prefix_of(source))

    @property
    def text(self) -> str:
        """The path as text. What is not UTF-8 is replaced."""
        return self.path.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Files:
    """Some photo files. source: what the user named."""

    source: str
    files: tuple[FileAt, ...]

    @property
    def photos(self) -> int | None:
        """How many photos there are, None if that is not known."""
        return len(self.files)

    def as_dict(self) -> dict[str, Any]:
        """What the metadata of a shard says about its piece. The files are in its rows."""
        return {"kind": "files"}


@dataclass(frozen=True, slots=True)
class Tar:
    """A tar file, compressed or not."""

    source: str
    file: FileAt

    @property
    def photos(self) -> int | None:
        """How many photos there are, None if that is not known."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """What the metadata of a shard says about its piece."""
        return {"kind": "tar"} | _named(self.file)


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Row groups of a Parquet file, from `first` to before `end`. row: number of the first row. rows: their number.

    image: the column with the bytes of image files. name: the column with their names, paths or URLs, or None. Both are
    the names of a column and of the fields inside it: ("image", "bytes").
    """

    source: str
    file: FileAt
    first: int
    end: int
    row: int
    rows: int
    image: tuple[str, ...]
    name: tuple[str, ...] | None

    @property
    def photos(self) -> int | None:
        """How many photos there are, None if that is not known."""
        return self.rows

    def as_dict(self) -> dict[str, Any]:
        """What the metadata of a shard says about its piece."""
        return {"kind": "parquet", "first": self.first, "end": self.end} | _named(self.file)


Archive = Tar | RowGroups
Piece = Files | Archive


def _named(file: FileAt) -> dict[str, Any]:
    return {"path": file.text, "size": file.size, "mtime_ns": file.mtime_ns}


_TAR = re.compile(rb"\.(tar|tar\.gz|tgz)$", re.IGNORECASE)
_PARQUET = re.compile(rb"\.(parquet|pq)$", re.IGNORECASE)


def is_tar(path: bytes) -> bool:
    """Whether a file has the name of a tar file."""
    return _TAR.search(path) is not None


def is_parquet(path: bytes) -> bool:
    """Whether a file has the name of a Parquet file."""
    return _PARQUET.search(path) is not None
