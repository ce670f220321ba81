"""From the bytes of unpacked pixels to numbers, and from numbers of any range to levels of brightness."""

from typing import Any

import numpy as np

from searcher.photos.errors import Unsupported

Numbers = np.ndarray[Any, np.dtype[Any]]
Levels = np.ndarray[Any, np.dtype[np.uint8]]

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
"""Number formats, as in TIFF files."""

WHITES = {
    UNSIGNED: (1, 255, 65535, 2**32 - 1, 2**64 - 1),
    SIGNED: (1, 127, 255, 32767, 65535, 2**31 - 1, 2**63 - 1),
    FLOAT: (1, 255, 65535),
}
"""Usual numbers of white, for unsigned integers, signed integers and floats."""

_REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)


def reverse_bits(rows: Levels) -> Levels:
    """Reverse the bits of each byte."""
    return _REVERSED[rows]


def to_numbers(rows: Levels, samples: int, bits: int, number_format: int, order: str, predictor: int) -> Numbers:
    """The numbers in rows of bytes.

    rows: uint8 (h, bytes). bits: of each number. number_format: UNSIGNED, SIGNED or FLOAT. order: "<" or ">".
    predictor: 1 none, 2 differences of numbers, 3 differences of the bytes of floats.

    Returns (h, w, samples), in the byte order of this machine. Raises Unsupported.
    """
    if bits not in (8, 16, 32, 64):
        if number_format != UNSIGNED or bits > 32 or predictor != 1:
            raise Unsupported(f"TIFF with samples of {bits} bits")
        return _from_bits(rows, samples, bits, order)
    if number_format == FLOAT and bits == 8:
        raise Unsupported("TIFF with floats of 8 bits")
    size = bits // 8
    if predictor == 3:
        steps = rows.reshape(len(rows), -1, samples)
        planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(len(rows), size, -1)
        numbers = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">u{size}")[..., 0].astype(f"u{size}")
    else:
        numbers = np.ascontiguousarray(rows).view(f"{order}u{size}").astype(f"u{size}")
    numbers = numbers.reshape(len(rows), -1, samples)
    if predictor == 2:
        numbers = np.cumsum(numbers, axis=1, dtype=numbers.dtype)
    elif predictor not in (1, 3):
        raise Unsupported(f"TIFF with predictor {predictor}")
    return numbers.view(f"{'uif'[number_format - 1]}{size}")


def _from_bits(rows: Levels, samples: int, bits: int, order: str) -> Numbers:
    """Unsigned numbers that are packed without gaps within a row, the highest bit first."""
    if bits == 24 and order == "<":
        rows = rows.reshape(len(rows), -1, 3)[..., ::-1].reshape(len(rows), -1)
    width = rows.shape[1] * 8 // (bits * samples)
    flags = np.unpackbits(rows, axis=1, count=width * samples * bits).reshape(len(rows), -1, bits)
    numbers = np.zeros(flags.shape[:2], np.uint32)
    for bit in range(bits):
        numbers = numbers << np.uint32(1) | flags[..., bit]
    return numbers.reshape(len(rows), width, samples)


def black_and_white(low: float, high: float, number_format: int) -> tuple[float, float]:
    """The numbers of black and white for a kind of numbers whose range is not defined, such as floats.

    low, high: the lowest and highest number of the picture. number_format: UNSIGNED, SIGNED or FLOAT.

    Black is 0 and white is one of WHITES, if that range holds all numbers and is less than 16 times as wide as needed.
    Otherwise black is `low` and white is `high`.
    """
    if low >= 0:
        for white in WHITES[number_format]:
            if white / 16 < high <= white:
                return 0, white
    return low, high


def finite_range(numbers: Numbers) -> tuple[float, float]:
    """The lowest and highest finite number. (inf, -inf) if there is none."""
    if numbers.size == 0:
        return np.inf, -np.inf
    low, high = float(numbers.min()), float(numbers.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        return finite_range(numbers[np.isfinite(numbers)])
    return low, high


def to_levels(numbers: Numbers, black: float, white: float) -> Levels:
    """Scale numbers so that `black` becomes 0 and `white` becomes 255. NaN becomes 0."""
    factor = 255 / (white - black) if white > black else 1.0
    with np.errstate(all="ignore"):
        scaled = numbers.astype(np.float64)
        scaled -= black
        scaled *= factor
        scaled += 0.5
        np.clip(scaled, 0, 255, out=scaled)
        if numbers.dtype.kind == "f":
            scaled[np.isnan(scaled)] = 0
        return scaled.astype(np.uint8)
