"""Small copies of photos, cached beside the catalog under a size limit. Losing the cache costs time, nothing else."""

import io
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from searcher.catalog.rows import Photo
from searcher.errors import InvalidInput, NotFound
from searcher.photos.decode import PhotoError, decode_guarded
from searcher.photos.thumbnail import saved_small

FOLDER = "thumbnails"
SIZES = (128, 256, 512, 1024)  # pixels of the longer side
MAX_BYTES = 512 * 2**20  # of the whole cache
KEPT = 0.8  # the share of MAX_BYTES that stays when the oldest files are removed


class Thumbnails:
    """The cache in one folder. Safe to share by threads and processes."""

    def __init__(self, library: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder = library / FOLDER
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None  # of the cache, None until it was measured

    def stored(self, digest: bytes, size: int) -> bytes | None:
        """The WebP file of a content whose longer side has at most `size` pixels, if it was kept before."""
        path = self._path(digest, size)
        with suppress(OSError):
            data = path.read_bytes()
            os.utime(path)  # the files that are used stay
            return data
        return None

    def keep(self, digest: bytes, size: int, data: bytes) -> None:
        """What `stored` returns from now on, if the library can be written to."""
        path = self._path(digest, size)
        partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError:  # a read-only library, a full disk
            with suppress(OSError):
                partial.unlink()
            return
        with self._lock:
            self._bytes = self.size() if self._bytes is None else self._bytes + len(data)
            if self._bytes > self._max_bytes:
                self._bytes = self._remove_oldest()

    def add(self, digest: bytes, size: int, data: bytes) -> bool:
        """Store a thumbnail that was made elsewhere, unless the cache would have to remove others for it soon.

        data: what `is_thumbnail` accepts. Returns whether the cache has a thumbnail of this content and size now.
        """
        path = self._path(digest, size)
        if path.exists():
            return True
        with self._lock:
            self._bytes = self.size() if self._bytes is None else self._bytes
            if self._bytes + len(data) > self._max_bytes * KEPT:
                return False
        self.keep(digest, size, data)
        return path.exists()

    def _path(self, digest: bytes, size: int) -> Path:
        return self.folder / digest.hex()[:2] / f"{digest.hex()}-{size}.webp"

    def size(self) -> int:
        """The bytes of the cache."""
        return sum(size for _, size, _ in self._files())

    def _files(self) -> list[tuple[float, int, str]]:
        """(time of last use, bytes, path) of every file."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)  # noqa: PTH118
                with suppress(OSError):
                    status = os.stat(path)  # noqa: PTH116
                    found.append((status.st_mtime, status.st_size, path))
        return found

    def _remove_oldest(self) -> int:
        files = sorted(self._files())
        left = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left <= self._max_bytes * KEPT:
                break
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108
                left -= size
        return left


def is_thumbnail(data: bytes, size: int) -> bool:
    """Whether a file is a WebP picture whose longer side has at most `size` pixels. Only its head is read."""
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            return max(image.size) <= size
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def check_size(size: int) -> None:
    """Raise InvalidInput if thumbnails do not have so many pixels."""
    if size not in SIZES:
        raise InvalidInput(f"a thumbnail has {', '.join(map(str, SIZES))} pixels, not {size}")


def draw(photos: Sequence[Photo], read: Callable[[Photo], bytes], size: int, format: str) -> bytes:
    """A file ("WEBP" or "JPEG") whose longer side has at most `size` pixels, of the first photo that `read` can read.

    Raises NotFound if none can be.
    """
    reason = "the library contains no file with its content"
    for photo in photos:
        try:
            return resized(read(photo), size, format)
        except PhotoError as error:
            reason = f"{photo.path}: {error.reason}"
    raise NotFound(f"the photo cannot be read ({reason})")


def resized(data: bytes, size: int, format: str) -> bytes:
    """A file ("WEBP" or "JPEG") of the picture in `data`, whose longer side has at most `size` pixels.

    Raises PhotoError.
    """
    return saved_small(decode_guarded(data, size).image, size, format)
