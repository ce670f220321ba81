"""The part of Library that shows single photos."""

from contextlib import suppress
from typing import TYPE_CHECKING

from searcher.errors import NotFound
from searcher.filters.uri import is_uri
from searcher.library.core import LibraryCore

if TYPE_CHECKING:
    from searcher.catalog.rows import Photo
    from searcher.search.overview import PhotoDetails


class PictureMethods(LibraryCore):
    """Photos of a library, one at a time."""

    def photo(self, image_id: int) -> "PhotoDetails":
        """Everything that is known about one photo, its tags included. Raises NotFound for an unknown id."""
        details = self._records().details(image_id)
        if details is None:
            raise _unknown(image_id)
        return details

    def digest(self, image_id: int) -> bytes:
        """The digest of what the file of an image holds. Raises NotFound for an unknown id."""
        digest = self._records().digest(image_id)
        if digest is None:
            raise _unknown(image_id)
        return digest

    def thumbnail(self, image_id: int, size: int = 256) -> bytes:
        """A WebP file of one photo, its longer side `size` pixels at most (128, 256, 512 or 1024). Cached.

        If the photo cannot be read, a cached one of another size stands for it, or NotFound is raised. Raises NotFound
        for an unknown id, too.
        """
        from searcher.library.thumbnails import check_size

        check_size(size)
        digest = self.digest(image_id)
        data = self.stored_thumbnail(digest, size)
        if data is None:
            try:
                data = self._draw(image_id, size, "WEBP")
            except NotFound:
                if (other := self._thumbnail_of_other_size(digest, size)) is None:
                    raise
                return other  # not kept: the photo may be readable again
            self._keep_thumbnail(digest, size, data)
        return data

    def _thumbnail_of_other_size(self, digest: bytes, size: int) -> bytes | None:
        """The largest thumbnail that is stored, reduced to `size` pixels. None if there is none."""
        from searcher.library.thumbnails import SIZES, resized
        from searcher.photos.errors import PhotoError

        for stored in reversed(SIZES):
            data = self.stored_thumbnail(digest, stored)
            if data is not None:
                with suppress(PhotoError):
                    return data if stored <= size else resized(data, size, "WEBP")
        return None

    def preview(self, image_id: int, size: int = 2048) -> bytes:
        """A JPEG file of one photo, its longer side `size` pixels at most, for a program that cannot show its format.

        Raises NotFound for an unknown id, or if the photo cannot be read.
        """
        return self._draw(image_id, size, "JPEG")

    def content(self, image_id: int) -> bytes:
        """The file of one photo, or that of a copy if only that can be read. Raises NotFound."""
        from searcher.photos.errors import PhotoError

        details = self.photo(image_id)
        reason = ""
        for photo in (details.photo, *details.copies):
            try:
                return _read(photo)
            except PhotoError as error:
                reason = reason or error.reason
        raise NotFound(f"the file cannot be read: {details.photo.path} ({reason})")

    def _draw(self, image_id: int, size: int, format: str) -> bytes:
        from searcher.library.thumbnails import draw

        details = self.photo(image_id)
        return draw([details.photo, *details.copies], _read, size, format)


def _read(photo: "Photo") -> bytes:
    """The content of a photo's file, on this machine or at a URI. Raises PhotoError."""
    from searcher.photos.decode import PhotoError, read_bytes

    if not is_uri(photo.path_bytes):
        return read_bytes(photo.path_bytes)
    try:
        from searcher.scale.reading import read_uri
    except ModuleNotFoundError as error:
        raise PhotoError(f"reading a URI needs {error.name}: run pip install 'searcher[scale]'") from error
    return read_uri(photo.path)


def _unknown(image_id: int) -> NotFound:
    return NotFound(f"no photo has the id {image_id}")
