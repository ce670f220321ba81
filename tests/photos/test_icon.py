"""Icons show their largest picture."""

import struct
from typing import Any

import pytest
from PIL import Image

from searcher.photos.decode import PhotoError, decode
from tests.photos.files import difference, picture, saved


def icon(*pictures: tuple[int, int, bytes]) -> bytes:
    """An icon file. pictures: the side that the file says, bits per pixel, and the bytes of each."""
    place = 6 + 16 * len(pictures)
    entries, bodies = b"", b""
    for side, bits, body in pictures:
        entries += struct.pack("<BBBBHHII", side % 256, side % 256, 0, 0, 1, bits, len(body), place + len(bodies))
        bodies += body
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + bodies


@pytest.mark.parametrize("options", [{}, {"bitmap_format": "bmp"}])
def test_the_largest_picture_is_read(options: dict[str, Any]) -> None:
    image = picture(width=256, height=256)
    data = saved(image, "ICO", sizes=[(16, 16), (256, 256), (48, 48)], **options)
    photo = decode(data)
    assert photo.format == "ICO"
    assert photo.image.size == (256, 256)
    assert difference(photo.image, image) == 0


def test_of_several_pictures_of_one_size_that_with_most_colours_is_read() -> None:
    red, blue = (saved(Image.new("RGB", (32, 32), colour), "PNG") for colour in ("red", "blue"))
    assert decode(icon((32, 8, red), (32, 32, blue))).image.getpixel((0, 0)) == (0, 0, 255)
    assert decode(icon((32, 32, red), (32, 8, blue))).image.getpixel((0, 0)) == (255, 0, 0)


def test_transparent_parts_are_white() -> None:
    for options in ({}, {"bitmap_format": "bmp"}):
        data = saved(Image.new("RGBA", (32, 32), (255, 0, 0, 0)), "ICO", sizes=[(32, 32)], **options)
        assert decode(data).image.getpixel((5, 5)) == (255, 255, 255)


def test_a_picture_that_asks_for_too_much_is_refused() -> None:
    head = struct.pack("<IiiHHIIiiII", 40, 30_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    with pytest.raises(PhotoError, match="too large: icon of 30000 × 30000 pixels"):
        decode(icon((32, 24, head + bytes(100))))
    with pytest.raises(PhotoError, match="truncated"):
        decode(icon((32, 24, head))[:-10])
