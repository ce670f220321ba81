"""A problem in a chunk that is not critical does not keep a PNG from being read."""

import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from searcher.photos import limits, png
from searcher.photos.decode import PhotoError, decode
from tests.photos.files import chunk, difference, grey_profile, picture, saved
from tests.photos.files import png as png_of

PIXELS = np.asarray(picture())
XMP = b"XML:com.adobe.xmp\0\1\0\0\0"
BOMB = zlib.compress(bytes(100_000_000))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iTXt", XMP + zlib.compress(b" " * 2_000_000)),
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"{}" * 1_000_000)),
        chunk(b"tEXt", b"workflow\0" + b"x" * 2_000_000) * 40,
        chunk(b"zTXt", b"a\0\0" + BOMB) * 20,
        chunk(b"iTXt", XMP + BOMB) * 20,
        chunk(b"iCCP", b"a\0\0" + BOMB) * 20,
        chunk(b"iCCP", b"a\0\0garbage"),
        chunk(b"iCCP", b""),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(b"x"), wrong=1),
        chunk(b"tEXt", b"a\0b", wrong=1),
        chunk(b"gAMA", struct.pack(">I", 45455), wrong=1),
        chunk(b"gAMA", b"1"),
        chunk(b"pHYs", b"1"),
        chunk(b"eXIf", b"garbage"),
        chunk(b"zTXt", b"no separator"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
        chunk(b"tRNS", b"12", wrong=1),
        chunk(b"acTL", b""),
        chunk(b"fcTL", b"1234"),
    ],
    ids=range(19),
)
def test_a_problem_in_metadata_is_ignored(extra: bytes) -> None:
    start = time.perf_counter()
    for data in (png_of(picture(), extra), png_of(picture(), b"", extra)):
        assert difference(decode(data).image, PIXELS) == 0
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND"])
def test_a_wrong_checksum_of_a_critical_chunk_is_damage(kind: bytes) -> None:
    data = saved(picture().quantize(16), "PNG")
    start = data.index(kind) - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    with pytest.raises(PhotoError, match=f"damaged: wrong checksum of its {kind.decode()} chunk"):
        decode(data[: end - 4] + bytes(4) + data[end:])


def test_data_after_the_end_and_a_missing_end_are_ignored() -> None:
    data = png_of(picture())
    for changed in (data + b"garbage" * 1000, data[:-12], data[:-5]):
        assert difference(decode(changed).image, PIXELS) == 0


def test_texts_between_ten_thousands_of_small_parts_cost_little_time() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8))
    head, packed, end = (png_of(image)[part] for part in (slice(33), slice(41, -16), slice(-12, None)))
    parts = (chunk(b"IDAT", packed[at : at + 10]) for at in range(0, len(packed), 10))
    start = time.perf_counter()
    assert difference(decode(head + chunk(b"tEXt", b"a\0b").join(parts) + end).image, np.asarray(image)) == 0
    assert time.perf_counter() - start < 10


def test_a_profile_larger_than_a_mebibyte_is_used() -> None:
    profile = grey_profile(1.0) + bytes(2_000_000)
    linear = Image.fromarray(((np.asarray(picture().convert("L")) / 255) ** 2.2 * 255).round().astype(np.uint8))
    data = saved(linear, "PNG")
    packed = chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))
    assert difference(decode(data[:33] + packed + data[33:]).image, np.asarray(picture().convert("L"))) < 6


@pytest.mark.parametrize("packed", [False, True])
def test_metadata_is_read_from_chunks_before_and_after_the_pixels(packed: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2023:06:01 12:34:56"
    raw = exif.tobytes()
    text = f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode()
    old = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)) if packed else None
    old = old or chunk(b"tEXt", b"Raw profile type exif\0" + text)
    for extra in (chunk(b"eXIf", raw.removeprefix(b"Exif\0\0")), old):
        for data in (png_of(picture(), extra), png_of(picture(), b"", extra)):
            photo = decode(data)
            assert str(photo.metadata.taken_at) == "2023-06-01 12:34:56"
            assert difference(photo.image, picture().transpose(Image.Transpose.ROTATE_270)) == 0
    xmp = b'<x:xmpmeta tiff:Orientation="6"/>'
    turned = png_of(picture(), chunk(b"iTXt", XMP + zlib.compress(xmp)))
    assert decode(turned).image.size == (61, 97)


def test_too_many_chunks_are_refused_quickly() -> None:
    start = time.perf_counter()
    with pytest.raises(PhotoError, match="too large: more than 200,000 PNG chunks"):
        decode(png_of(picture(), chunk(b"prVt", b"") * (limits.MAX_PNG_CHUNKS + 1)))
    assert time.perf_counter() - start < 2


def test_an_invalid_chunk_type_is_damage_and_apples_own_form_is_unsupported() -> None:
    with pytest.raises(PhotoError, match="damaged: invalid type of a PNG chunk"):
        decode(png_of(picture(), chunk(b"a\nb\0", b"")))
    data = png_of(picture())
    with pytest.raises(PhotoError, match="unsupported kind: PNG"):
        decode(data[:8] + chunk(b"CgBI", bytes(4)) + data[8:])


def test_only_the_chunks_of_the_picture_are_given_to_pillow() -> None:
    plain = png_of(picture())
    parts = png.read_chunks(png_of(picture(), chunk(b"tEXt", b"a\0b"), chunk(b"tIME", bytes(7))))
    file = parts.picture
    assert file.read() == plain
    assert file.seek(-4, 2) == len(plain) - 4
    assert file.read(10) == plain[-4:]
    assert file.seek(30) == file.tell() == 30
    assert file.read(40) == plain[30:70]
    assert file.read(0) == b""
