"""Gives Pillow only those chunks of a PNG that make its picture.

Pillow stops at the first problem in any chunk. But a viewer ignores a problem in a chunk that is not critical: a wrong
checksum, a text that unpacks to gigabytes, a broken profile. So the colour profile and the EXIF data are read here,
within limits, and texts and animations are left out.
"""

import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import IO, cast

from searcher.photos.errors import PhotoError, Unsupported
from searcher.photos.limits import MAX_PNG_CHUNKS, MAX_PNG_UNPACKED_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_XMP = "XML:com.adobe.xmp"
_RAW_EXIF = "Raw profile type exif"
_HEX_EXIF = (b"Raw profile type exif", b"Raw profile type APP1")  # ImageMagick before version 7.0.8
_EXIF_HEADER = b"Exif\0\0"


@dataclass
class Png:
    """The parts of a PNG file.

    picture: a readable and seekable file with the chunks of the picture alone.
    info: what Pillow would put into `image.info` ("icc_profile", "exif" and XMP).
    """

    picture: IO[bytes]
    info: dict[str, bytes | str] = field(default_factory=dict)


def read_chunks(data: bytes) -> Png:
    """Split a PNG into its picture and its metadata. Raises PhotoError if a critical chunk has a wrong checksum."""
    kept = [(0, len(SIGNATURE))]
    info: dict[str, bytes | str] = {}
    end = len(SIGNATURE)
    for kind, start, end in _chunks(data):
        body = memoryview(data)[start + 8 : end - 4]
        critical = not kind[0] & 0x20
        if (critical or kind in (b"tRNS", b"iCCP", b"eXIf", b"tEXt", b"zTXt", b"iTXt")) and not _sound(
            data, start, end
        ):
            if critical:
                raise PhotoError(f"damaged: wrong checksum of its {kind.decode()} chunk")
            continue
        if critical or kind == b"tRNS":
            _keep(kept, start, end)
        elif kind == b"iCCP":
            _add_profile(info, bytes(body))
        elif kind == b"eXIf":
            info.setdefault("exif", _EXIF_HEADER + bytes(body).removeprefix(_EXIF_HEADER))
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            _add_text(info, kind, body)
    _keep(kept, end, len(data))  # a chunk that is cut off, for Pillow to report
    whole = kept == [(0, len(data))]
    found = {key: value for key, value in info.items() if value}
    return Png(io.BytesIO(data) if whole else cast(IO[bytes], _Spliced(data, kept)), found)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The type, start and end of each complete chunk up to IEND."""
    position = len(SIGNATURE)
    for _ in range(MAX_PNG_CHUNKS):
        if position + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            return
        if not (kind.isascii() and kind.isalpha()):
            raise PhotoError("damaged: invalid type of a PNG chunk")
        if kind == b"CgBI":
            raise Unsupported("PNG in the form that Apple uses inside apps (CgBI)")
        yield kind, position, position + 12 + length
        if kind == b"IEND":
            return
        position += 12 + length
    raise PhotoError(f"too large: more than {MAX_PNG_CHUNKS:,} PNG chunks")


def _sound(data: bytes, start: int, end: int) -> bool:
    view = memoryview(data)
    return zlib.crc32(view[start + 4 : end - 4]) == int.from_bytes(view[end - 4 : end])


def _keep(kept: list[tuple[int, int]], start: int, end: int) -> None:
    if kept[-1][1] == start:
        kept[-1] = (kept[-1][0], end)
    elif start < end:
        kept.append((start, end))


def _add_profile(info: dict[str, bytes | str], body: bytes) -> None:
    if "icc_profile" not in info:
        info["icc_profile"] = _unpacked(body.partition(b"\0")[2][1:])


def _add_text(info: dict[str, bytes | str], kind: bytes, body: memoryview) -> None:
    """Keep a text that may say how the picture is turned or when it was taken. Only the first of its kind counts."""
    keyword = bytes(body[:80]).partition(b"\0")[0]
    rest = body[len(keyword) + 1 :]
    if keyword in _HEX_EXIF and kind != b"iTXt" and _RAW_EXIF not in info:
        text = bytes(rest) if kind == b"tEXt" else _unpacked(bytes(rest[1:]))
        info[_RAW_EXIF] = text.decode("latin-1")
    elif keyword == _XMP.encode() and kind == b"iTXt" and len(rest) > 2 and _XMP not in info:
        raw = bytes(rest[2:]).split(b"\0", 2)[-1]  # after the language and the translated keyword
        text = _unpacked(raw) if rest[0] else raw
        info[_XMP] = text.decode("utf-8", "replace")


def _unpacked(packed: bytes) -> bytes:
    """Empty if it cannot be unpacked, or is larger than MAX_PNG_UNPACKED_BYTES."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(packed, MAX_PNG_UNPACKED_BYTES)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else unpacked


class _Spliced(io.RawIOBase):
    """A file that consists of some ranges of `data`, without a copy of it."""

    def __init__(self, data: bytes, ranges: list[tuple[int, int]]) -> None:
        self._data = memoryview(data)
        self._ranges = ranges
        self._ends = list(accumulate(end - start for start, end in ranges))  # where each range ends in this file
        self._size = self._ends[-1] if ranges else 0
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        left = left if size is None or size < 0 else min(size, left)
        parts, number = [], bisect_right(self._ends, self._position)
        while left:
            end = self._ranges[number][1]
            start = end - (self._ends[number] - self._position)
            parts.append(self._data[start : min(end, start + left)])
            self._position += len(parts[-1])
            left -= len(parts[-1])
            number += 1
        return b"".join(parts)
