"""The rows of the catalog that other packages see."""

import os
from typing import TYPE_CHECKING, NamedTuple, Self

from searcher.filters import FILE as FILE
from searcher.filters import TAUGHT as TAUGHT
from searcher.filters import USER as USER
from searcher.filters import ZERO_SHOT as ZERO_SHOT
from searcher.photos.rules import FolderOptions

if TYPE_CHECKING:
    from searcher.photos.decode import PhotoFacts
    from searcher.photos.likeness import Likeness

UNREAD = -1  # the size and time of a file that could not be examined, or that the next run must read again


class Root(NamedTuple):
    """An indexed folder. `whole` is False if only single files in it were named."""

    id: int
    path: bytes
    whole: bool
    options: FolderOptions = FolderOptions()


class KnownFile(NamedTuple):
    """What the catalog knows about a file: size in bytes, modification time in ns, and whether it failed."""

    size: int
    mtime_ns: int
    failed: bool


class StoredFile(NamedTuple):
    """A file of the catalog: its digest, None if it failed, whether a model has embedded that, its modification time in
    ns, and why it failed.
    """

    digest: bytes | None
    embedded: bool
    mtime_ns: int
    error: str | None


class Place(NamedTuple):
    """Where a file is, and its size and modification time when it was read."""

    root_id: int
    relpath: bytes
    size: int
    mtime_ns: int


class IndexedPhoto(NamedTuple):
    """A photo as it was when it was read: its place, its size in bytes, its modification time in ns, its content."""

    id: int
    root: bytes
    relpath: bytes
    size: int
    mtime_ns: int
    digest: bytes


class ImageAt(NamedTuple):
    """The image at a place. `content_id` is None for a file that failed."""

    id: int
    root_id: int
    relpath: bytes
    content_id: int | None


class SidecarFile(NamedTuple):
    """A sidecar beside its photo, and its size and modification time when it was read."""

    name: bytes
    size: int
    mtime_ns: int


class Content(NamedTuple):
    """What a photo shows and what its file or its sidecar says, whatever the file is called.

    width, height: pixels. taken_at: ISO 8601, local time of the camera. taken_offset: minutes that this time is ahead
    of UTC. latitude, longitude: degrees. rating: 0 to 5 stars, or -1 (rejected). phash, sharpness: see
    `photos.likeness`. All but the first four are None if they are not known.
    """

    digest: bytes
    width: int
    height: int
    format: str
    taken_at: str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    taken_offset: int | None = None
    lens: str | None = None
    rating: int | None = None
    description: str | None = None
    phash: int | None = None
    sharpness: float | None = None

    @classmethod
    def of(cls, digest: bytes, facts: "PhotoFacts", likeness: "Likeness | None") -> Self:
        """The row of a file with this digest, from what it says and what it looks like."""
        said = facts.metadata
        return cls(
            digest=digest,
            width=facts.width,
            height=facts.height,
            format=facts.format,
            taken_at=None if said.taken_at is None else said.taken_at.isoformat(),
            camera=said.camera,
            latitude=said.latitude,
            longitude=said.longitude,
            taken_offset=said.taken_offset,
            lens=said.lens,
            rating=said.rating,
            description=said.description,
            phash=None if likeness is None else likeness.phash,
            sharpness=None if likeness is None else likeness.sharpness,
        )


class ContentFiles(NamedTuple):
    """A content, and where its files are: (root id, root, relative path) each."""

    content_id: int
    digest: bytes
    places: tuple[tuple[int, bytes, bytes], ...]


class ModelRow(NamedTuple):
    """A model whose embeddings the library holds, and the folder where it was last found."""

    id: int
    digest: str
    name: str
    slug: str
    version: str
    folder: bytes
    dim: int

    @property
    def vector_stem(self) -> str:
        """How the names of its vector files begin."""
        return f"{self.slug}-{self.digest[:8]}"

    @property
    def label(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} {self.version}".strip()


class VectorFile(NamedTuple):
    """A vector file that was written: its digest (its last 16 bytes), the id after which it begins, its largest id,
    number of vectors, bytes.
    """

    digest: bytes
    after_id: int
    last_id: int
    vectors: int
    bytes: int


class PhotoTag(NamedTuple):
    """A label of a photo. `probability` is 1 for a label that a person gave."""

    label: str
    source: str
    probability: float


class Photo(NamedTuple):
    """One image of the library: its id, content, place, date, rating and size in pixels as it is seen, and its tags
    where they were asked for.

    meant: False for a copy that is not where a filter asks for photos.
    """

    id: int
    content_id: int
    root: bytes
    relpath: bytes
    taken_at: str | None = None
    rating: int | None = None
    width: int = 0
    height: int = 0
    tags: tuple[PhotoTag, ...] = ()
    meant: bool = True

    @property
    def path(self) -> str:
        """The absolute path. Bytes that are not UTF-8 become surrogate escapes."""
        return os.fsdecode(self.path_bytes)

    @property
    def path_bytes(self) -> bytes:
        """The absolute path as the file system has it."""
        return os.path.join(self.root, self.relpath)  # noqa: PTH118 (pathlib does not know bytes)


class LabelRow(NamedTuple):
    """A label. `parent` is the id of a wider label."""

    id: int
    name: str
    parent: int | None


class LabelCount(NamedTuple):
    """How many photos have a label from one source. Copies of a photo count once."""

    label: str
    source: str
    photos: int


class TagRun(NamedTuple):
    """A question that was put to the whole library.

    definition: JSON, whose digest is `key`. conditions: a digest of what else decides the answers. last_id: the
    last embedding that was asked. retracted: labels that were cleared or asked by another run since.
    """

    id: int
    key: str
    definition: str
    conditions: str
    last_id: int
    retracted: frozenset[int]


class Example(NamedTuple):
    """A photo that a label was taught with, or against if it is not `positive`. `picture`: a small JPEG."""

    digest: bytes
    positive: bool
    picture: bytes


class LabelExample(NamedTuple):
    """An Example, with its label."""

    label: str
    digest: bytes
    positive: bool
    picture: bytes


class TypedTag(NamedTuple):
    """A tag that a person gave to a photo, or refused if `probability` is 0.

    path: absolute. digest: of the photo's content, b"" if it could not be read. tagged_at: UTC, ISO 8601.
    """

    path: bytes
    digest: bytes
    label: str
    probability: float | None
    tagged_at: str


class SidecarRow(NamedTuple):
    """What searcher wrote into a sidecar.

    tags: the paths of names that it must have from us. refused: those that the user removed again. entries: what
    in the file is ours, in the notation of the `sidecars` package. written: False from before the file is changed
    until afterwards.
    """

    path: bytes
    image_id: int | None
    tags: tuple[tuple[str, ...], ...]
    refused: tuple[tuple[str, ...], ...]
    entries: tuple[str, ...]
    written: bool


def after_prefix(prefix: bytes) -> bytes:
    """The first name that sorts after all names that begin with `prefix`, which ends in "/"."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
