"""What a library says about its photos: about one of them, and about all."""

from dataclasses import dataclass
from typing import NamedTuple

from searcher.catalog.rows import Content, Photo


@dataclass(frozen=True, slots=True)
class PhotoDetails:
    """One photo with everything that is known about it. copies: other images with the same content."""

    photo: Photo
    content: Content
    copies: tuple[Photo, ...]


class Counted(NamedTuple):
    """How many photos something has."""

    name: str
    photos: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What photos can be narrowed to, most photos first.

    folders: by path, the indexed folders and their first two levels, each with the photos in it and below; each copy
    counts. sources: those of the labels that photos have.
    """

    cameras: tuple[Counted, ...]
    formats: tuple[Counted, ...]
    orientations: tuple[Counted, ...]
    folders: tuple[Counted, ...]
    sources: tuple[str, ...]


class FolderState(NamedTuple):
    """An indexed folder: how many images and failed files it has, and whether it is not there now."""

    path: str
    images: int
    failed: int
    missing: bool = False


class VectorState(NamedTuple):
    """kind: of the index, such as "hnsw" or "flat"; "none" without vectors. vectors: how many are in it. pending: how
    many are not in it yet, and are searched without it.
    """

    kind: str
    vectors: int
    pending: int
