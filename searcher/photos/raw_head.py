"""Recognises camera raw files, and reads their EXIF data. The pixels are for `raw`."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from searcher.photos.exif import MAKE
from searcher.photos.limits import MAX_TIFF_TAGS

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
_MOSAIC, _LINEAR = 32803, 34892  # values of the tag PhotometricInterpretation, for raw images only
_MAX_DIRECTORIES = 20
_FORMS = {1: "B", 2: "B", 3: "H", 4: "I", 13: "I"}


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
    for start, name in _STARTS:
        if data.startswith(start):
            return RawKind(name, tiff=name in _TIFFS)
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    try:
        directories = list(_directories(data))
    except (struct.error, ValueError):
        return None
    kinds = {directory.get(_PHOTOMETRIC) for directory in directories}
    if not directories or not ({_MOSAIC, _LINEAR} & kinds):
        return None
    linear = _MOSAIC not in kinds
    if _DNG_VERSION in directories[0]:
        return RawKind("DNG", tiff=True, linear=linear)
    return RawKind(_BY_MAKER.get(_maker(data), "RAW"), tiff=True, linear=linear)


class RawExif(Image.Image):
    """The EXIF data of a raw file that has the structure of a TIFF, as that of an image."""

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


def _directories(data: bytes) -> Iterator[dict[int, int]]:
    """The first value of those tags that matter, of each directory and those below it. The first one comes first."""
    order = "<" if data[:2] == b"II" else ">"
    waiting = list(struct.unpack_from(order + "I", data, 4))
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if not offset or offset in seen or offset + 2 > len(data):
            continue
        seen.add(offset)
        (count,) = struct.unpack_from(order + "H", data, offset)
        if count > MAX_TIFF_TAGS:
            continue
        tags: dict[int, int] = {}
        for tag, kind, number, place in _entries(data, order, offset, count):
            if tag not in (_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION) or kind not in _FORMS or not number:
                continue
            form = f"{order}{min(number, _MAX_DIRECTORIES)}{_FORMS[kind]}"
            if struct.calcsize(form) > 4:
                (place,) = struct.unpack_from(order + "I", data, place)
            if place + struct.calcsize(form) > len(data):
                continue
            values = struct.unpack_from(form, data, place)
            tags[tag] = values[0]
            if tag == _SUB_DIRECTORIES:
                waiting += values
        yield tags
        after = offset + 2 + 12 * count
        if after + 4 <= len(data):
            waiting += struct.unpack_from(order + "I", data, after)


def _entries(data: bytes, order: str, offset: int, count: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, number of values and the place of the value or of its offset, of each entry that is there."""
    for at in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
        yield (*struct.unpack_from(order + "HHI", data, at), at + 8)
