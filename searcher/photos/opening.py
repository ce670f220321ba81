"""Opens the bytes of a file as an image, and says what is wrong if that fails. Nothing is printed."""

import ctypes
import logging
import warnings
from contextlib import suppress
from functools import cache
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from searcher.photos.errors import PhotoError, Unsupported
from searcher.photos.exif import ORIENTATION
from searcher.photos.heif import orientation_from_exif
from searcher.photos.icon import SIGNATURE as ICON_SIGNATURE
from searcher.photos.icon import largest_icon
from searcher.photos.jpeg2000 import SIGNATURES as JPEG_2000_SIGNATURES
from searcher.photos.jpeg2000 import Jpeg2000Image
from searcher.photos.jpeg_xl import SIGNATURES as JPEG_XL_SIGNATURES
from searcher.photos.jpeg_xl import open_jpeg_xl
from searcher.photos.kinds import unsupported_kind
from searcher.photos.limits import MAX_PIXELS, check_header
from searcher.photos.png import SIGNATURE, read_chunks
from searcher.photos.pnm import PnmImage, is_pnm
from searcher.photos.tiff import TiffImage, describe, needs_own_reader, usual_compression
from searcher.photos.tiff_header import read_layout

# Only these formats: Pillow supports fifty. Some of them start other programs (EPS) or are not photos.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
_FTYP_FORMATS = ("AVIF", "HEIF")

COVERED = "covered"
"""Key of `image.info`: the part of a GIF that its first frame covers, if not all."""


def open_image(data: bytes) -> Image.Image:
    """Open an image without decoding its pixels. Raises PhotoError, or any other error if the header is invalid."""
    prepare_pillow()
    if data.startswith(SIGNATURE):
        return _open_png(data)
    if data[4:8] == b"ftyp":  # ISO base media: HEIC and AVIF
        return _open_heif(data)
    if data[:2] in (b"II", b"MM"):
        return _open_tiff(data)
    if data.startswith(JPEG_2000_SIGNATURES):
        return Jpeg2000Image(data)
    if data.startswith(JPEG_XL_SIGNATURES):
        return open_jpeg_xl(data)
    if data.startswith(ICON_SIGNATURE):
        return _open_icon(data)
    if is_pnm(data):
        return PnmImage(data)
    check_header(data)
    image = Image.open(BytesIO(data), formats=_FORMATS)
    if image.format == "GIF" and image.tile and image.tile[0].extents != (0, 0, *image.size):
        image.info[COVERED] = image.tile[0].extents
    return image


def _open_png(data: bytes) -> Image.Image:
    parts = read_chunks(data)
    image = Image.open(parts.picture, formats=("PNG",))
    image.info.update(parts.info)
    return image


def _open_icon(data: bytes) -> Image.Image:
    icon = largest_icon(data)
    image = _open_png(icon) if icon.startswith(SIGNATURE) else Image.open(BytesIO(icon), formats=("ICO",))
    image.format = "ICO"
    return image


def _open_heif(data: bytes) -> Image.Image:
    _register_heif()
    image = Image.open(BytesIO(data), formats=_FTYP_FORMATS)
    orientation = orientation_from_exif(data)
    if orientation != 1:
        image.getexif()[ORIENTATION] = orientation
    return image


def _open_tiff(data: bytes) -> Image.Image:
    layout = read_layout(data)
    if layout is not None and needs_own_reader(layout):
        return TiffImage(data, layout)
    return Image.open(BytesIO(data), formats=("TIFF",))


@cache
def prepare_pillow() -> None:
    """Raise Pillow's limit of pixels to ours, and hide what it would print."""
    # Pillow rejects images above 179 megapixels, but some phones make them. This never lowers or removes its limit.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS)
    # Errors are reported by the PhotoError, and the rest is harmless ("Corrupt EXIF data").
    for category in (UserWarning, RuntimeWarning):
        warnings.filterwarnings("ignore", category=category, module=r"PIL\.")
    # Pillow logs some errors that it also raises. Without any handler, logging would print them.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # libtiff writes its errors to stderr. Pillow raises an error for each, but turns off only the warnings.
    with suppress(OSError, AttributeError, TypeError):  # another build of Pillow may hide libtiff's functions
        library = ctypes.CDLL(Image.core.__file__)  # type: ignore[attr-defined]
        library.TIFFSetErrorHandler.restype = ctypes.c_void_p
        library.TIFFSetErrorHandler(None)


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def why(error: Exception, data: bytes) -> PhotoError:
    """What is wrong with a file whose decoding raised `error`."""
    if isinstance(error, PhotoError):
        return error
    if isinstance(error, MemoryError):
        return PhotoError("not enough memory to decode it")
    if isinstance(error, Image.DecompressionBombError):
        return PhotoError(f"too large: more than {MAX_PIXELS / 1e6:,.0f} million pixels")
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return PhotoError("truncated: the file ends before the image is complete")
    kind = _unsupported_tiff(error, data) if data[:2] in (b"II", b"MM") else None
    kind = kind or unsupported_kind(data)
    if kind:
        return Unsupported(kind)
    if isinstance(error, UnidentifiedImageError):
        return PhotoError("not an image, or the start of the file is damaged")
    if text.lower().startswith(("unsupported", "not supported")):
        return Unsupported(text)
    if text.startswith(("decoder error", "broken data stream", "unrecognized data stream")):
        return PhotoError("damaged: the pixels cannot be decoded")
    return PhotoError(f"damaged: {text or type(error).__name__}"[:200])


def _unsupported_tiff(error: Exception, data: bytes) -> str | None:
    """A TIFF that Pillow cannot open, although its directory is valid, or whose compression libtiff does not know."""
    layout = read_layout(data)
    if layout is None:
        return None
    sound = isinstance(error, UnidentifiedImageError | KeyError) or not usual_compression(layout)
    return describe(layout) if sound else None
