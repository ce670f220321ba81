"""Decodes an image file to an upright RGB image, or raises a PhotoError with a one-line reason.

A file is read completely (its bytes are hashed anyway) and then decoded from memory. So reading from a slow disk can
overlap with decoding, and a pipe or device that is named like a photo can never block.
"""

import errno
import hashlib
import os
import stat
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Lock

from PIL import Image, ImageFile, UnidentifiedImageError

from searcher.errors import SearcherError
from searcher.photos.colour import to_rgb, to_srgb
from searcher.photos.exif import Exif, read_exif, read_orientation

MAX_BYTES = 256 * 2**20
"""Largest file that is read. A 200-megapixel JPEG has about 80 MB, and a 40-megapixel 16-bit TIFF has 240 MB."""

MAX_PIXELS = 256_000_000
"""Largest image that is opened. Phones take photos of 200 megapixels. Anything larger is a mistake or an attack."""

MAX_DECODED_PIXELS = 80_000_000
"""Largest image that is decoded at full size. Decoding takes 4 to 9 bytes per pixel. A larger JPEG is decoded
at a reduced scale."""

LARGE_PIXELS = 25_000_000
"""Images with more decoded pixels than this are decoded one at a time, to limit the memory that all threads use."""

MARGIN = 2
"""The shorter side of a reduced image is at least this many times `min_side`.

Measured from 12 megapixels to 224 pixels, after the final resize: with 2, the result differs from a full decode by
0.15 to 0.33 of 255 per pixel on average (at most 4). With 1, decoding takes 7 ms less of 24 ms, but the difference is
up to 1.3 on average (at most 18).
"""

DIGEST_BYTES = 16

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
_FTYP_FORMATS = ("AVIF", "HEIF")
# MPO is a JPEG followed by more images. Phones and 3-D cameras write it.
_FORMAT_NAMES = {"MPO": "JPEG"}

_one_large_picture = Lock()

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PhotoError(SearcherError):
    """Raised if a file is not a readable photo. `reason` is the message without the path."""

    def __init__(self, reason: str, path: str | None = None) -> None:
        super().__init__(f"cannot read {path}: {reason}" if path else reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    image: upright, mode RGB, in sRGB. It may be smaller than the original if `min_side` was given.
    width, height: size of the upright original in pixels.
    format: "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF" or "HEIF".
    exif: date, camera and place.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    exif: Exif


def read_bytes(path: bytes) -> bytes:
    """Read a whole file. Raises PhotoError if it is missing, unreadable, empty, too large or not a regular file."""
    try:
        # O_NONBLOCK: without it, opening a FIFO that has no writer blocks forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PhotoError("not a regular file")
            if status.st_size > MAX_BYTES:
                raise PhotoError(_too_many_bytes(status.st_size))
            data = file.readall()
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot even be opened
            raise PhotoError("not a regular file") from error
        raise PhotoError(error.strerror or "unknown read error") from error
    except ValueError as error:  # a NUL in the path
        raise PhotoError(str(error)) from error
    if not data:
        raise PhotoError("empty file")
    if len(data) > MAX_BYTES:  # it grew since fstat
        raise PhotoError(_too_many_bytes(len(data)))
    return data


def content_digest(data: bytes) -> bytes:
    """The 16-byte BLAKE2b digest of a file's content."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def decode(data: bytes, min_side: int | None = None) -> Photo:
    """Decode the first image in the bytes of a file.

    min_side: the input size of the model, in pixels. With it, the decoded image may be smaller than the original, and
    decoding is faster. Its shorter side is at least MARGIN × `min_side`, or that of the original if that is less.
    Without it, the image has its full size.

    Raises PhotoError, and no other error, if the bytes are not a complete image. Raises ValueError if `min_side` is
    below 1.
    """
    if not data:
        raise PhotoError("empty file")
    if min_side is not None and min_side < 1:
        raise ValueError("min_side must be at least 1")
    try:
        return _decode(data, min_side)
    except PhotoError:
        raise
    except Exception as error:  # for bad bytes, decoders raise anything from struct.error to RecursionError
        raise PhotoError(_reason(error)) from error


def open_photo(path: bytes | str | Path, min_side: int | None = None) -> Photo:
    """Read a file and decode it with `decode`. Raises PhotoError with the path in its message."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise PhotoError(str(error)) from error
    try:
        return decode(read_bytes(name), min_side)
    except PhotoError as error:
        raise PhotoError(error.reason, path=os.fsdecode(name)) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Convert an image that the caller opened to upright RGB. Its colours are assumed to be sRGB."""
    image.load()
    method = _UPRIGHT.get(read_orientation(image))
    picture = image if image.mode == "RGB" else to_rgb(image)
    return picture if method is None else picture.transpose(method)


def _decode(data: bytes, min_side: int | None) -> Photo:
    image = _open(data)
    if image.width * image.height > MAX_PIXELS:
        raise PhotoError(_too_many_pixels(image, MAX_PIXELS))
    width, height = image.size
    box = (0.0, 0.0, float(width), float(height))
    if min_side is not None:
        _, box = image.draft(None, (min_side * MARGIN, min_side * MARGIN)) or (None, box)
    pixels = image.width * image.height
    if pixels > MAX_DECODED_PIXELS:
        raise PhotoError(_too_many_pixels(image, MAX_DECODED_PIXELS))
    if image.info.get("progressive"):  # the decoder holds all coefficients at any output scale
        pixels = width * height
    with _one_large_picture if pixels > LARGE_PIXELS else nullcontext():
        image.load()  # for TIFF, this also turns the image upright and resets its orientation
        picture = to_rgb(image)
        if min_side is not None:
            picture = _reduced(picture, box, min_side * MARGIN)
        picture = to_srgb(picture, image)
    exif, orientation = read_exif(image), read_orientation(image)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    if orientation >= 5:
        width, height = height, width
    return Photo(picture, width, height, _FORMAT_NAMES.get(image.format or "", image.format or ""), exif)


def _reduced(picture: Image.Image, box: tuple[float, float, float, float], shorter_side: int) -> Image.Image:
    """Resize `picture` so that its shorter side is `shorter_side`, if it is at least twice as large as that.

    box: the part of `picture` that the original covers, in fractions of a pixel. A reduced JPEG whose size is not a
    multiple of 8 ends in a partial pixel. Treating that as a whole pixel would distort the image.
    """
    width, height = box[2], box[3]
    scale = shorter_side / min(width, height)
    if scale > 0.5:
        scale = 1
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == picture.size and box == (0, 0, *size):
        return picture
    return picture.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=2)


def _open(data: bytes) -> ImageFile.ImageFile:
    _prepare_pillow()
    formats: tuple[str, ...] = _FORMATS
    if data[4:8] == b"ftyp":  # ISO base media: HEIC and AVIF
        _register_heif()
        formats = _FTYP_FORMATS
    # Only these formats: Pillow supports fifty. Some of them start other programs (EPS) or are not photos.
    return Image.open(BytesIO(data), formats=formats)


@cache
def _prepare_pillow() -> None:
    # Pillow rejects images above 179 megapixels, but some phones make them. This raises its limit to ours. It never
    # lowers or removes the limit.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS)
    # Hide Pillow's warnings from stderr. Errors are reported by the PhotoError, and the rest is harmless
    # ("Corrupt EXIF data").
    for category in (UserWarning, RuntimeWarning):
        warnings.filterwarnings("ignore", category=category, module=r"PIL\.")


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def _too_many_bytes(size: int) -> str:
    return f"too large: {size / 2**20:,.0f} MiB (the limit is {MAX_BYTES / 2**20:,.0f} MiB)"


def _too_many_pixels(image: Image.Image, limit: int) -> str:
    return f"too large: {image.width} × {image.height} pixels (the limit is {limit / 1e6:,.0f} million)"


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or the start of the file is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: more than {MAX_PIXELS / 1e6:,.0f} million pixels"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "truncated: the file ends before the image is complete"
    if text.startswith(("decoder error", "broken data stream", "unrecognized data stream")):
        return "damaged: the pixels cannot be decoded"
    return f"damaged: {text or type(error).__name__}"[:200]
