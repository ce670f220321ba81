"""JPEG 2000 files: decoded at a reduced scale if that is enough, and with their colour profile and metadata.

Pillow has none of these.
"""

import struct
from collections.abc import Iterator
from io import BytesIO

from PIL import ImageFile, Jpeg2KImagePlugin

from searcher.photos.heif import boxes

SIGNATURES = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
"""How a file begins: as a bare codestream, or with boxes around it."""

_SIZ, _COD, _COC, _SOT = 0x51, 0x52, 0x53, 0x90  # markers of the codestream (ISO/IEC 15444-1)
_EXIF, _XMP = b"JpgTiffExif->JP2", bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # how such a box begins
_PROFILE = 2  # the method of a colour box that holds an ICC profile


class Jpeg2000Image(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """A JPEG 2000 file. As with a JPEG, `draft` reduces what `load` decodes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(BytesIO(data))
        self._data = data
        if self.codec == "jp2":
            self.info.update({key: value for key, value in _about(data) if value})

    def draft(  # type: ignore[override]
        self, mode: str | None, size: tuple[int, int]
    ) -> tuple[str, tuple[float, float, float, float]] | None:
        """Halve the size as often as the file allows, while neither side gets smaller than `size` asks for.

        Returns the mode and the part of the reduced image that the original covers, or None if nothing is reduced.
        """
        width, height = self.size
        halvings, possible = 0, _halvings(self._data)
        while halvings < possible and min(width, height) >> (halvings + 1) >= max(size):
            halvings += 1
        if not halvings:
            return None
        scale = 1 << halvings
        self._size = (-(-width // scale), -(-height // scale))
        (tile,) = self.tile
        codec, _, *others = tuple(tile.args or ())
        self.tile = [ImageFile._Tile(tile.codec_name, (0, 0, *self._size), 0, (codec, halvings, *others))]
        return self.mode, (0, 0, width / scale, height / scale)


def _halvings(data: bytes) -> int:
    """How often every tile and channel of an image can be halved. 0 if that is not certain."""
    halvings = 0
    for marker, body in _markers(data):
        if marker == _SIZ and struct.unpack_from(">II", body, 10) != (0, 0):
            return 0  # the image begins inside a pixel of the reduced one
        if marker == _COD:
            halvings = body[5]
        elif marker == _COC:
            return 0
    return halvings if halvings <= 32 else 0


def _markers(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of the main header, and what is in each."""
    position = data.find(SIGNATURES[0]) + 2
    while 2 <= position < len(data) - 4 and data[position] == 0xFF and data[position + 1] != _SOT:
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + length]
        if len(body) < length - 2 or length < 3:
            return
        yield data[position + 1], body
        position += 2 + length


def _about(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The ICC profile and the metadata of a file with boxes, as in `Image.info`."""
    for kind, body in boxes(memoryview(data)):
        if kind == b"uuid" and body[:16] == _EXIF:
            yield "exif", bytes(body[16:])
        elif kind == b"uuid" and body[:16] == _XMP:
            yield "xmp", bytes(body[16:])
        elif kind == b"jp2h":
            for inner, content in boxes(body):
                if inner == b"colr" and content[:1] == bytes([_PROFILE]):
                    yield "icc_profile", bytes(content[3:])
