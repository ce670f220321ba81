"""Reads PNM files (PBM, PGM and PPM). Pillow reads most of them pixel by pixel in Python, which takes minutes."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from searcher.photos.errors import PhotoError
from searcher.photos.samples import Levels, Numbers, to_levels

# The kind, then numbers after white space and comments. One white space, or a comment, ends the last number.
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])"
_NUMBER = _GAP + rb"{1,999}(\d{1,9})"
_HEADER = re.compile(rb"P(?:([14])%b%b|([2356])%b%b%b)(?:\s|#[^\r\n]*[\r\n])" % ((_NUMBER,) * 5))
_START = re.compile(rb"P[1-6][\s#]")
_COMMENT = re.compile(rb"#[^\r\n]*")
_WHITE = b" \t\n\v\f\r"
_BAND_VALUES = 2**20  # converted at a time
_MAX_VALUE = 65535


def is_pnm(data: bytes) -> bool:
    """Whether a file begins like a PNM file."""
    return _START.match(data) is not None


class PnmImage(Image.Image):
    """The first picture in a PNM file. As in other Pillow images, `load` decodes it."""

    format = "PPM"

    def __init__(self, data: bytes) -> None:
        """Raises PhotoError if the header is not valid."""
        super().__init__()
        match = _HEADER.match(data)
        if match is None:
            raise PhotoError("damaged: the header of the PNM file is not valid")
        kind, *numbers = (int(part) for part in match.groups() if part is not None)
        self._size = (numbers[0], numbers[1])
        self._white = numbers[2] if len(numbers) == 3 else 1
        if not min(self._size) or not 0 < self._white <= _MAX_VALUE:
            raise PhotoError("damaged: the header of the PNM file is not valid")
        self._mode = "RGB" if kind in (3, 6) else "L"
        self._kind, self._data, self._start = kind, data, match.end()
        self._loaded = False

    def load(self) -> Any:
        """Decode the picture. Raises PhotoError."""
        if not self._loaded:
            picture = Image.new(self.mode, self.size)
            top = 0
            for levels in self._bands():
                band = Image.frombytes(self.mode, (self.width, len(levels)), levels.tobytes())
                picture.paste(band, (0, top))
                top += len(levels)
            if top < self.height:
                raise PhotoError("truncated: the file ends before the image is complete")
            self.im = picture.im
            self._loaded = True
        return super().load()

    def _bands(self) -> Iterator[Levels]:
        """Some rows at a time, as uint8 (h, width × channels). Only whole ones."""
        across = self.width * len(self.mode)
        rows = max(1, _BAND_VALUES // across)
        values = self._values(across)
        for top in range(0, min(self.height, len(values)), rows):
            band = values[top : min(top + rows, self.height)]
            if self._kind == 4:
                band = np.unpackbits(band, axis=1)[:, :across]
            if self._kind in (1, 4):
                yield np.where(band, np.uint8(0), np.uint8(255))
            else:
                yield band if self._white == 255 and band.dtype == np.uint8 else to_levels(band, 0, self._white)

    def _values(self, across: int) -> Numbers:
        """The numbers of all whole rows, (h, across); or of bits, packed in bytes."""
        if self._kind <= 3:
            values = self._written_values()
        else:
            across = -(-across // 8) if self._kind == 4 else across
            kind = np.dtype(">u2" if self._white > 255 else "u1")
            count = (len(self._data) - self._start) // kind.itemsize
            values = np.frombuffer(self._data, kind, count, self._start)
        rows = len(values) // across
        return values[: rows * across].reshape(rows, across)

    def _written_values(self) -> Numbers:
        """Numbers that are written in decimal digits. In a black and white picture, each digit is one."""
        text = self._data[self._start :]
        if b"#" in text:
            text = _COMMENT.sub(b"", text)
        if self._kind == 1:
            return np.frombuffer(text.translate(None, _WHITE), np.uint8) & 1
        if text.translate(None, _WHITE + b"0123456789"):
            raise PhotoError("damaged: the PNM file contains something that is not a number")
        return np.fromstring(text.decode("ascii"), np.uint16, sep=" ")
