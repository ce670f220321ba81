"""Recognises camera raw files, and reads their EXIF data. The pixels are for `raw`."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from searcher.photos.exif import MAKE
from searcher.photos.limits import MAX_TIFF_TAGS
from searcher.photos.samples import Numbers

_STARTS = (
    (b"II*\0\x10\0\0\0CR", "CR2"),
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
    (b"MMOR", "ORF"),
    (b"IIU\0", "RW2"),
    (b"II\x1a\0\0\0HEAPCCDR", "CRW"),
    (b"\0MRM", "MRW"),
    (b"FOVb", "X3F"),
)
_TIFFS = ("CR2", "ORF", "RW2")  # those of them that have the structure of a TIFF
_BY_MAKER = {"NIKON": "NEF", "SONY": "ARW", "PENTAX": "PEF", "RICOH": "PEF", "SAMSUNG": "SRW"}

_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 262, 330, 50706
_STRIPS, _STRIP_SIZES, _RAW_PLACE, _TILES, _TILE_SIZES = 273, 279, 280, 324, 325
# Panasonic has a tag of its own for where the raw image is, and no number in the usual one.
_PARTS = ((_RAW_PLACE, _STRIP_SIZES), (_STRIPS, _STRIP_SIZES), (_TILES, _TILE_SIZES))
_NEEDED = (_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION, *(tag for pair in _PARTS for tag in pair))
_MOSAIC, _LINEAR = 32803, 34892  # values of the tag PhotometricInterpretation, for raw images only
_MAX_DIRECTORIES = 20
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4"}
_NOTHING: Numbers = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class RawKind:
    """name: what such files are called, such as "NEF". tiff: whether the file has the structure of a TIFF. linear:
    whether each pixel has all its colours already, so that half of the size takes as much memory as all of it.
    """

    name: str
    tiff: bool
    linear: bool = False


def raw_kind(data: bytes) -> RawKind | None:
    """The kind of camera raw file, or None for any other file."""
    if data[4:12] == b"ftypcrx ":
        return RawKind("CR3", tiff=False)
    if data[:4] == b"II*\0" and data[8:12] == b"IIII":
        return RawKind("IIQ", tiff=True)
    for start, name in _STARTS:
        if data.startswith(start):
            return RawKind(name, tiff=name in _TIFFS)
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    try:
        directories = list(_directories(data))
    except (struct.error, ValueError):
        return None
    kinds = {int(directory[_PHOTOMETRIC][0]) for directory in directories if _PHOTOMETRIC in directory}
    if not directories or not ({_MOSAIC, _LINEAR} & kinds):
        return None
    linear = _MOSAIC not in kinds
    if _DNG_VERSION in directories[0]:
        return RawKind("DNG", tiff=True, linear=linear)
    return RawKind(_BY_MAKER.get(_maker(data), "RAW"), tiff=True, linear=linear)


def is_cut_off(data: bytes) -> bool:
    """Whether a raw file that has the structure of a TIFF lacks a part of its images. LibRaw would show noise there."""
    for directory in _directories(data):
        for places, sizes in _PARTS[:1] if _RAW_PLACE in directory else _PARTS[1:]:
            offsets, counts = directory.get(places, _NOTHING), directory.get(sizes, _NOTHING)
            number = min(len(offsets), len(counts))
            if number and int((offsets[:number].astype(np.int64) + counts[:number]).max()) > len(data):
                return True
    return False


class RawExif(Image.Image):
    """The metadata of a raw file that has the structure of a TIFF, as that of an image."""

    format = "TIFF"  # its XMP and IPTC data are where a TIFF has them

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def getexif(self) -> Image.Exif:
        """The metadata of the file."""
        exif = Image.Exif()
        exif.endian = "<" if self._data[:2] == b"II" else ">"
        (offset,) = struct.unpack_from(exif.endian + "I", self._data, 4)
        exif.load_from_fp(BytesIO(self._data), offset)
        return exif


def _maker(data: bytes) -> str:
    try:
        words = str(RawExif(data).getexif().get(MAKE)).upper().split()
    except Exception:  # as in `exif`: Pillow's parser raises almost anything for invalid data
        return ""
    return words[0] if words else ""


def _directories(data: bytes) -> Iterator[dict[int, Numbers]]:
    """The values of those tags that matter, of each directory and those below it. The first one comes first."""
    order = "<" if data[:2] == b"II" else ">"
    waiting = list(struct.unpack_from(order + "I", data, 4))
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = int(waiting.pop(0))
        if not offset or offset in seen or offset + 2 > len(data):
            continue
        seen.add(offset)
        (count,) = struct.unpack_from(order + "H", data, offset)
        if count > MAX_TIFF_TAGS:
            continue
        tags = _tags(data, order, offset, count)
        yield tags
        waiting += tags.get(_SUB_DIRECTORIES, _NOTHING)[:_MAX_DIRECTORIES].tolist()
        after = offset + 2 + 12 * count
        if after + 4 <= len(data):
            waiting += struct.unpack_from(order + "I", data, after)


def _tags(data: bytes, order: str, offset: int, count: int) -> dict[int, Numbers]:
    tags: dict[int, Numbers] = {}
    for at in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, at)
        if tag not in _NEEDED or tag in tags or kind not in _INTEGERS or not number:
            continue
        integer, place = np.dtype(order + _INTEGERS[kind]), at + 8
        if integer.itemsize * number > 4:
            (place,) = struct.unpack_from(order + "I", data, place)
        if place + integer.itemsize * number <= len(data):
            tags[tag] = np.frombuffer(data, integer, number, place)
    return tags
