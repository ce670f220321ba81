"""Icons (ICO): the largest picture of a file is taken."""

import struct

from searcher.photos.errors import PhotoError
from searcher.photos.png import SIGNATURE as PNG

SIGNATURE = b"\0\0\1\0"

_ENTRY = struct.Struct("<BBBBHHII")  # width, height (0 is 256), colours, -, planes, bits per pixel, bytes, offset
_MAX_SIDE = 1024  # of a picture that is not a PNG; Pillow decodes it when it opens it


def largest_icon(data: bytes) -> bytes:
    """The largest picture of an icon file, and of several that large the one with most colours.

    It is the bytes of a PNG, or an icon file with this picture alone. Raises PhotoError.
    """
    entries = []
    (count,) = struct.unpack_from("<H", data, 4)
    for at in range(6, min(6 + count * _ENTRY.size, len(data) - _ENTRY.size + 1), _ENTRY.size):
        width, height, *_, bits, size, offset = entry = _ENTRY.unpack_from(data, at)
        entries.append(((width or 256) * (height or 256), bits, -at, size, offset, entry))
    if not entries:
        raise PhotoError("damaged: an icon file without a picture")
    *_, size, offset, entry = max(entries)
    picture = data[offset : offset + size]
    if len(picture) < max(size, 40):
        raise PhotoError("truncated: the file ends before the image is complete")
    if picture.startswith(PNG):
        return picture
    width, height = struct.unpack_from("<ii", picture, 4)
    if not (0 < width <= _MAX_SIDE and 0 < abs(height) <= 2 * _MAX_SIDE):  # its mask counts as more rows
        raise PhotoError(
            f"too large: icon of {width} × {abs(height) // 2} pixels (the limit is {_MAX_SIDE} × {_MAX_SIDE})"
        )
    head = SIGNATURE + struct.pack("<H", 1)
    return head + _ENTRY.pack(*entry[:-1], len(head) + _ENTRY.size) + picture
