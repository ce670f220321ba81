"""JPEG files without an end marker: which of them still have all their pixels.

Pillow refuses a file that lacks its last two bytes. libjpeg shows it, but also shows a file that is cut in the middle,
and fills the rest with grey. To tell them apart, the file is decoded with different bytes at its end. If the pixels
depend on these bytes, the file was cut.
"""

import zlib
from collections.abc import Callable, Iterator

from PIL import Image

EOI = b"\xff\xd9"

_SOS = 0xDA
_FILLINGS = (b"", b"\x55" * 64, b"\x9a\x3c" * 32)  # none has 0xFF, which would begin a marker
_ROWS = 64
_ZEROS = 2  # so many at the end may be coded pixels
_MANY_ZEROS = bytes(64)


def with_end(data: bytes, opened: Callable[[bytes], Image.Image]) -> bytes | None:
    """The file with an end marker, if it has all its pixels. None if it does not.

    opened: opens a JPEG file, and reduces it if it is too large to be decoded at full size.
    """
    stem = _without_padding(data)
    if not _has_all_scans(stem):
        return None
    checksums = set()
    for filling in _FILLINGS:
        try:
            checksums.add(_checksum(opened(stem + filling + EOI)))
        except (OSError, SyntaxError):
            return None
    return stem + EOI if len(checksums) == 1 else None


def ends_in_zeros(data: bytes) -> bool:
    """Whether a JPEG ends in many zeros that do not follow its end marker, as an incomplete copy may do."""
    return data.endswith(_MANY_ZEROS) and not data.rstrip(b"\0").endswith(EOI)


def _without_padding(data: bytes) -> bytes:
    """The file up to its last coded byte. An incomplete download may end in many zeros, which would decode to grey."""
    stem = data.rstrip(b"\0")
    if len(data) - len(stem) <= _ZEROS:
        stem = data
    elif stem.endswith(b"\xff"):
        stem += b"\0"  # 0xFF in coded pixels is followed by a zero
    return stem.rstrip(b"\xff")


def _checksum(image: Image.Image) -> int:
    """Of all pixels. In bands, because the bytes of a large picture would take as much memory again."""
    image.load()
    checksum = 0
    for top in range(0, image.height, _ROWS):
        band = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        checksum = zlib.crc32(band.tobytes(), checksum)
    return checksum


def _has_all_scans(data: bytes) -> bool:
    """Whether the scans of a JPEG cover all components, and all bits of all coefficients."""
    components: set[int] = set()
    missing: dict[tuple[int, int], int] = {}  # (component, coefficient) → bits that are still to come
    progressive = False
    for marker, body in _segments(data):
        if marker in (0xC0, 0xC1, 0xC2):
            progressive = marker == 0xC2
            components = set(body[6::3])
            missing = {(number, part): 1 for number in components for part in range(64 if progressive else 1)}
        elif marker == _SOS and body:
            count = body[0]
            spectral = body[1 + 2 * count : 4 + 2 * count]
            if len(spectral) < 3:
                return False
            first, last, bits = spectral[0], spectral[1], spectral[2] & 15
            for number in body[1 : 1 + 2 * count : 2]:
                for part in range(first, min(last, 63) + 1) if progressive else (0,):
                    missing[number, part] = bits if progressive else 0
    return bool(components) and not any(missing.values())


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The marker and the content of each segment. The coded pixels after a scan header are skipped."""
    position = 2
    while 0 <= position < len(data) - 3:
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:
            position += 1
            continue
        if marker in (0, 1) or 0xD0 <= marker <= 0xD9:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4])
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length
        if marker == _SOS:
            position = _end_of_scan(data, position)


def _end_of_scan(data: bytes, position: int) -> int:
    """The next marker that is not a restart marker or a stuffed 0xFF."""
    position = data.find(b"\xff", position)
    while 0 <= position < len(data) - 1:
        following = data[position + 1]
        if following and not 0xD0 <= following <= 0xD7 and following != 0xFF:
            return position
        position = data.find(b"\xff", position + 1)
    return len(data)
