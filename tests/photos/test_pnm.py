"""PNM files of every kind give the pixels that they say."""

import time

import numpy as np
import pytest

from searcher.photos.decode import PhotoError, decode
from tests.photos.files import difference, picture, saved

IMAGE = picture()
RGB, GREY = np.asarray(IMAGE), np.asarray(IMAGE.convert("L"))
BITS = np.asarray(IMAGE.convert("1"))


def text(values: np.ndarray) -> bytes:
    return b" ".join(b"%d" % value for value in values.ravel())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P6 97 61 255\n" + RGB.tobytes(), RGB),
        (b"P6\n# by a scanner\n97 #width\n61\n65535\n" + (RGB.astype(">u2") * 257).tobytes(), RGB),
        (b"P5 97 61 255\n" + GREY.tobytes() + b"P5 the next picture", GREY),
        (b"P5 97 61 1000\n" + np.round(GREY / 255 * 1000).astype(">u2").tobytes(), GREY),
        (b"P5 97 61 15\n" + (GREY // 17).tobytes(), GREY // 17 * 17),
        (b"P4 97 61\n" + np.packbits(~BITS, axis=1).tobytes(), BITS * 255),
        (b"P3 97 61 255\n" + text(RGB) + b" # the end\n", RGB),
        (b"P2\n97 61\n255\n" + text(GREY), GREY),
        (b"P1\n97 61\n" + text(~BITS), BITS * 255),
        (b"P1 97 61 " + text(~BITS).replace(b" ", b""), BITS * 255),
    ],
)
@pytest.mark.parametrize("band", [2**20, 1000])
def test_each_kind_gives_its_pixels(
    data: bytes, expected: np.ndarray, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searcher.photos.pnm._BAND_VALUES", band)
    photo = decode(data)
    assert (photo.format, photo.width, photo.height) == ("PNM", 97, 61)
    assert difference(photo.image, expected) == 0


def test_what_pillow_writes_is_read() -> None:
    assert difference(decode(saved(IMAGE, "PPM")).image, RGB) == 0
    assert difference(decode(saved(IMAGE.convert("1"), "PPM")).image, BITS * 255) == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"P6 97 61 255\n" + RGB.tobytes()[:-1], "truncated"),
        (b"P4 97 61\n" + bytes(700), "truncated"),
        (b"P2 3 1 255 1 2", "truncated"),
        (b"P1 3 1 10", "truncated"),
        (b"P3 1 1 255 1 2 -3", "not a number"),
        (b"P5 0 1 255\n1", "header"),
        (b"P5 1 1 0\n1", "header"),
        (b"P5 1 1 65536\n1", "header"),
        (b"P5 1\n" + b"#\n" * 2000 + b"1 255\n1", "header"),
        (b"P6 99999 99999 255\n", "too large"),
    ],
)
def test_an_invalid_file_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(PhotoError, match=reason):
        decode(data)


def test_a_photo_of_16_bits_takes_less_than_a_second_a_million_pixels() -> None:
    """Pillow takes a second for 0.3 million."""
    data = b"P6 2000 1000 4095\n" + bytes(12_000_000)
    start = time.process_time()
    decode(data, 224)
    assert time.process_time() - start < 2
