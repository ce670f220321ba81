"""Small files of photos, drawn from their pixels."""

import io
import threading

from PIL import Image

from searcher.photos.decoder import DecodedPhoto
from searcher.photos.guard import decode_guarded

QUALITY = 80


def draw_thumbnail(data: bytes, photo: DecodedPhoto, size: int, stop: threading.Event | None = None) -> bytes:
    """A WebP file of at most `size` pixels on the longer side.

    data: the bytes of the photo, which are decoded again if `photo` is smaller than the thumbnail and was reduced.
    Raises PhotoError and Stopped as `decode_guarded` does.
    """
    image = photo.image
    if max(image.size) < min(size, max(photo.width, photo.height)):
        image = decode_guarded(data, size, stop).image
    return saved_small(image.copy(), size, "WEBP")


def saved_small(image: Image.Image, size: int, format: str) -> bytes:
    """A file ("WEBP" or "JPEG") of `image`, which is reduced to at most `size` pixels on the longer side."""
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format, quality=QUALITY)
    return file.getvalue()
