"""Rows of the catalog as they travel between the rooms."""

from typing import NamedTuple

ZERO_SHOT, TAUGHT, USER, FILE = "zero-shot", "taught", "user", "file"  # where a tag comes from


UNREAD = -1  # the size and time of a file that could not be looked at, or must be read again


class Root(NamedTuple):
    """A folder that was indexed. `whole` is False where only single files of it were asked for."""

    id: int
    path: bytes
    whole: bool


class ModelRow(NamedTuple):
    """A model whose embeddings the library holds, and the folder it was last found in.

    `noise_floor`: what a meaningless query scores here, None where that is not known.
    """

    id: int
    digest: str
    name: str
    slug: str
    version: str
    folder: bytes
    dim: int
    noise_floor: float | None

    @property
    def vector_file(self) -> str:
        """The name of its FAISS file."""
        return f"{self.slug}-{self.digest[:8]}.faiss"

    @property
    def label(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}".strip()


class VectorFileRow(NamedTuple):
    """One FAISS file that was written: its digest (the file's last 16 bytes) identifies it."""

    digest: bytes
    last_id: int
    vectors: int
    bytes: int


class Failure(NamedTuple):
    """A file that could not be indexed, and why. `path` is absolute."""

    path: str
    error: str

    def as_dict(self) -> dict[str, str]:
        """As `status --failed --json` prints it."""
        return self._asdict()


class PhotoRow(NamedTuple):
    """One image behind an embedding, with what a hit shows of it."""

    embedding_id: int
    image_id: int
    root: bytes
    relpath: bytes
    taken_at: str | None


class ImageAt(NamedTuple):
    """An image row, by its place. `content_id` is None for a file that failed."""

    id: int
    root_id: int
    relpath: bytes
    content_id: int | None


class Place(NamedTuple):
    """Where a file is and how it looked when it was read."""

    root_id: int
    relpath: bytes
    size: int
    mtime_ns: int


def after_prefix(prefix: bytes) -> bytes:
    """The first name that sorts behind all that begin with `prefix`, which ends in "/"."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


class Content(NamedTuple):
    """What the bytes of a file say, whatever its name. `taken_at` is ISO 8601, local time unless it has an
    offset.
    """

    digest: bytes
    width: int
    height: int
    format: str
    taken_at: str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
