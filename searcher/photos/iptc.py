"""Reads IPTC-IIM: keywords, caption and date in the form that programs wrote before XMP."""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from searcher.photos.metadata import NOTHING, Metadata, description, keywords, moment

if TYPE_CHECKING:
    from PIL import Image

_RESOURCE = 0x0404  # of Photoshop's blocks in a JPEG
_TIFF_TAG = 33723
_CHARSET, _KEYWORD, _DATE, _TIME, _CAPTION = (1, 90), (2, 25), (2, 55), (2, 60), (2, 120)
_MAX_SETS = 10_000
_LATIN = ("utf-8", "latin-1")  # UTF-8 first: text in another encoding is hardly ever valid UTF-8


def read_iptc(image: "Image.Image") -> Metadata:
    """Read the IPTC block of an open image. Never raises. A missing or invalid field is None."""
    try:
        return parse_iptc(_block(image))
    except Exception:  # as in `exif`: nothing in a block may fail a photo
        return NOTHING


def parse_iptc(block: bytes) -> Metadata:
    """Read an IPTC block."""
    found: dict[tuple[int, int], list[bytes]] = {}
    for number, value in _data_sets(block):
        found.setdefault(number, []).append(value)

    def first(number: tuple[int, int]) -> str:
        return _decoded(found.get(number, [b""])[0])

    date, time = first(_DATE), first(_TIME)
    # CCYYMMDD and HHMMSS±HHMM
    taken_at, offset = moment(f"{date[:4]}-{date[4:6]}-{date[6:8]}T{time[:2]}:{time[2:4]}:{time[4:6]}{time[6:11]}")
    if taken_at is None:
        taken_at, offset = moment(f"{date[:4]}-{date[4:6]}-{date[6:8]}")
    return Metadata(
        taken_at=taken_at,
        taken_offset=offset,
        description=description(first(_CAPTION)),
        keywords=keywords([_decoded(value)] for value in found.get(_KEYWORD, [])),
    )


def _block(image: "Image.Image") -> bytes:
    blocks: Any = image.info.get("photoshop")
    if isinstance(blocks, dict) and isinstance(blocks.get(_RESOURCE), bytes):
        return bytes(blocks[_RESOURCE])
    if image.format != "TIFF":
        return b""
    tags: Any = getattr(image, "tag_v2", None) or image.getexif()
    value = tags.get(_TIFF_TAG, b"")
    if isinstance(value, tuple):  # Photoshop says that these bytes are 32-bit numbers
        order = ">" if getattr(tags, "prefix", b"II") == b"MM" or getattr(tags, "endian", "<") == ">" else "<"
        return struct.pack(f"{order}{len(value)}I", *value)
    return value if isinstance(value, bytes) else b""


def _data_sets(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """The number (record, data set) and value of each data set, up to the first that is not one."""
    position = 0
    for _ in range(_MAX_SETS):
        if position + 5 > len(block) or block[position] != 0x1C:
            return
        size = int.from_bytes(block[position + 3 : position + 5])
        start = position + 5
        if size & 0x8000:  # the size is in so many bytes that follow
            width = size & 0x7FFF
            if width > 4:
                return
            size = int.from_bytes(block[start : start + width])
            start += width
        yield (block[position + 1], block[position + 2]), block[start : start + size]
        position = start + size


def _decoded(value: bytes) -> str:
    """The text of a value. Few files say its encoding, and some say a wrong one."""
    try:
        return value.decode(_LATIN[0])
    except UnicodeDecodeError:
        return value.decode(_LATIN[1])
