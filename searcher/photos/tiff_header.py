"""Reads the first directory of a TIFF file: which picture it holds, and where its strips or tiles are."""

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from searcher.photos.errors import PhotoError
from searcher.photos.limits import MAX_TIFF_BLOCK_BYTES, MAX_TIFF_BLOCKS, MAX_TIFF_BYTES, MAX_TIFF_TAGS
from searcher.photos.samples import UNSIGNED, Numbers


class Colours(IntEnum):
    """The tag PhotometricInterpretation."""

    WHITE_IS_ZERO = 0
    BLACK_IS_ZERO = 1
    RGB = 2
    PALETTE = 3
    CMYK = 5
    YCBCR = 6
    CIELAB = 8
    ICCLAB = 9


NO_COMPRESSION = 1
_UNDEFINED = 4  # a value of the tag SampleFormat

COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3}
"""The number of samples of each colour model, without extra samples."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 7: "u1", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_COUNTS, _PLANAR = 273, 277, 278, 279, 284
_PREDICTOR, _PALETTE, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 317, 320, 322, 323, 324, 325
_INK_SET, _EXTRAS, _FORMAT, _SUBSAMPLING, _PROFILE = 332, 338, 339, 530, 34675
_LONG_TAGS = (_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS)
_OTHER_TAGS = (
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _ROWS, _PLANAR, _PREDICTOR),
    *(_PALETTE, _TILE_WIDTH, _TILE_HEIGHT, _INK_SET, _EXTRAS, _FORMAT, _SUBSAMPLING, _PROFILE),
)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the directory says.

    order: "<" for little-endian, ">" for big-endian. big: whether it is a BigTIFF, with offsets of 64 bits.
    bits, formats: depth and number format of each sample.
    extras: the kind of each extra sample. 1 and 2 are alpha: with 1, the colours are already multiplied by it.
    planar: whether each sample has its own strips or tiles.
    block_width, block_height: the size of a strip or tile in pixels.
    offsets, counts: where the strips or tiles are, and their sizes, int64 (n,). A count of 0 is unknown.
    palette: 16-bit red, then green, then blue, or empty.
    """

    order: str
    big: bool
    directory: int
    width: int
    height: int
    bits: tuple[int, ...]
    formats: tuple[int, ...]
    photometric: int
    compression: int
    predictor: int
    fill_order: int
    extras: tuple[int, ...]
    planar: bool
    tiled: bool
    block_width: int
    block_height: int
    offsets: Numbers
    counts: Numbers
    palette: Numbers
    subsampling: tuple[int, ...]
    ink_set: int
    profile: bytes

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return len(self.bits)


def read_layout(data: bytes) -> Layout | None:
    """Read the directory of a TIFF. None if it is not valid, for Pillow to report. Raises PhotoError above a limit."""
    try:
        return _read(data)
    except (struct.error, ValueError, KeyError, IndexError, OverflowError):
        return None


def _read(data: bytes) -> Layout | None:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    (magic,) = struct.unpack_from(order + "H", data, 2)
    if magic not in (42, 43):
        return None
    big = magic == 43
    (directory,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    tags = _tags(data, order, directory, big)

    def one(tag: int, default: int) -> int:
        values = tags.get(tag)
        return default if values is None or len(values) == 0 else int(values[0])

    width, height, samples = int(tags[_WIDTH][0]), int(tags[_HEIGHT][0]), one(_SAMPLES, 1)
    tiled = _TILE_OFFSETS in tags
    offsets = tags[_TILE_OFFSETS if tiled else _STRIP_OFFSETS].astype(np.int64)
    counts = tags.get(_TILE_COUNTS if tiled else _STRIP_COUNTS, np.zeros(0)).astype(np.int64)
    block = (
        (int(tags[_TILE_WIDTH][0]), int(tags[_TILE_HEIGHT][0])) if tiled else (width, min(one(_ROWS, height), height))
    )
    if min(width, height, samples, *block) < 1 or samples > MAX_TIFF_TAGS:
        return None
    subsampling = tags.get(_SUBSAMPLING, (2, 2))
    if _SUBSAMPLING not in tags and int(counts.sum()) >= width * height * samples:
        subsampling = (1, 1)  # the default is (2, 2), but Pillow and others leave the tag out
    layout = Layout(
        order=order,
        big=big,
        directory=directory,
        width=width,
        height=height,
        bits=_for_each(tags.get(_BITS), 1, samples),
        formats=tuple(
            UNSIGNED if kind == _UNDEFINED else kind for kind in _for_each(tags.get(_FORMAT), UNSIGNED, samples)
        ),
        photometric=one(_PHOTOMETRIC, Colours.WHITE_IS_ZERO),
        compression=one(_COMPRESSION, NO_COMPRESSION),
        predictor=one(_PREDICTOR, 1),
        fill_order=one(_FILL_ORDER, 1),
        extras=tuple(int(kind) for kind in tags.get(_EXTRAS, ())),
        planar=one(_PLANAR, 1) == 2 and samples > 1,
        tiled=tiled,
        block_width=block[0],
        block_height=block[1],
        offsets=offsets,
        counts=np.concatenate([counts, np.zeros(max(0, len(offsets) - len(counts)), np.int64)]),
        palette=tags.get(_PALETTE, np.zeros(0, np.uint16)),
        subsampling=tuple(int(n) for n in subsampling),
        ink_set=one(_INK_SET, 1),
        profile=tags[_PROFILE].tobytes() if _PROFILE in tags else b"",
    )
    _check(layout)
    return layout


def _tags(data: bytes, order: str, directory: int, big: bool) -> dict[int, Numbers]:
    """The integer tags that are needed. A tag that is cut off is left out."""
    (number,) = struct.unpack_from(order + ("Q" if big else "H"), data, directory)
    if directory + number * 12 > len(data):
        raise ValueError("the directory is cut off")
    if number > MAX_TIFF_TAGS:
        raise PhotoError(f"too large: more than {MAX_TIFF_TAGS:,} TIFF tags")
    tags: dict[int, Numbers] = {}
    entry, inline = struct.Struct(order + ("HHQ" if big else "HHI")), 8 if big else 4
    position = directory + (8 if big else 2)
    for at in range(position, position + number * (entry.size + inline), entry.size + inline):
        tag, kind, count = entry.unpack_from(data, at)
        if tag in tags or kind not in _INTEGERS or tag not in _LONG_TAGS + _OTHER_TAGS:
            continue
        if tag in _LONG_TAGS and count > MAX_TIFF_BLOCKS:
            raise PhotoError(f"too large: more than {MAX_TIFF_BLOCKS:,} strips or tiles")
        start, size = at + entry.size, count * _SIZES[kind]
        if size > inline:
            (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, start)
        if start + size <= len(data):
            tags[tag] = np.frombuffer(data, order + _INTEGERS[kind], count, start)
    return tags


def _for_each(values: Numbers | None, default: int, samples: int) -> tuple[int, ...]:
    """One value per sample. A single value is for all."""
    if values is None or len(values) == 0:
        return (default,) * samples
    return tuple(int(value) for value in values[:samples]) + (int(values[-1]),) * (samples - len(values))


def _check(layout: Layout) -> None:
    pixel = sum(layout.bits) / 8
    block = layout.block_width * layout.block_height * (pixel / layout.samples if layout.planar else pixel)
    for size, limit, what in (
        (block if layout.compression != NO_COMPRESSION else 0, MAX_TIFF_BLOCK_BYTES, "a strip or tile"),
        (layout.width * layout.height * pixel, MAX_TIFF_BYTES, "pixels"),
    ):
        if size > limit:
            raise PhotoError(f"too large: TIFF with {what} of {size / 2**20:,.0f} MiB (the limit is {limit >> 20} MiB)")
