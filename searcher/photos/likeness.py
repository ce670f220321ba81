"""What a decoded photo looks like, in two numbers: with them, copies are found and the sharpest one is chosen."""

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

MIN_SIDE = 224
"""`min_side` for decoding a photo only to measure it. Embedding decodes with the input size of its model."""

_SIDE = 224  # pixels of the shorter side at which sharpness is measured
_GRID, _KEPT = 32, 8


class Likeness(NamedTuple):
    """phash: 64 bits as a signed number. Of two copies of a photo that were resized, recompressed or cropped a little,
    few bits differ, and of two photos about half. sharpness: the variance of the Laplacian of the grey picture,
    reduced to a shorter side of 224 pixels; the same photo in focus has a larger one than out of focus.
    """

    phash: int
    sharpness: float


def measure(image: Image.Image) -> Likeness:
    """Measure an upright picture."""
    scale = _SIDE / min(image.size)
    # whole steps first, because they take a tenth of the time
    grey = (image.reduce(int(1 / scale)) if scale <= 0.5 else image).convert("L")
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if scale < 1 and abs(grey.width - size[0]) + abs(grey.height - size[1]) > 1:
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    return Likeness(_phash(grey), _sharpness(grey))


def _phash(grey: Image.Image) -> int:
    """The signs of the 8 × 8 lowest frequencies of a 32 × 32 picture, compared with their median.

    Of 990 copies (11 kinds) of 90 different photos and parts of photos, 96 % differ by 12 bits or less, 99 % by 16 or
    less, and no two different ones by less than 18. With a difference hash, different ones differ by 4 bits or more.
    """
    kind = Image.Resampling.BOX if min(grey.size) > _GRID else Image.Resampling.BICUBIC
    pixels = np.asarray(grey.resize((_GRID, _GRID), kind), np.float32)
    waves = (_cosines() @ pixels @ _cosines().T).round(2).ravel()  # what is rounded away is noise of a plain picture
    bits = waves > np.median(waves[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)


@cache
def _cosines() -> np.ndarray:
    """The first rows of the cosine transform."""
    frequency, place = np.arange(_KEPT)[:, None], np.arange(_GRID)[None, :]
    return np.cos(np.pi * (2 * place + 1) * frequency / (2 * _GRID)).astype(np.float32)


def _sharpness(grey: Image.Image) -> float:
    if min(grey.size) < 3:
        return 0.0
    pixels = np.asarray(grey).astype(np.float32)
    laplacian = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:] - 4 * pixels[1:-1, 1:-1]
    return float(laplacian.var())
