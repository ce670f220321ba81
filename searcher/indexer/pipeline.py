"""Read, hash, decode and preprocess photos in threads, ahead of the thread that embeds them.

Memory use depends on the number of files in progress, not on the size of the folder. A thread frees a file's bytes
and its decoded image before it takes the next file. A file that waits to be embedded needs only its preprocessed image.
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

BATCH_SIZE = 32  # photos per pass through the encoder and per commit


@dataclass(slots=True)
class Read:
    """A file that was read.

    digest: of the content, or None if the file could not be read. content and pixels, (3, H, W) float32: None if the
    content is already embedded, or if another file with the same content is in progress, or if there is an error.
    error: the reason if the file cannot be indexed.
    """

    place: Place
    digest: bytes | None = None
    content: Content | None = None
    pixels: np.ndarray | None = None
    error: str | None = None


class Contents:
    """Tracks the contents that need no decoding because they are already embedded or in progress. Thread-safe."""

    def __init__(self, reader: Reader, model_id: int) -> None:
        self._reader = reader
        self._model_id = model_id
        self._under_way: set[bytes] = set()
        self._lock = Lock()

    def claim(self, digest: bytes) -> bool:
        """Return whether the caller must decode this content. If so, the content is now in progress."""
        with self._lock:
            if digest in self._under_way or self._reader.has_embedding(digest, self._model_id):
                return False
            self._under_way.add(digest)
            return True

    def release(self, digests: Iterable[bytes]) -> None:
        """Mark contents as no longer in progress, after they were committed or have failed."""
        with self._lock:
            self._under_way.difference_update(digests)

    def close(self) -> None:
        self._reader.close()


def hash_file(path: bytes) -> bytes | None:
    """Return the digest of a file's content, or None if the file cannot be read."""
    try:
        return content_digest(read_bytes(path))
    except PhotoError:
        return None


def read_photo(place: Place, path: bytes, contents: Contents, model: "Model") -> Read:
    """Read and hash one file. If its content is new, also decode and preprocess it.

    A bad file does not raise an exception. The result has an `error` instead.
    """
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
    except Exception as error:  # a single file must never stop the run
        reason = f"cannot be prepared: {error or type(error).__name__}"
    return Read(place, digest, error=_storable(reason))


def _storable(text: str) -> str:
    """Replace what cannot be stored as UTF-8, such as surrogate escapes in file names, with "?"."""
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
