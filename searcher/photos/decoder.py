"""Decodes an image file to an upright RGB image, or raises a PhotoError with a one-line reason.

A file is read completely (its bytes are hashed anyway) and then decoded from memory. So reading from a slow disk can
overlap with decoding, and a pipe or device that is named like a photo can never block.
"""

import errno
import hashlib
import os
import stat
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from threading import Lock

from PIL import Image

from searcher.photos.colour import to_rgb, to_srgb
from searcher.photos.embedded import read_metadata
from searcher.photos.errors import PhotoError as PhotoError
from searcher.photos.errors import Unavailable as Unavailable
from searcher.photos.exif import read_orientation
from searcher.photos.jpeg import ends_in_zeros, with_end
from searcher.photos.limits import MAX_PIXELS
from searcher.photos.metadata import NOTHING, Metadata
from searcher.photos.opening import COVERED, open_image, why
from searcher.photos.raw import RawFile, open_raw
from searcher.photos.raw_head import RawExif, RawKind, is_cut_off, raw_kind

MAX_BYTES = 256 * 2**20
"""Largest file that is read. A 200-megapixel JPEG has about 80 MB, and a 40-megapixel 16-bit TIFF has 240 MB."""

MAX_DECODED_PIXELS = 100_000_000
"""Largest image that is decoded at full size with `min_side`. Decoding takes up to 7 bytes per pixel. A larger JPEG
is decoded at a reduced scale."""

MAX_FULL_SIZE_PIXELS = 80_000_000
"""Largest image that is decoded without `min_side`. It takes up to 9 bytes per pixel, because the result is as large
as the image."""

MAX_WEBP_PIXELS = 40_000_000
"""Largest WebP image that is decoded. Its decoder holds four copies of the image, which take 16 bytes per pixel."""

MAX_HEIF_PIXELS = 75_000_000
"""Largest HEIC or AVIF image that is decoded. Their decoders hold several copies, which take 7 to 9 bytes per pixel."""

MAX_JPEG_2000_PIXELS = 35_000_000
"""Largest JPEG 2000 image that is decoded, after it was halved as often as possible. It takes 19 bytes per pixel."""

MAX_LINEAR_RAW_PIXELS = 35_000_000
"""Largest raw image with three colours per pixel that is developed. It takes 17 bytes per pixel."""

ENOUGH_RAW_PIXELS = 1000
"""A preview of a raw file whose shorter side has so many pixels is used, whatever `min_side` is. Developing a raw image
takes seconds."""

LARGE_PIXELS = 25_000_000
"""Images with more decoded pixels than this are decoded one at a time, to limit the memory that all threads use."""

MARGIN = 2
"""The shorter side of a reduced image is at least this many times `min_side`.

Measured on 241 JPEGs of 0.1 to 18 megapixels with the built-in model (`benchmarks/embeddings.py`): with 2, the
embedding has a mean cosine of 0.9998 to that of a full decode (least 0.996). With 1 it has 0.998 (0.982), and decoding,
resizing and measuring take 9 ms of CPU time instead of 15 for a photo of 1.5 megapixels, and 26 instead of 33 for one
of 12. The pixels of a photo of 12 megapixels, reduced to 224, differ from a full decode by 0.15 to 0.33 of 255 on
average (at most 4) with 2, and by up to 1.3 (at most 18) with 1.
"""

DIGEST_BYTES = 16

# MPO is a JPEG followed by more images. Phones and 3-D cameras write it.
_FORMAT_NAMES = {"MPO": "JPEG", "JPEG2000": "JPEG 2000", "JXL": "JPEG XL", "PPM": "PNM"}

_REDUCING_GAP = 2  # images are reduced in whole steps to this many times the final size, and then resized
_BAND_ROWS = 32  # reduced rows
_TAIL = 256  # bytes at the end of a preview

_large_pictures: AbstractContextManager[object] = Lock()  # held while a large picture is decoded

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What a file says about its photo.

    width, height: size of the upright original in pixels.
    format: "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "JPEG 2000", "JPEG XL", "PNM", "ICO", or the
    kind of a camera raw file, such as "NEF".
    metadata: date, camera, place, keywords …
    """

    width: int
    height: int
    format: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class DecodedPhoto(PhotoFacts):
    """A decoded photo.

    image: upright, mode RGB, in sRGB. It may be smaller than the original if `min_side` was given, or if the file is a
    camera raw file: then it may be the preview.
    """

    image: Image.Image

    @property
    def facts(self) -> PhotoFacts:
        """The photo without its pixels."""
        return PhotoFacts(self.width, self.height, self.format, self.metadata)


def read_bytes(path: bytes) -> bytes:
    """Read a whole file.

    Raises Unavailable if it is missing or unreadable, and PhotoError if it is empty, too large or not a regular file.
    """
    try:
        # O_NONBLOCK: without it, opening a FIFO that has no writer blocks forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):  # fdopen refuses a folder, and leaves it open
            os.close(descriptor)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(status.st_mode):
                raise PhotoError("not a regular file")
            if status.st_size > MAX_BYTES:
                raise PhotoError(_too_many_bytes(status.st_size))
            data = file.readall()
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot even be opened
            raise PhotoError("not a regular file") from error
        raise Unavailable(error.strerror or "unknown read error") from error
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


def decode(data: bytes, min_side: int | None = None) -> DecodedPhoto:
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
        raise why(error, data) from error


def hold_for_large_pictures(lock: AbstractContextManager[object]) -> None:
    """Hold `lock` while a large picture is decoded, instead of one that only the threads of this process share."""
    global _large_pictures
    _large_pictures = lock


def upright_rgb(image: Image.Image) -> Image.Image:
    """Convert an image that the caller opened to upright RGB. Its colours are assumed to be sRGB."""
    image.load()
    method = _UPRIGHT.get(read_orientation(image))
    picture = image if image.mode == "RGB" else to_rgb(image)
    return picture if method is None else picture.transpose(method)


def _decode(data: bytes, min_side: int | None) -> DecodedPhoto:
    kind = raw_kind(data)
    if kind is not None:
        with open_raw(data, kind) as raw:
            return _decode_raw(raw, data, kind, min_side)
    image = open_image(data)
    width, height = image.size
    picture, image = _picture(image, data, min_side)
    metadata, orientation = read_metadata(image), read_orientation(image)
    picture = _turned(picture, orientation)
    if orientation >= 5:
        width, height = height, width
    kind_name = _FORMAT_NAMES.get(image.format or "", image.format or "")
    return DecodedPhoto(width, height, kind_name, metadata, picture)


def _picture(image: Image.Image, data: bytes, min_side: int | None) -> tuple[Image.Image, Image.Image]:
    """The pixels of an open image, RGB in sRGB but not turned upright, and the image that was loaded for them."""
    if image.width * image.height > MAX_PIXELS:
        raise PhotoError(_too_many_pixels(image.size, MAX_PIXELS))
    width, height = image.size
    progressive = bool(image.info.get("progressive"))
    box = _draft(image, min_side)
    # the decoder of a progressive JPEG holds all coefficients at any output scale
    pixels = width * height if progressive else image.width * image.height
    with _large_pictures if pixels > LARGE_PIXELS else nullcontext():
        image = _loaded(image, data, min_side)
        picture = _on_canvas(image) if min_side is None else _reduced(image, box, min_side * MARGIN)
        return to_srgb(picture, image), image


def _decode_raw(raw: RawFile, data: bytes, kind: RawKind, min_side: int | None) -> DecodedPhoto:
    """The preview of a raw file if it is large enough, or else its image. A small preview is better than nothing."""
    least = min(min(raw.size) // 2, ENOUGH_RAW_PIXELS, ENOUGH_RAW_PIXELS if min_side is None else min_side * MARGIN)
    is_whole = kind.tiff and not is_cut_off(data)  # of other kinds, it is not known
    stored = raw.preview()
    if not is_whole and not (isinstance(stored, bytes) and stored[-_TAIL:] in data):
        stored = None  # LibRaw fills up a preview that is cut off with whatever is in memory
    picture, metadata = None, NOTHING
    if stored is not None:
        with suppress(PhotoError):
            preview, size, picture = _preview(stored, raw, min_side)
            metadata = read_metadata(preview)
    if picture is None or min(size) < least:
        try:
            picture = _developed(raw, is_whole, kind, min_side)
        except PhotoError:
            if picture is None:
                raise
    if kind.tiff:
        metadata = read_metadata(RawExif(data)).over(metadata)
    width, height = raw.size if raw.orientation < 5 else raw.size[::-1]
    return DecodedPhoto(width, height, kind.name, metadata, picture)


def _preview(
    stored: bytes | Image.Image, raw: RawFile, min_side: int | None
) -> tuple[Image.Image, tuple[int, int], Image.Image]:
    """The opened preview, its size, and its upright picture. Raises PhotoError."""
    try:
        image, data = (open_image(stored), stored) if isinstance(stored, bytes) else (stored, b"")
        size = image.size
        picture, image = _picture(image, data, min_side)
    except Exception as error:
        raise why(error, b"") from error
    if raw.orientation < 5:
        return image, size, _turned(picture, read_orientation(image) if isinstance(stored, bytes) else raw.orientation)
    # some programs turn the preview before they store it
    is_turned = (picture.width < picture.height) != (raw.size[0] < raw.size[1])
    return image, size, picture if is_turned else _turned(picture, raw.orientation)


def _developed(raw: RawFile, is_whole: bool, kind: RawKind, min_side: int | None) -> Image.Image:
    if kind.tiff and not is_whole:
        raise PhotoError("truncated: the file ends before the image is complete")
    limit = MAX_LINEAR_RAW_PIXELS if kind.linear else MAX_DECODED_PIXELS
    if raw.size[0] * raw.size[1] > limit:
        raise PhotoError(_too_many_pixels(raw.size, limit))
    with _large_pictures if raw.size[0] * raw.size[1] > LARGE_PIXELS else nullcontext():
        image = raw.develop()
    if min_side is not None:
        image = _reduced(image, (0, 0, *image.size), min_side * MARGIN)
    return _turned(image, raw.orientation)


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _draft(image: Image.Image, min_side: int | None) -> tuple[float, float, float, float]:
    """Let a JPEG be decoded at a reduced scale. Returns the part of the decoded image that the original covers.

    Raises PhotoError if the image is too large to be decoded.
    """
    box = (0.0, 0.0, float(image.width), float(image.height))
    if min_side is not None:
        _, box = image.draft(None, (min_side * MARGIN, min_side * MARGIN)) or (None, box)
    limit = MAX_DECODED_PIXELS if min_side is not None else min(MAX_DECODED_PIXELS, MAX_FULL_SIZE_PIXELS)
    if image.format == "WEBP":
        limit = min(limit, MAX_WEBP_PIXELS)
    elif image.format in ("HEIF", "AVIF"):
        limit = min(limit, MAX_HEIF_PIXELS)
    elif image.format == "JPEG2000":
        limit = min(limit, MAX_JPEG_2000_PIXELS)
    if image.width * image.height > limit:
        raise PhotoError(_too_many_pixels(image.size, limit))
    return box


def _loaded(image: Image.Image, data: bytes, min_side: int | None) -> Image.Image:
    """Decode the pixels. For TIFF, Pillow also turns the image upright and resets its orientation."""
    is_jpeg = image.format in ("JPEG", "MPO")
    try:
        if is_jpeg and ends_in_zeros(data):
            raise OSError("truncated")
        image.load()
    except OSError as error:
        if not is_jpeg or "truncated" not in str(error):
            raise
        complete = with_end(data, _opened_for_check)
        if complete is None:
            raise
        image = open_image(complete)
        _draft(image, min_side)
        image.load()
    return image


def _opened_for_check(data: bytes) -> Image.Image:
    image = open_image(data)
    if image.width * image.height > MAX_DECODED_PIXELS:
        image.draft(None, (image.width // 2, image.height // 2))
    return image


def _on_canvas(image: Image.Image) -> Image.Image:
    """Convert a loaded image to RGB. What the first frame of a GIF does not cover is white, as in a browser."""
    picture = to_rgb(image)
    covered = image.info.get(COVERED)
    if covered is None:
        return picture
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture.crop(covered), covered)
    return canvas


def _reduced(image: Image.Image, box: tuple[float, float, float, float], shorter_side: int) -> Image.Image:
    """Convert a loaded image to RGB whose shorter side is `shorter_side`, if it is at least twice as large as that.

    box: the part of `image` that the original covers, in fractions of a pixel. A reduced JPEG whose size is not a
    multiple of 8 ends in a partial pixel. Treating that as a whole pixel would distort the image.
    """
    width, height = box[2], box[3]
    scale = shorter_side / min(width, height)
    if scale > 0.5:
        scale = 1
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    factor = int(1 / scale / _REDUCING_GAP)
    if factor > 1 and image.width * image.height > LARGE_PIXELS and COVERED not in image.info:
        picture = _in_bands(image, factor)
        box = (0, 0, width / factor, height / factor)
    else:
        picture = _on_canvas(image)
    if size == picture.size and box == (0, 0, *size):
        return picture
    return picture.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=_REDUCING_GAP)


def _in_bands(image: Image.Image, factor: int) -> Image.Image:
    """Convert a large image to RGB that is smaller by `factor`, without another image of the full size in memory."""
    picture = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for row in range(0, picture.height, _BAND_ROWS):
        top = row * factor
        band = image.crop((0, top, image.width, min(top + _BAND_ROWS * factor, image.height)))
        picture.paste(_on_canvas(band).reduce(factor), (0, row))
    return picture


def _too_many_bytes(size: int) -> str:
    return f"too large: {size / 2**20:,.0f} MiB (the limit is {MAX_BYTES / 2**20:,.0f} MiB)"


def _too_many_pixels(size: tuple[int, int], limit: int) -> str:
    return f"too large: {size[0]} × {size[1]} pixels (the limit is {limit / 1e6:,.0f} million)"
