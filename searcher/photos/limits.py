"""Limits that are checked in the headers of a file, before anything is decoded.

Decoders trust what a header says. A file of a few megabytes can ask for gigabytes of memory, or for hours of time.
The limits are far above those of any photo.
"""

import struct

from searcher.photos.errors import PhotoError

MAX_PIXELS = 256_000_000
"""Largest image that is opened. Phones take photos of 200 megapixels. Anything larger is a mistake or an attack."""

MAX_JPEG_SEGMENTS = 1000
"""Segments of a JPEG before its pixels. Metadata and a depth map take some dozens. Pillow reads each in Python."""

MAX_JPEG_SCANS = 100
"""Scans of a JPEG. Each is a pass over all pixels. A progressive JPEG usually has ten."""

MAX_JPEG_COEFFICIENT_BYTES = 600_000_000
"""Memory for the coefficients of a JPEG with several scans. The decoder holds all of them at any output scale."""

MAX_PNG_CHUNKS = 200_000
"""Chunks of a PNG. A picture of 256 MiB in chunks of 8 KiB has 32,768."""

MAX_PNG_UNPACKED_BYTES = 16 * 2**20
"""The unpacked size of a colour profile or a text of a PNG. A larger one is ignored."""

MAX_TIFF_TAGS = 4096
"""Tags of a TIFF directory."""

MAX_TIFF_BLOCKS = 400_000
"""Strips or tiles of a TIFF. A picture of 100 million pixels in tiles of 16 × 16 has 390,625."""

MAX_TIFF_BLOCK_BYTES = 240 * 2**20
"""The unpacked size of a compressed strip or tile of a TIFF. It is in memory at least twice."""

MAX_TIFF_BYTES = 800 * 2**20
"""The unpacked size of all pixels of a TIFF. 100 million pixels of 16-bit RGBA have 763 MiB."""

MAX_TIFF_IMAGE_BYTES = 700_000_000
"""Memory for the pixels of a TIFF that Pillow cannot read. RGB takes 7 bytes per pixel."""

MAX_RUN_LENGTH_PIXELS = 4_000_000
"""Pixels of a run-length encoded BMP. Pillow decodes it in Python."""

_SOI, _SOS, _EOI = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PROGRESSIVE = (0xC2, 0xCA)
_BMP_RUN_LENGTH = (1, 2)


def check_header(data: bytes) -> None:
    """Raise PhotoError if the header of a JPEG or BMP asks for too much. Other formats are checked as they are read."""
    if data.startswith(_SOI):
        _check_jpeg(data)
    elif data.startswith(b"BM"):
        _check_bmp(data)


def _check_jpeg(data: bytes) -> None:
    position, frame = 2, b""
    for _ in range(MAX_JPEG_SEGMENTS):
        if data[position : position + 1] != b"\xff" or position + 4 > len(data):
            return  # for the decoder to report
        marker = data[position + 1]
        if marker == _SOS[1]:
            if frame and (frame[1] in _PROGRESSIVE or data[position + 4] != frame[9]):
                _check_scans(data, position, frame)
            return
        length = int.from_bytes(data[position + 2 : position + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = data[position : position + 2 + length]
            if len(frame) < 10 + 3 * (frame[9] if len(frame) > 9 else 0):
                return
        if marker == 0xFF:
            position += 1
        elif marker == 1 or 0xD0 <= marker <= 0xD9:
            position += 2
        else:
            position += 2 + length
    raise PhotoError(f"too large: more than {MAX_JPEG_SEGMENTS:,} segments before the pixels of a JPEG")


def _check_scans(data: bytes, start: int, frame: bytes) -> None:
    """start: of the first scan. frame: the frame header with its marker."""
    end = data.find(_EOI, start)
    if data.count(_SOS, start, end if end >= 0 else len(data)) > MAX_JPEG_SCANS:
        raise PhotoError(f"too large: a JPEG of more than {MAX_JPEG_SCANS:,} scans")
    height, width = struct.unpack_from(">HH", frame, 5)
    factors = [(factor >> 4, factor & 15) for factor in frame[11 : 11 + 3 * frame[9] : 3]]
    largest = max(1, max(across for across, _ in factors) * max(down for _, down in factors))
    size = 2 * width * height * sum(across * down for across, down in factors) / largest
    if size > MAX_JPEG_COEFFICIENT_BYTES:
        limit = f"the limit is {MAX_JPEG_COEFFICIENT_BYTES / 1e6:,.0f} MB"
        raise PhotoError(
            f"too large: JPEG of {width} × {height} pixels in several scans takes {size / 1e6:,.0f} MB ({limit})"
        )


def _check_bmp(data: bytes) -> None:
    if len(data) < 34 or int.from_bytes(data[14:18], "little") < 40:
        return
    width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in _BMP_RUN_LENGTH and abs(width * height) > MAX_RUN_LENGTH_PIXELS:
        limit = f"the limit is {MAX_RUN_LENGTH_PIXELS / 1e6:,.0f} million"
        raise PhotoError(f"too large: run-length encoded BMP of {width} × {abs(height)} pixels ({limit})")
