"""Reads those TIFF files that Pillow refuses or shows wrongly, such as planar ones, floats and 32-bit integers.

libtiff, which is in Pillow, unpacks the strips or tiles: it gets them as a grey picture whose pixels are bytes. What
the bytes mean is decided here. Pillow reads all other TIFF files, because it is faster.
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from searcher.photos.errors import PhotoError, Unsupported
from searcher.photos.limits import MAX_TIFF_IMAGE_BYTES
from searcher.photos.samples import (
    FLOAT,
    SIGNED,
    UNSIGNED,
    Levels,
    Numbers,
    black_and_white,
    finite_range,
    reverse_bits,
    to_levels,
    to_numbers,
)
from searcher.photos.tiff_header import COLOURS, NO_COMPRESSION, Colours, Layout

COMPRESSIONS = {
    **{1: "no", 2: "CCITT", 3: "CCITT fax", 4: "CCITT fax", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate"},
    **{9: "JBIG", 10: "JBIG", 32766: "NeXT", 32771: "CCITT", 32773: "PackBits", 32809: "ThunderScan"},
    **{32895: "Kodak DCS", 32908: "Pixar film", 32909: "Pixar log", 32946: "deflate", 33003: "JPEG 2000"},
    **{33005: "JPEG 2000", 34661: "JBIG", 34676: "SGI log", 34677: "SGI log", 34712: "JPEG 2000", 34887: "LERC"},
    **{34892: "lossy JPEG", 34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50000: "Zstandard", 50001: "WebP"},
    **{50002: "JPEG XL", 52546: "JPEG XL"},
}
"""Names of the values of the tag Compression."""

_BYTE_COMPRESSIONS = (NO_COMPRESSION, 5, 8, 32773, 32946, 34925, 50000)
"""Those that pack any bytes. The others, such as JPEG, pack pictures of certain kinds."""

_MODES = {
    **{Colours.WHITE_IS_ZERO: "L", Colours.BLACK_IS_ZERO: "L", Colours.RGB: "RGB", Colours.PALETTE: "P"},
    **{Colours.CMYK: "CMYK", Colours.YCBCR: "YCbCr", Colours.CIELAB: "LAB", Colours.ICCLAB: "LAB"},
}

_GROUP_BYTES = 2**22  # unpacked at a time, unless one strip or tile is larger
_BAND_BYTES = 2**20  # converted at a time

_PREMULTIPLIED, _ALPHA = 1, 2  # values of the tag ExtraSamples


def needs_own_reader(layout: Layout) -> bool:
    """Whether Pillow would refuse the picture or show it wrongly, and `TiffImage` may read it."""
    if layout.compression not in _BYTE_COMPRESSIONS or layout.photometric not in _MODES:
        return False
    if layout.photometric == Colours.YCBCR and layout.compression != NO_COMPRESSION:
        return False  # libtiff converts it to RGB
    return not _read_by_pillow(layout)


def usual_compression(layout: Layout) -> bool:
    """Whether each libtiff knows the compression."""
    return layout.compression in (*_BYTE_COMPRESSIONS[:-2], 2, 3, 4, 7)


def describe(layout: Layout) -> str:
    """The kind of TIFF, for an error message."""
    if not usual_compression(layout):
        name = COMPRESSIONS.get(layout.compression, f"unknown ({layout.compression})")
        return f"TIFF with {name} compression"
    bits = "/".join(str(bits) for bits in dict.fromkeys(layout.bits))
    return f"TIFF of {layout.samples} × {bits} bits per pixel with colour model {layout.photometric}"


def _read_by_pillow(layout: Layout) -> bool:
    if layout.big and layout.order == ">":
        return False  # Pillow cannot open it
    if layout.planar or set(layout.formats) != {UNSIGNED} or len(set(layout.bits)) > 1:
        return False
    bits, samples, extras = layout.bits[0], layout.samples, layout.extras
    if samples == 1:
        if layout.photometric == Colours.PALETTE:
            return bits in (1, 2, 4, 8) and int(layout.palette.max(initial=0)) > 255
        if layout.photometric == Colours.BLACK_IS_ZERO and bits == 16:
            return layout.fill_order == 1
        return layout.photometric in (Colours.WHITE_IS_ZERO, Colours.BLACK_IS_ZERO) and bits in (1, 2, 4, 8)
    if layout.fill_order != 1:
        return False
    if layout.photometric == Colours.RGB and bits in (8, 16):
        return (samples, extras) in ((3, ()), (4, ()), (4, (0,)), (4, (_PREMULTIPLIED,)), (4, (_ALPHA,)))
    if layout.photometric == Colours.CMYK and bits == 8:
        return samples == 4 and layout.ink_set == 1
    if layout.photometric == Colours.BLACK_IS_ZERO and bits == 8:
        return samples == 2 and extras in ((0,), (_ALPHA,))
    return layout.photometric == Colours.CIELAB and bits == 8 and samples == 3


class _Piece(NamedTuple):
    """Some rows of consecutive strips or tiles of one plane.

    first: the number of the first strip or tile. skipped: its rows that came before.
    rows: uint8 (h, bytes of a row of a strip or tile). There is more than one tile only if all are whole.
    """

    plane: int
    first: int
    skipped: int
    rows: Levels


class TiffImage(Image.Image):
    """The picture in a TIFF file. As in other Pillow images, `load` decodes it."""

    format = "TIFF"

    def __init__(self, data: bytes, layout: Layout) -> None:
        """Raises PhotoError if the picture is too large or not supported."""
        super().__init__()
        self._data, self._layout = data, layout
        colours = COLOURS[layout.photometric]
        extras = layout.extras or ((_ALPHA,) if layout.photometric == Colours.RGB and layout.samples == 4 else ())
        alphas = [(colours + n, kind) for n, kind in enumerate(extras) if kind in (_PREMULTIPLIED, _ALPHA)]
        self._alpha, self._alpha_kind = alphas[0] if alphas else (-1, 0)
        if self._alpha >= layout.samples:
            self._alpha = -1
        self._channels = [*range(colours), *([self._alpha] if self._alpha >= 0 else [])]
        self._size = (layout.width, layout.height)
        self._mode = _MODES[Colours(layout.photometric)]
        if self._alpha >= 0 and self._mode in ("L", "RGB"):
            self._mode += "A"
        self._check(colours)
        if layout.profile:
            self.info["icc_profile"] = layout.profile
        self._loaded = False

    def _check(self, colours: int) -> None:
        layout = self._layout
        if layout.samples < colours:
            raise PhotoError(f"damaged: {layout.samples} samples per pixel instead of {colours}")
        if len(set(layout.bits)) > 1 or len(set(layout.formats)) > 1:
            raise Unsupported(f"TIFF with samples of {'/'.join(map(str, layout.bits))} bits")
        if layout.formats[0] not in (UNSIGNED, SIGNED, FLOAT):
            raise Unsupported(f"TIFF with samples of format {layout.formats[0]}")
        if layout.photometric == Colours.CMYK and layout.ink_set != 1:
            raise Unsupported("TIFF with inks other than CMYK")
        if layout.photometric in (Colours.PALETTE, Colours.YCBCR) and (
            layout.bits[0] > 8 or layout.formats[0] != UNSIGNED
        ):
            raise Unsupported(describe(layout))
        if layout.photometric in (Colours.CIELAB, Colours.ICCLAB) and (layout.bits[0] not in (8, 16)):
            raise Unsupported(describe(layout))
        size = layout.width * layout.height * (len(self._channels) + (1 if colours == 1 else 4))
        if size > MAX_TIFF_IMAGE_BYTES:
            limit = f"the limit is {MAX_TIFF_IMAGE_BYTES / 1e6:,.0f} MB"
            raise PhotoError(
                f"too large: TIFF of {layout.width} × {layout.height} pixels takes {size / 1e6:,.0f} MB ({limit})"
            )

    def getexif(self) -> Image.Exif:
        """The metadata of the file."""
        exif = Image.Exif()
        exif.endian = self._layout.order
        exif.bigtiff = self._layout.big
        exif.load_from_fp(BytesIO(self._data), self._layout.directory)
        return exif

    def load(self) -> Any:
        """Decode the picture. Raises PhotoError."""
        if not self._loaded:
            self.im = self._picture(self._levels()).im
            self._loaded = True
        return super().load()

    def _levels(self) -> Levels:
        """Decode to levels, uint8 (height, width, channels). Channels are those colours and alpha that are used."""
        layout = self._layout
        black, white = self._range()
        levels = np.zeros((layout.height, layout.width, len(self._channels)), np.uint8)
        for piece in self._pieces():
            numbers = self._numbers(piece.rows)
            channels = [piece.plane] if layout.planar else self._channels
            for source, channel in enumerate(channels):
                values = numbers[..., source if layout.planar else channel]
                plane = levels[..., self._channels.index(channel)]
                for top, left, part in self._visible(piece, self._level(values, channel, black, white)):
                    plane[top : top + part.shape[0], left : left + part.shape[1]] = part
        return levels

    def _range(self) -> tuple[float, float]:
        """The numbers of black and white. If the file does not define them, they are taken from all its pixels."""
        layout = self._layout
        if layout.formats[0] == UNSIGNED and layout.bits[0] < 32:
            return 0, 2 ** layout.bits[0] - 1
        low, high = np.inf, -np.inf
        for piece in self._pieces():
            numbers = self._numbers(piece.rows)
            if not layout.planar:
                numbers = numbers[..., : COLOURS[layout.photometric]]
            elif piece.plane == self._alpha:
                continue
            for _, _, part in self._visible(piece, numbers):
                least, most = finite_range(part)
                low, high = min(low, least), max(high, most)
        return black_and_white(low, high, layout.formats[0]) if low <= high else (0, 1)

    def _level(self, numbers: Numbers, channel: int, black: float, white: float) -> Levels:
        layout = self._layout
        if layout.photometric == Colours.PALETTE:
            return numbers.astype(np.uint8)
        if layout.photometric in (Colours.CIELAB, Colours.ICCLAB) and channel in (1, 2):
            unsigned = numbers.view(f"u{numbers.dtype.itemsize}")
            levels = (unsigned >> (layout.bits[0] - 8)).astype(np.uint8)
            return (
                levels if layout.photometric == Colours.CIELAB else levels ^ np.uint8(128)
            )  # Pillow takes them signed
        if channel == self._alpha:
            opaque = 1.0 if layout.formats[0] == FLOAT else 2.0 ** (layout.bits[0] - (layout.formats[0] == SIGNED)) - 1
            return to_levels(numbers, 0, opaque)
        if numbers.dtype == np.uint8 and (black, white) == (0, 255):
            levels = numbers
        elif numbers.dtype == np.uint16 and white == 65535 and black == 0:
            levels = ((numbers.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        else:
            levels = to_levels(numbers, black, white)
        return ~levels if layout.photometric == Colours.WHITE_IS_ZERO else levels

    def _visible(self, piece: _Piece, numbers: Numbers) -> Iterator[tuple[int, int, Numbers]]:
        """Top, left and the numbers of each part of the picture. Strips and tiles may be larger than the picture."""
        layout = self._layout
        if not layout.tiled:
            top = piece.first * layout.block_height + piece.skipped
            yield top, 0, numbers[: layout.height - top, : layout.width]
            return
        across = -(-layout.width // layout.block_width)
        for done in range(0, len(numbers), layout.block_height):
            number = piece.first + done // layout.block_height
            top = number // across * layout.block_height + piece.skipped
            left = number % across * layout.block_width
            if top < layout.height:
                tile = numbers[done : done + layout.block_height]
                yield top, left, tile[: layout.height - top, : layout.width - left]

    def _numbers(self, rows: Levels) -> Numbers:
        layout = self._layout
        if layout.photometric == Colours.YCBCR and not layout.planar:
            return _without_subsampling(rows, *layout.subsampling)
        samples = 1 if layout.planar else layout.samples
        return to_numbers(rows, samples, layout.bits[0], layout.formats[0], layout.order, layout.predictor)

    def _pieces(self) -> Iterator[_Piece]:
        """Unpack the strips or tiles of the needed planes."""
        layout = self._layout
        samples = 1 if layout.planar else layout.samples
        row_bytes = -(-layout.block_width * samples * layout.bits[0] // 8)
        block_rows = layout.block_height
        if layout.photometric == Colours.YCBCR:
            row_bytes, block_rows = self._subsampled_size()
        across = -(-layout.width // layout.block_width)
        blocks = across * -(-layout.height // layout.block_height)
        planes = self._channels if layout.planar else [0]
        if len(layout.offsets) < blocks * (max(planes) + 1):
            raise PhotoError("truncated: the file has too few strips or tiles")
        per_group = max(1, _GROUP_BYTES // (row_bytes * block_rows))
        for plane in planes:
            for first in range(0, blocks, per_group):
                group = range(first, min(first + per_group, blocks))
                heights = [block_rows if layout.tiled else self._strip_rows(number, block_rows) for number in group]
                skipped = 0
                for rows in self._unpack([plane * blocks + number for number in group], heights, row_bytes):
                    yield _Piece(plane, first + skipped // layout.block_height, skipped % layout.block_height, rows)
                    skipped += len(rows) * (layout.subsampling[1] if layout.photometric == Colours.YCBCR else 1)

    def _strip_rows(self, number: int, block_rows: int) -> int:
        left = self._layout.height - number * self._layout.block_height
        if self._layout.photometric == Colours.YCBCR:
            left = -(-left // self._layout.subsampling[1])
        return min(block_rows, left)

    def _subsampled_size(self) -> tuple[int, int]:
        """Bytes of a row of a strip or tile, and its rows, in groups of pixels that share their colour."""
        layout = self._layout
        across, down = layout.subsampling
        fits = layout.block_height % down == 0 or layout.block_height == layout.height
        if (
            layout.planar
            or layout.bits[0] != 8
            or layout.samples != 3
            or across * down not in (1, 2, 4, 8, 16)
            or not fits
        ):
            raise Unsupported(describe(layout))
        return -(-layout.block_width // across) * (across * down + 2), -(-layout.block_height // down)

    def _unpack(self, numbers: list[int], heights: list[int], row_bytes: int) -> Iterator[Levels]:
        """The rows of consecutive strips or tiles, in bands, as uint8 (h, row_bytes)."""
        layout = self._layout
        blocks = [self._block(number, height * row_bytes) for number, height in zip(numbers, heights, strict=True)]
        band = max(1, _BAND_BYTES // row_bytes)
        if len(blocks) > 1:
            band = max(heights) * max(1, band // max(heights))  # whole tiles
        if layout.compression == NO_COMPRESSION:
            whole = b"".join(blocks) if len(blocks) > 1 else blocks[0]
            rows = np.frombuffer(whole, np.uint8).reshape(-1, row_bytes)
            for top in range(0, len(rows), band):
                part = rows[top : top + band]
                yield reverse_bits(part) if layout.fill_order == 2 else part
            return
        picture = Image.open(BytesIO(_grey_tiff(blocks, heights, row_bytes, layout)), formats=("TIFF",))
        picture.load()
        for top in range(0, picture.height, band):
            yield np.asarray(picture.crop((0, top, row_bytes, min(top + band, picture.height))))

    def _block(self, number: int, unpacked: int) -> memoryview:
        """The packed bytes of a strip or tile. unpacked: its size when unpacked."""
        offset, count = int(self._layout.offsets[number]), int(self._layout.counts[number])
        if self._layout.compression == NO_COMPRESSION:
            count = unpacked
        elif count <= 0:
            count = len(self._data) - offset
        if offset <= 0 or offset + count > len(self._data):
            raise PhotoError("truncated: the file ends before the image is complete")
        return memoryview(self._data)[offset : offset + count]

    def _picture(self, levels: Levels) -> Image.Image:
        """A Pillow image of the levels. It is made in bands, because Pillow takes 4 bytes per pixel of RGB."""
        picture = Image.new(self.mode, self.size)
        if self.mode == "P":
            picture.putpalette(self._colours_of_palette())
        rows = max(1, _BAND_BYTES // (levels.shape[1] * levels.shape[2]))
        for top in range(0, len(levels), rows):
            band = levels[top : top + rows]
            if self._alpha >= 0:
                band = self._with_alpha(band)
            if band.shape[2] == 1:
                band = band[..., 0]
            size = (band.shape[1], band.shape[0])
            picture.paste(Image.frombytes(self.mode, size, band.tobytes()), (0, top))
        if self.mode == "P":
            picture = picture.convert("RGB")
            self._mode = "RGB"
        return picture

    def _with_alpha(self, band: Levels) -> Levels:
        alpha = band[..., -1:].astype(np.uint16)
        premultiplied = self._alpha_kind == _PREMULTIPLIED
        if self.mode == "CMYK":  # no ink is white, so that it can be blended here
            return band[..., :4] if premultiplied else (band[..., :4] * alpha // 255).astype(np.uint8)
        if not premultiplied or self.mode not in ("LA", "RGBA"):
            return band[..., : len(self.getbands())]
        colours = (band[..., :-1].astype(np.uint16) * 255 // np.maximum(alpha, 1)).clip(0, 255)
        return np.concatenate([colours, alpha], axis=2).astype(np.uint8)

    def _colours_of_palette(self) -> bytes:
        """Red, green and blue of each colour. The entries have 16 bits, but some programs write 8."""
        palette = self._layout.palette
        entries = min(256, len(palette) // 3)
        shift = 8 if int(palette.max(initial=0)) > 255 else 0
        return (palette[: entries * 3].reshape(3, entries).T >> shift).astype(np.uint8).tobytes()


def _without_subsampling(rows: Levels, across: int, down: int) -> Levels:
    """Uncompressed YCbCr with subsampling: for each group of pixels, all Y, then one Cb and one Cr."""
    groups = rows.reshape(len(rows), -1, across * down + 2)
    height, width = len(rows) * down, groups.shape[1] * across
    pixels = np.empty((height, width, 3), np.uint8)
    light = groups[..., :-2].reshape(len(rows), -1, down, across)
    pixels[..., 0] = light.transpose(0, 2, 1, 3).reshape(height, width)
    pixels[..., 1:] = groups[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return pixels


def _grey_tiff(blocks: list[memoryview], heights: list[int], row_bytes: int, layout: Layout) -> bytes:
    """A TIFF of strips whose pixels are the bytes of the given strips or tiles."""
    number = len(blocks)
    arrays = 8 + 2 + 12 * 10 + 4
    start = arrays + 8 * number
    sizes = np.array([len(block) for block in blocks], np.uint32)
    offsets = (start + np.concatenate([[0], np.cumsum(sizes[:-1], dtype=np.int64)])).astype(np.uint32)
    entries = [
        (256, 4, 1, row_bytes),
        (257, 4, 1, sum(heights)),
        (258, 3, 1, 8),
        (259, 3, 1, layout.compression),
        (262, 3, 1, Colours.BLACK_IS_ZERO),
        (266, 3, 1, layout.fill_order),
        (273, 4, number, arrays if number > 1 else start),
        (277, 3, 1, 1),
        (278, 4, 1, heights[0]),
        (279, 4, number, arrays + 4 * number if number > 1 else len(blocks[0])),
    ]
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"".join([header, directory, offsets.astype("<u4").tobytes(), sizes.astype("<u4").tobytes(), *blocks])
