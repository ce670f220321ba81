"""Threads that read, hash, decode and preprocess photos ahead of the thread that embeds them.

Memory is bounded by the number of files under way, whatever the folder: a thread lets go of a file's bytes
and of the decoded picture before it takes the next one; what waits is one preprocessed picture a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from searcher.catalog.reader import Reader
from searcher.catalog.records import Content, Place
from searcher.photos.decode import Photo, PhotoError, content_digest, decode, read_bytes

if TYPE_CHECKING:
    from searcher.models import Model

BATCH_SIZE = 32  # photos a pass through the network and a commit


@dataclass(slots=True)
class Read:
    """A file that was read. `content` and `pixels` (3, H, W) are None when its content is known, or being
    read under another name; with an `error`, all else is None."""

    place: Place
    digest: bytes | None = None
    content: Content | None = None
    pixels: np.ndarray | None = None
    error: str | None = None


class Contents:
    """Which contents need no decoding: embedded already, or under way. For use in threads."""

    def __init__(self, reader: Reader, model_id: int) -> None:
        self._reader = reader
        self._model_id = model_id
        self._under_way: set[bytes] = set()
        self._lock = Lock()

    def claim(self, digest: bytes) -> bool:
        """Whether the caller is the one to decode this content."""
        with self._lock:
            if digest in self._under_way or self._reader.has_embedding(digest, self._model_id):
                return False
            self._under_way.add(digest)
            return True

    def release(self, digests: Iterable[bytes]) -> None:
        """These have been committed, or have failed."""
        with self._lock:
            self._under_way.difference_update(digests)

    def close(self) -> None:
        self._reader.close()


def hash_file(path: bytes) -> bytes | None:
    """The digest of a file's content, None when it cannot be read."""
    try:
        return content_digest(read_bytes(path))
    except PhotoError:
        return None


def read_photo(place: Place, path: bytes, contents: Contents, model: "Model") -> Read:
    """Read, hash and, if the content is new, decode and preprocess one file. Never raises for a bad file."""
    try:
        data = read_bytes(path)
    except PhotoError as error:
        return Read(place, error=error.reason)
    digest = content_digest(data)
    if not contents.claim(digest):
        return Read(place, digest)
    try:
        photo = decode(data, min_side=model.image_size)
        del data
        return Read(place, digest, _content(digest, photo), model.preprocess(photo.image))
    except PhotoError as error:
        reason = error.reason
    except Exception as error:  # nothing that one file does may stop the run
        reason = f"cannot be prepared: {error or type(error).__name__}"
    return Read(place, digest, error=_storable(reason))


def _storable(text: str) -> str:
    """Without what cannot be written as UTF-8, such as the escapes in a file's name."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _content(digest: bytes, photo: Photo) -> Content:
    taken_at = photo.exif.taken_at
    return Content(
        digest=digest,
        width=photo.width,
        height=photo.height,
        format=photo.format,
        taken_at=None if taken_at is None else taken_at.isoformat(),
        camera=None if photo.exif.camera is None else _storable(photo.exif.camera),
        latitude=photo.exif.latitude,
        longitude=photo.exif.longitude,
    )
