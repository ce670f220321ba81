"""How the EXIF data of a HEIC or AVIF file says that its picture must be turned.

The file format has its own properties for this, `irot` and `imir`, which the decoders apply. Some cameras and programs
write no such property and say it in EXIF only. If a file says both, EXIF describes the picture before it was turned,
or repeats the property. So EXIF counts only if the primary picture has neither property. The libraries that decode
these files do not tell which of them a file has, so its boxes are read here (ISO/IEC 23008-12 and 14496-12).
"""

import struct
from collections.abc import Iterator

from PIL import Image

from searcher.photos.exif import ORIENTATION

_TURNS = (b"irot", b"imir")
_MAX_ITEMS = 10_000


def orientation_from_exif(data: bytes) -> int:
    """The EXIF orientation, 1 to 8, if it must be applied to the decoded picture. 1 if not, or if boxes are invalid."""
    try:
        meta = _first(memoryview(data), b"meta")[4:]
        if _turns_itself(meta):
            return 1
        content = _exif_item(data, meta)
        start = 4 + int.from_bytes(content[:4])
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + bytes(content[start:]).removeprefix(b"Exif\0\0"))
        value = exif.get(ORIENTATION)
    except Exception:  # as in `exif`: Pillow's parser raises almost anything for invalid data
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turns_itself(meta: memoryview) -> bool:
    """Whether the primary picture has a property that turns or mirrors it."""
    primary = _first(meta, b"pitm")
    item = int.from_bytes(primary[4:6] if primary[0] == 0 else primary[4:8])
    properties = _first(meta, b"iprp")
    kinds = [kind for kind, _ in boxes(_first(properties, b"ipco"))]
    return any(
        0 < number <= len(kinds) and kinds[number - 1] in _TURNS
        for kind, body in boxes(properties)
        if kind == b"ipma"
        for number in _associated(body, item)
    )


def _associated(ipma: memoryview, item: int) -> Iterator[int]:
    """The numbers of the properties of one item, from 1."""
    version, wide = ipma[0], bool(ipma[3] & 1)
    (entries,) = struct.unpack_from(">I", ipma, 4)
    position = 8
    for _ in range(min(entries, _MAX_ITEMS)):
        size = 2 if version == 0 else 4
        entry = int.from_bytes(ipma[position : position + size])
        count = ipma[position + size]
        position += size + 1
        for _ in range(count):
            if entry == item:
                yield int.from_bytes(ipma[position : position + 2]) & 0x7FFF if wide else ipma[position] & 0x7F
            position += 2 if wide else 1


def _exif_item(data: bytes, meta: memoryview) -> memoryview:
    """The content of the first EXIF item. Raises StopIteration if there is none."""
    infos = _first(meta, b"iinf")
    wanted = next(
        int.from_bytes(body[4:6] if body[0] == 2 else body[4:8])
        for kind, body in boxes(infos[6 if infos[0] == 0 else 8 :])
        if kind == b"infe" and body[0] >= 2 and bytes(body[8:12] if body[0] == 2 else body[10:14]) == b"Exif"
    )
    method, offset, length = next(place for item, *place in _locations(_first(meta, b"iloc")) if item == wanted)
    source = _first(meta, b"idat") if method == 1 else memoryview(data)
    return source[offset : offset + length]


def _locations(iloc: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """The number, construction method, offset and length of each item. Only its first extent."""
    version = iloc[0]
    sizes = (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if version else 0)
    position = 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        return int.from_bytes(iloc[position - size : position])

    for _ in range(min(number(2 if version < 2 else 4), _MAX_ITEMS)):
        item = number(2 if version < 2 else 4)
        method = number(2) & 15 if version else 0
        number(2)  # data reference
        base = number(sizes[2])
        extents = [(number(sizes[3]), number(sizes[0]), number(sizes[1])) for _ in range(number(2))]
        if extents:
            yield item, method, base + extents[0][1], extents[0][2]


def _first(data: memoryview, wanted: bytes) -> memoryview:
    return next((body for kind, body in boxes(data) if kind == wanted), memoryview(b""))


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The kind and the content of each box, up to the first invalid one. JPEG 2000 and JPEG XL have the same boxes."""
    position = 0
    for _ in range(_MAX_ITEMS):
        if position + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        elif size == 0:
            size = len(data) - position
        if size < header:
            return
        yield kind, data[position + header : position + size]
        position += size
