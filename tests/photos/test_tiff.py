"""TIFF files of every kind have the right colours and brightness, or are called unsupported."""

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from searcher.photos.decode import PhotoError, decode
from searcher.photos.tiff import needs_own_reader
from searcher.photos.tiff_header import read_layout
from tests.photos.files import difference, picture, saved, tiff
from tests.programs import needs

RGB = np.asarray(picture())
GREY = np.asarray(picture().convert("L"))
HEIGHT, WIDTH = GREY.shape
SIZE = (WIDTH, HEIGHT)
ALPHA = np.linspace(0, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
ON_WHITE = RGB * (ALPHA[..., None] / 255) + 255 - ALPHA[..., None]
CMYK = np.asarray(picture().convert("CMYK"))
NUMBERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8"]
REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)


def full_range(levels: np.ndarray, kind: str) -> np.ndarray:
    """Levels of 0 to 255 as numbers of another type, from 0 to the largest number (1 for floats)."""
    if kind[0] == "f":
        return (levels / 255).astype(kind)
    top = np.iinfo(kind).max
    table = np.array([level * top // 255 for level in range(256)], dtype=kind)
    numbers: np.ndarray = table[levels]
    return numbers


def written(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def look(data: bytes, min_side: int | None = None) -> np.ndarray:
    return np.asarray(decode(data, min_side).image)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("layout", ["strips", "tiles", "deflate", "deflate predictor", "deflate predictor tiles"])
def test_every_number_type_has_the_right_brightness(kind: str, order: str, layout: str) -> None:
    options: dict[str, Any] = {"byteorder": order, "rowsperstrip": 7}
    if "tiles" in layout:
        options = {"byteorder": order, "tile": (16, 32)}
    if "deflate" in layout:
        options["compression"] = "zlib"
    if "predictor" in layout and kind[0] != "f":
        options["predictor"] = 2
    tolerance = 1.7 if kind == "i1" else 1.2  # a signed byte has only 128 levels
    grey, colours, inverted = full_range(GREY, kind), full_range(RGB, kind), full_range(255 - GREY, kind)
    assert difference(look(written(grey, photometric="minisblack", **options)), GREY) < tolerance
    assert difference(look(written(inverted, photometric="miniswhite", **options)), GREY) < tolerance
    assert difference(look(written(colours, photometric="rgb", **options)), RGB) < tolerance
    planes = np.ascontiguousarray(np.moveaxis(colours, 2, 0))
    assert difference(look(written(planes, photometric="rgb", planarconfig="separate", **options)), RGB) < tolerance
    inks = look(written(full_range(CMYK, kind), photometric="separated", **options))
    assert difference(inks, picture().convert("CMYK").convert("RGB")) < tolerance


@pytest.mark.parametrize("name", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "lzma", "zstd"])
def test_every_compression_of_bytes_is_unpacked(name: str) -> None:
    """Pillow writes the compressed bytes as a grey picture. The header is then changed to 32-bit floats."""
    rows = full_range(GREY, "f4").view(np.uint8)
    data = saved(Image.fromarray(rows), "TIFF", compression=name)
    layout = read_layout(data)
    assert layout is not None
    packed = b"".join(data[o : o + n] for o, n in zip(layout.offsets, layout.counts, strict=True))
    tags = {258: (3, [32]), 259: (3, [layout.compression]), 262: (3, [1]), 277: (3, [1]), 339: (3, [3])}
    assert len(layout.offsets) == 1
    assert difference(look(tiff(SIZE, tags, packed)), GREY) < 1


def test_the_predictor_of_floats_is_undone() -> None:
    """It stores the bytes of each row by significance, as differences (Adobe TIFF Technical Note 3)."""
    values = full_range(RGB, "f4")
    rows = values.astype(">f4").view(np.uint8).reshape(HEIGHT, WIDTH * 3, 4).transpose(0, 2, 1).reshape(HEIGHT, -1, 3)
    differences = np.diff(rows, axis=1, prepend=np.zeros((HEIGHT, 1, 3), np.uint8)).astype(np.uint8)
    tags = {258: (3, [32] * 3), 262: (3, [2]), 277: (3, [3]), 317: (3, [3]), 339: (3, [3] * 3)}
    assert difference(look(tiff(SIZE, tags, differences.tobytes())), RGB) < 1


def packed_bits(values: np.ndarray, bits: int) -> bytes:
    """Rows of numbers without gaps, each row filled up to whole bytes."""
    flags = (values.astype(np.int64)[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(flags.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 10, 12, 14, 16])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_every_depth_of_grey_is_scaled_to_white(bits: int, white_is_zero: bool, order: str) -> None:
    values = GREY.astype(np.int64) * (2**bits - 1) // 255
    data = values.astype(order + "u2").tobytes() if bits == 16 else packed_bits(values, bits)
    expected = np.round(values * 255 / (2**bits - 1))
    tags = {258: (3, [bits]), 262: (3, [0 if white_is_zero else 1]), 277: (3, [1])}
    assert difference(look(tiff(SIZE, tags, data, order)), 255 - expected if white_is_zero else expected) < 0.6


@pytest.mark.parametrize("bits", [4, 10, 12])
def test_colours_of_unusual_depths_are_scaled(bits: int) -> None:
    values = RGB.astype(np.int64) * (2**bits - 1) // 255
    tags = {258: (3, [bits] * 3), 262: (3, [2]), 277: (3, [3])}
    seen = look(tiff(SIZE, tags, packed_bits(values.reshape(HEIGHT, -1), bits)))
    assert difference(seen, values * 255 / (2**bits - 1)) < 0.6


@pytest.mark.parametrize("scale", [1, 257])
def test_palettes_with_entries_of_8_and_16_bits_have_the_same_colours(scale: int) -> None:
    image = picture().quantize(256)
    palette = np.zeros((256, 3), int)
    used = np.array(image.getpalette()).reshape(-1, 3)
    palette[: len(used)] = used
    tags = {258: (3, [8]), 262: (3, [3]), 277: (3, [1]), 320: (3, [int(n) * scale for n in palette.T.ravel()])}
    assert difference(look(tiff(SIZE, tags, image.tobytes())), image.convert("RGB")) == 0


@pytest.mark.parametrize(
    ("samples", "extras", "expected"),
    [
        ([RGB, ALPHA], [2], ON_WHITE),
        ([(RGB * (ALPHA[..., None] / 255)).round(), ALPHA], [1], ON_WHITE),
        ([RGB, ALPHA], [0], RGB),
        ([RGB, GREY, ALPHA], [0, 2], ON_WHITE),
        ([RGB, GREY, GREY, GREY], [0, 0, 0], RGB),
        ([GREY, ALPHA], [2], GREY * (ALPHA / 255) + 255 - ALPHA),
        ([(GREY * (ALPHA / 255)).round(), ALPHA], [1], GREY * (ALPHA / 255) + 255 - ALPHA),
        ([GREY, ALPHA, ALPHA, ALPHA], [0, 0, 0], GREY),
        ([CMYK, ALPHA], [2], ON_WHITE),
        ([CMYK, ALPHA], [0], RGB),
    ],
)
@pytest.mark.parametrize("kind", ["u1", "<u2", "<u4", "<f4"])
@pytest.mark.parametrize("planar", [False, True])
def test_extra_samples_are_alpha_or_ignored(
    samples: list[np.ndarray], extras: list[int], expected: np.ndarray, kind: str, planar: bool
) -> None:
    values = np.dstack(samples).astype(np.uint8)
    number = values.shape[2]
    colours = {1: 1, 3: 2, 4: 5}[number - len(extras)]
    bits, number_format = np.dtype(kind).itemsize * 8, 3 if "f" in kind else 1
    tags = {258: (3, [bits] * number), 262: (3, [colours]), 277: (3, [number]), 338: (3, extras)}
    tags |= {284: (3, [1 + planar]), 339: (3, [number_format] * number)}
    data = full_range(values, kind.strip("<"))
    if planar:
        data = np.moveaxis(data, 2, 0)
        plane = HEIGHT * WIDTH * bits // 8
        file = tiff(SIZE, tags | {279: (4, [plane] * number), 273: (4, [0] * number)}, b"")
        layout = read_layout(file)
        assert layout is not None
        file = planes_at_end(SIZE, tags, [part.tobytes() for part in data])
    else:
        file = tiff(SIZE, tags, data.tobytes())
    assert difference(look(file), expected) < 1


def planes_at_end(size: tuple[int, int], tags: dict[int, tuple[int, list[int]]], planes: list[bytes]) -> bytes:
    """A planar TIFF. `tiff` knows one strip, so the offsets of the others are put into a copy of its tags."""
    from tests.photos import files

    counts = [len(plane) for plane in planes]
    file = files.tiff(size, tags | {279: (4, counts)}, b"".join(planes))
    # the single offset becomes a list that is appended to the file
    start = len(file) - sum(counts)
    offsets = [start + sum(counts[:number]) for number in range(len(planes))]
    entry = file.index((273).to_bytes(2, "little") + (4).to_bytes(2, "little"), 8)
    new = (len(planes)).to_bytes(4, "little") + len(file).to_bytes(4, "little")
    return file[: entry + 4] + new + file[entry + 12 :] + np.array(offsets, "<u4").tobytes()


def lab() -> np.ndarray:
    """Lightness, and a and b as unsigned bytes with an offset of 128."""
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.buildTransform(*profiles, "RGB", "LAB").apply(picture())
    return np.frombuffer(image.tobytes(), np.uint8).reshape(RGB.shape) ^ np.array([0, 128, 128], np.uint8)


def test_lab_colours_of_8_and_16_bits_are_signed_and_icc_lab_is_not() -> None:
    signed = lab() ^ np.array([0, 128, 128], np.uint8)
    wide = signed.astype("<u2") << 8
    for bits, model, values in ((8, 8, signed), (16, 8, wide), (8, 9, lab()), (16, 9, lab().astype("<u2") << 8)):
        tags = {258: (3, [bits] * 3), 262: (3, [model]), 277: (3, [3])}
        assert difference(look(tiff(SIZE, tags, values.tobytes())), RGB) < 4


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)])
def test_uncompressed_ycbcr_with_shared_colours_is_read(across: int, down: int) -> None:
    colours = np.asarray(picture().convert("YCbCr"))
    colours = np.pad(colours, ((0, -HEIGHT % down), (0, -WIDTH % across), (0, 0)), mode="edge")
    data = b""
    for top in range(0, len(colours), down):
        for left in range(0, colours.shape[1], across):
            group = colours[top : top + down, left : left + across]
            data += group[..., 0].tobytes() + bytes([int(group[..., 1].mean()), int(group[..., 2].mean())])
    tags = {258: (3, [8] * 3), 262: (3, [6]), 277: (3, [3]), 530: (3, [across, down])}
    assert difference(look(tiff(SIZE, tags, data)), RGB) < 6


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_reversed_bits_are_turned_back(bits: int) -> None:
    values = np.frombuffer(full_range(GREY, f"u{bits // 8}").tobytes(), np.uint8)
    tags = {258: (3, [bits]), 262: (3, [1]), 266: (3, [2]), 277: (3, [1])}
    assert difference(look(tiff(SIZE, tags, REVERSED[values].tobytes())), GREY) < 1


@pytest.mark.parametrize("kind", ["u1", "u4", "f4"])
def test_big_tiff_and_the_first_of_several_pages_are_read(kind: str) -> None:
    pages = np.stack([full_range(GREY, kind), full_range(255 - GREY, kind)])
    for order in "<>":
        data = written(pages, bigtiff=True, byteorder=order, photometric="minisblack")
        assert difference(look(data), GREY) < 1
        assert difference(look(written(pages, byteorder=order, photometric="minisblack")), GREY) < 1


def test_dark_and_negative_numbers_are_stretched_and_never_wrap() -> None:
    ramp = np.tile(np.linspace(-1000, 1000, WIDTH).astype("i2"), (HEIGHT, 1))
    row = look(written(ramp, photometric="minisblack"))[0, :, 0].astype(int)
    assert (row[0], row[-1]) == (0, 255)
    assert (np.diff(row) >= 0).all()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_float_picture_is_turned_upright_and_its_date_is_read(orientation: int) -> None:
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored = np.asarray(picture().transpose(turn[orientation])) if orientation in turn else RGB
    size = (stored.shape[1], stored.shape[0])
    tags = {258: (3, [32] * 3), 262: (3, [2]), 277: (3, [3]), 339: (3, [3] * 3), 274: (3, [orientation])}
    tags[306] = (2, list(b"2023:06:01 12:34:56\0"))
    photo = decode(tiff(size, tags, full_range(stored, "f4").tobytes()))
    assert (photo.width, photo.height, photo.format) == (*SIZE, "TIFF")
    assert difference(photo.image, RGB) < 1
    assert str(photo.metadata.taken_at) == "2023-06-01 12:34:56"


def test_a_float_picture_is_reduced() -> None:
    photo = decode(written(full_range(RGB, "f4"), photometric="rgb"), min_side=10)
    assert photo.image.size == (round(97 * 20 / 61), 20)


@pytest.mark.parametrize("compression", ["jpeg", "group4"])
def test_compressions_of_pictures_are_left_to_pillow(compression: str) -> None:
    image = picture() if compression == "jpeg" else picture().convert("1")
    data = saved(image, "TIFF", compression=compression)
    layout = read_layout(data)
    assert layout is not None
    assert not needs_own_reader(layout)
    assert difference(look(data), image.convert("RGB")) < 5


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({259: (3, [34712])}, "unsupported kind: TIFF with JPEG 2000 compression"),
        ({259: (3, [50002])}, "unsupported kind: TIFF with JPEG XL compression"),
        ({259: (3, [34887])}, "unsupported kind: TIFF with LERC compression"),
        ({259: (3, [6])}, "unsupported kind: TIFF with old JPEG compression"),
        ({259: (3, [999])}, "unsupported kind: TIFF with unknown"),
        ({262: (3, [32803])}, r"unsupported kind: camera raw \(RAW\) of an unknown camera"),
        ({258: (3, [64]), 339: (3, [6])}, "unsupported kind: TIFF with samples of format 6"),
        ({258: (3, [5, 6, 5]), 262: (3, [2]), 277: (3, [3])}, "unsupported kind: TIFF with samples of 5/6/5 bits"),
        ({258: (3, [32])}, "truncated"),
        ({258: (3, [32]), 278: (4, [1])}, "truncated"),
        ({258: (3, [32]), 262: (3, [2])}, "damaged: 1 samples per pixel instead of 3"),
        ({256: (4, [100_000]), 257: (4, [100_000])}, "too large"),
        (
            {256: (4, [9_990]), 257: (4, [9_990]), 258: (3, [8] * 5), 277: (3, [5]), 262: (3, [5])},
            "too large|truncated",
        ),
    ],
)
def test_what_cannot_be_read_has_the_right_reason(tags: dict[int, tuple[int, list[int]]], reason: str) -> None:
    base = {258: (3, [8]), 262: (3, [1]), 277: (3, [1])}
    with pytest.raises(PhotoError, match=reason):
        decode(tiff(SIZE, base | tags, GREY.tobytes()))


def test_a_tile_that_unpacks_to_gigabytes_is_refused() -> None:
    tags = {322: (4, [60_000]), 323: (4, [60_000]), 324: (4, [8]), 325: (4, [100]), 259: (3, [8])}
    for bits in (8, 32):
        with pytest.raises(PhotoError, match="too large: TIFF with a strip or tile of"):
            decode(tiff(SIZE, {258: (3, [bits]), 262: (3, [1]), 277: (3, [1])} | tags, GREY.tobytes()))


@pytest.mark.parametrize("kind", ["u2", "u4", "f4", "f8"])
@pytest.mark.parametrize("planar", [False, True])
def test_imagemagick_shows_the_same_picture(kind: str, planar: bool, tmp_path: Path) -> None:
    values = full_range(RGB, kind)
    if planar:
        data = written(np.ascontiguousarray(np.moveaxis(values, 2, 0)), photometric="rgb", planarconfig="separate")
    else:
        data = written(values, photometric="rgb")
    (tmp_path / "a.tif").write_bytes(data)
    done = subprocess.run(
        [needs("convert"), tmp_path / "a.tif", "-depth", "8", "rgb:-"], capture_output=True, check=True, timeout=60
    )
    assert difference(look(data), np.frombuffer(done.stdout, np.uint8).reshape(RGB.shape)) < 1
