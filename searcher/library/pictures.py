"""The part of Library that shows single photos."""

from typing import TYPE_CHECKING

from searcher.errors import NotFound
from searcher.library.core import LibraryCore

if TYPE_CHECKING:
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

        Raises NotFound for an unknown id, or if the photo cannot be read.
        """
        from searcher.library.thumbnails import check_size

        check_size(size)
        digest = self.digest(image_id)
        data = self.stored_thumbnail(digest, size)
        if data is None:
            data = self._draw(image_id, size, "WEBP")
            self._keep_thumbnail(digest, size, data)
        return data

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
                return self._read(photo)
            except PhotoError as error:
                reason = reason or error.reason
        raise NotFound(f"the file cannot be read: {details.photo.path} ({reason})")

    def _draw(self, image_id: int, size: int, format: str) -> bytes:
        from searcher.library.thumbnails import draw

        details = self.photo(image_id)
        return draw([details.photo, *details.copies], self._read, size, format)


def _unknown(image_id: int) -> NotFound:
    return NotFound(f"no photo has the id {image_id}")
