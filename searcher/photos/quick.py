"""Which files surely decode quickly. All others are decoded in a process that can be ended: see `guard`.

A plain JPEG takes time in proportion to its bytes and pixels, both of which are limited. That holds only if it has few
segments before its pixels (Pillow reads each in Python) and few passes over them (a progressive JPEG can ask for
hundreds). Most photos are such files, so they keep the speed of threads.
"""

import struct

MAX_SEGMENTS = 100  # before the pixels; extended XMP of a telephone's depth map takes some dozens
MAX_VISITED_PIXELS = 400_000_000  # scans x pixels; a usual progressive JPEG has ten scans

_SOI, _SOS, _EOI = b"\xff\xd8", 0xDA, 0xD9
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))


def decodes_quickly(data: bytes) -> bool:
    """Whether decoding these bytes takes a few seconds at most, whatever is in them. False if that is not certain."""
    if data[:2] != _SOI:
        return False
    position, frame = 2, None
    for _ in range(MAX_SEGMENTS):
        if data[position : position + 1] != b"\xff" or position + 4 > len(data):
            return False
        marker = data[position + 1]
        if marker == _SOS:
            return frame is not None and _few_passes(data, position, frame)
        if marker == _EOI or marker == 0xFF or marker in _OTHER_FRAMES or marker in _WITHOUT_LENGTH:
            return False
        (length,) = struct.unpack_from(">H", data, position + 2)
        if length < 2 or position + 2 + length > len(data):
            return False
        if marker in (*_SEQUENTIAL, _PROGRESSIVE):
            if frame is not None or length < 8:
                return False
            frame = marker, *struct.unpack_from(">HHB", data, position + 5)  # marker, height, width, components
        position += 2 + length
    return False


def _few_passes(data: bytes, position: int, frame: tuple[int, ...]) -> bool:
    """position: of the first scan's marker."""
    kind, height, width, components = frame
    if kind in _SEQUENTIAL and data[position + 4 : position + 5] == bytes([components]):
        return True  # all components in one scan: libjpeg reads no other
    return data.count(bytes([0xFF, _SOS]), position) * width * height <= MAX_VISITED_PIXELS
