"""Rows of the catalog that other packages use too."""

from typing import NamedTuple

ZERO_SHOT, TAUGHT, USER, FILE = "zero-shot", "taught", "user", "file"  # the sources of a tag


UNREAD = -1  # stands for the size and time of a file that could not be read or must be read again


class Root(NamedTuple):
    """An indexed folder. `whole` is False if only single files in it were indexed."""

    id: int
    path: bytes
    whole: bool


class ModelRow(NamedTuple):
    """A model that the library knows. `folder`: where the model was last found.

    `noise_floor`: the score of a meaningless query in this library, or None if it is not known.
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
        """The name of the model's FAISS file."""
        return f"{self.slug}-{self.digest[:8]}.faiss"

    @property
    def label(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} {self.version}".strip()


class VectorFileRow(NamedTuple):
    """A FAISS file that was written. The digest, which is the last 16 bytes of the file, identifies it."""

    digest: bytes
    last_id: int
    vectors: int
    bytes: int


class Failure(NamedTuple):
    """A file that could not be indexed, and the reason. `path` is absolute."""

    path: str
    error: str

    def as_dict(self) -> dict[str, str]:
        """Return the failure as `status --failed --json` prints it."""
        return self._asdict()


class PhotoRow(NamedTuple):
    """An image of an embedding, with the values that a hit shows."""

    embedding_id: int
    image_id: int
    root: bytes
    relpath: bytes
    taken_at: str | None


class ImageAt(NamedTuple):
    """An image row with its path. `content_id` is None if the file could not be indexed."""

    id: int
    root_id: int
    relpath: bytes
    content_id: int | None


class Place(NamedTuple):
    """The path of a file, with its size (bytes) and modification time (ns) when it was listed."""

    root_id: int
    relpath: bytes
    size: int
    mtime_ns: int


def after_prefix(prefix: bytes) -> bytes:
    """Return the first name that sorts after all names that begin with `prefix`. `prefix` ends in "/"."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


class Content(NamedTuple):
    """The content of a file: a digest of its bytes, and what was read from them. Copies share one content.

    width, height: in pixels. latitude, longitude: in degrees.
    taken_at: ISO 8601, in local time unless it has an offset.
    """

    digest: bytes
    width: int
    height: int
    format: str
    taken_at: str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
