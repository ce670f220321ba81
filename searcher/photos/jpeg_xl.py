"""JPEG XL files, which the package pillow-jxl-plugin reads (the extra `jxl`).

It decodes a file when it opens it, so the size is read here before that.
"""

from io import BytesIO

from PIL import Image

from searcher.photos.errors import PhotoError, Unsupported
from searcher.photos.exif import ORIENTATION
from searcher.photos.heif import boxes

SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
"""How a file begins: as a bare codestream, or with boxes around it."""

MAX_PIXELS = 50_000_000
"""Largest image that is decoded. It takes up to 13 bytes per pixel."""

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_LENGTHS = (9, 13, 18, 30)  # bits of a side


def open_jpeg_xl(data: bytes) -> Image.Image:
    """Open and decode a JPEG XL file. Raises PhotoError."""
    try:
        from pillow_jxl import JpegXLImagePlugin
    except ImportError:
        raise Unsupported("JPEG XL; to read it, run: pip install 'searcher[jxl]'") from None
    width, height = _size(_codestream(data))
    if width * height > MAX_PIXELS:
        raise PhotoError(f"too large: {width} × {height} pixels (the limit is {MAX_PIXELS / 1e6:,.0f} million)")
    JpegXLImagePlugin.DECODE_THREADS = 0  # other photos are decoded meanwhile
    try:
        image: Image.Image = JpegXLImagePlugin.JXLImageFile(BytesIO(data))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of its Rust code is no Exception
        raise PhotoError("damaged: the pixels cannot be decoded") from error
    if not image.jpeg:  # type: ignore[attr-defined]  # not a JPEG that was packed without a loss
        image.getexif()[ORIENTATION] = 1  # the decoder has turned it, as the image says, and the standard ignores EXIF
        for kind, body in boxes(memoryview(data)):
            if kind == b"xml ":
                image.info["xmp"] = bytes(body)
    return image


def _codestream(data: bytes) -> bytes:
    """The beginning of the coded image, from its signature on."""
    if data.startswith(SIGNATURES[0]):
        return data[:32]
    for kind, body in boxes(memoryview(data)):
        if kind in (b"jxlc", b"jxlp"):
            return bytes(body[0 if kind == b"jxlc" else 4 :][:32])
    raise PhotoError("damaged: a JPEG XL file without an image")


def _size(codestream: bytes) -> tuple[int, int]:
    """Width and height: the SizeHeader of ISO/IEC 18181-1, in bits from the lowest on, after the signature."""
    bits = int.from_bytes(codestream[2:], "little")

    def take(number: int) -> int:
        nonlocal bits
        value = bits & ((1 << number) - 1)
        bits >>= number
        return value

    small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if small else take(_LENGTHS[take(2)]) + 1

    height = side()
    ratio = take(3)
    if ratio == 0:
        return side(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height
