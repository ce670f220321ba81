"""One image file → one upright RGB picture, or a PhotoError that says in one line why not.

A file is read whole (its bytes are hashed anyway) and decoded from memory, so that a slow disk and a slow
decoder can overlap, and so that a pipe or a device with the name of a photo can never block.
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
"""Largest file read. A 200-megapixel JPEG takes about 80 MB, a 40-megapixel TIFF of 16 bits 240 MB."""

MAX_PIXELS = 256_000_000
"""Largest picture that is opened at all: telephones make 200 megapixels, and larger is a mistake or an
attack."""

MAX_DECODED_PIXELS = 80_000_000
"""Largest picture decoded in full, at 4 to 9 bytes a pixel. A JPEG above it is decoded at a reduced scale."""

LARGE_PIXELS = 25_000_000
"""Above this many decoded pixels, one picture at a time: threads must not add up their largest ones."""

MARGIN = 2
"""How many times `min_side` the reduced picture's shorter side keeps at least. At 12 megapixels → 224 pixels,
after the final resize, 2 differs from the full decode by 0.15 to 0.33 of 255 a pixel on average (at most 4);
1 would save 7 ms of 24 and differ by up to 1.3 (at most 18)."""

DIGEST_BYTES = 16

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
_FTYP_FORMATS = ("AVIF", "HEIF")
# MPO is a JPEG with more pictures behind the first, as telephones and 3-D cameras write them.
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
    """A file that is not a readable photo. `reason` is the message without a path."""

    def __init__(self, reason: str, path: str | None = None) -> None:
        super().__init__(f"cannot read {path}: {reason}" if path else reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    image: RGB, upright, sRGB; smaller than the original where `min_side` allowed it. width, height: pixels of
    the upright original. format: "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF".
    """

    image: Image.Image
    width: int
    height: int
    format: str
    exif: Exif


def read_bytes(path: bytes) -> bytes:
    """The whole file. Raises PhotoError when it is absent, unreadable, empty, too large or not a regular
    file."""
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
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
        raise PhotoError(error.strerror or "cannot be read") from error
    except ValueError as error:  # a NUL in the path
        raise PhotoError(str(error)) from error
    if not data:
        raise PhotoError("empty file")
    if len(data) > MAX_BYTES:  # it grew since fstat
        raise PhotoError(_too_many_bytes(len(data)))
    return data


def content_digest(data: bytes) -> bytes:
    """16 bytes of BLAKE2b that stand for a file's content."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def decode(data: bytes, min_side: int | None = None) -> Photo:
    """Decode the first picture of a file's bytes.

    With `min_side` (pixels) the picture may come out smaller, its shorter side still at least MARGIN ×
    `min_side` (or the original's, where that is less): for a model that looks at `min_side` pixels, at a
    fraction of the time. Without it every pixel is there. Raises PhotoError, and nothing else, when the bytes
    are not a whole picture.
    """
    if not data:
        raise PhotoError("empty file")
    if min_side is not None and min_side < 1:
        raise ValueError("min_side must be at least 1")
    try:
        return _decode(data, min_side)
    except PhotoError:
        raise
    except Exception as error:  # on bad bytes the decoders raise anything, from struct.error to RecursionError
        raise PhotoError(_reason(error)) from error


def open_photo(path: bytes | str | Path, min_side: int | None = None) -> Photo:
    """Read and decode one file; as `decode`, and the PhotoError names the path."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise PhotoError(str(error)) from error
    try:
        return decode(read_bytes(name), min_side)
    except PhotoError as error:
        raise PhotoError(error.reason, path=os.fsdecode(name)) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """An image that was opened elsewhere, RGB and upright. Its colours are taken for sRGB."""
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
    if image.info.get("progressive"):  # all of its coefficients are held, at whatever scale it comes out
        pixels = width * height
    with _one_large_picture if pixels > LARGE_PIXELS else nullcontext():
        image.load()  # TIFF is upright from here on, and says so
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
    """`picture`, if it is at least twice as large as need be, with exactly `shorter_side`.

    `box` is the part of it, in fractions of a pixel, that the original covers: a reduced JPEG whose size is
    no multiple of 8 ends in a partial pixel, and to take that for a whole one would squeeze the picture.
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
    # A short list of formats: Pillow knows fifty, and some of them start other programs (EPS) or are no
    # photos.
    return Image.open(BytesIO(data), formats=formats)


@cache
def _prepare_pillow() -> None:
    # Pillow refuses above 179 megapixels, which telephones make; its limit is raised to ours, never lowered
    # or removed.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS)
    # What is wrong with a file goes into the PhotoError, or does no harm ("Corrupt EXIF data"): not to stderr
    # as well.
    for category in (UserWarning, RuntimeWarning):
        warnings.filterwarnings("ignore", category=category, module=r"PIL\.")


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def _too_many_bytes(size: int) -> str:
    return f"too large: {size / 2**20:,.0f} MiB, at most {MAX_BYTES / 2**20:,.0f}"


def _too_many_pixels(image: Image.Image, limit: int) -> str:
    return f"too large: {image.width} × {image.height} pixels, at most {limit / 1e6:,.0f} million"


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or damaged at its beginning"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: more than {MAX_PIXELS / 1e6:,.0f} million pixels"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "truncated: the file ends before the picture does"
    if text.startswith(("decoder error", "broken data stream", "unrecognized data stream")):
        return "damaged: its pixels cannot be decoded"
    return f"damaged: {text or type(error).__name__}"[:200]
