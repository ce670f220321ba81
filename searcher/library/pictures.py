"""The part of Library that shows single photos."""

from typing import TYPE_CHECKING

from searcher.errors import NotFound
from searcher.library.core import LibraryCore

if TYPE_CHECKING:
    from searcher.catalog.rows import Photo
    from searcher.library.reports import PhotoDetails
    from searcher.library.thumbnails import Thumbnails


class PictureMethods(LibraryCore):
    """Photos of a library, one at a time."""

    def photo(self, image_id: int) -> "PhotoDetails":
        """Everything the catalog knows about one photo, its tags included. Raises NotFound for an unknown id."""
        from searcher.library.reports import PhotoDetails

        with self._catalog.read() as view:
            photo = view.photos.one(image_id)
            if photo is None:
                raise NotFound(f"no photo has the id {image_id}")
            copies = view.photos.of_contents([photo.content_id])
            tags = view.photos.tags([copy.id for copy in copies])
            content = view.photos.content(photo.content_id)
        tagged = [copy._replace(tags=tuple(tags.get(copy.id, ()))) for copy in copies]
        (own,) = (copy for copy in tagged if copy.id == image_id)
        return PhotoDetails(own, content, tuple(copy for copy in tagged if copy.id != image_id))

    def digest(self, image_id: int) -> bytes:
        """The digest of what the file of an image holds. Raises NotFound for an unknown id."""
        with self._catalog.read() as view:
            digest = view.photos.digest(image_id)
        if digest is None:
            raise NotFound(f"no photo has the id {image_id}")
        return digest

    def thumbnail(self, image_id: int, size: int = 256) -> bytes:
        """A WebP file of one photo, its longer side `size` pixels at most (128, 256, 512 or 1024). Cached.

        Raises NotFound for an unknown id, or if the photo cannot be read.
        """
        digest = self.digest(image_id)
        stored = self.stored_thumbnail(digest, size)
        if stored is not None:
            return stored
        return self._cache().make(self._files(image_id), digest, size)

    def stored_thumbnail(self, digest: bytes, size: int = 256) -> bytes | None:
        """The thumbnail of a content if it was made before: see `thumbnail`."""
        return self._cache().stored(digest, size)

    def preview(self, image_id: int, size: int = 2048) -> bytes:
        """A JPEG file of one photo, its longer side `size` pixels at most, for a program that cannot show its format.

        Raises NotFound for an unknown id, or if the photo cannot be read.
        """
        from searcher.library.thumbnails import draw

        return draw(self._files(image_id), size, "JPEG")

    def _files(self, image_id: int) -> "list[Photo]":
        """An image, and the others with its content."""
        details = self.photo(image_id)
        return [details.photo, *details.copies]

    def _cache(self) -> "Thumbnails":
        with self._lock:
            if self._thumbnails is None:
                from searcher.library.thumbnails import Thumbnails

                self._thumbnails = Thumbnails(self.folder)
            return self._thumbnails
