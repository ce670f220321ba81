"""JPEG 2000 files are decoded at a reduced scale if that is enough, with their colours."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from searcher.photos import decoder as module
from searcher.photos.decode import PhotoError, decode
from tests.photos.files import difference, picture, saved


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


@pytest.mark.parametrize("size", [(640, 480), (1023, 767), (255, 1001), (97, 61)])
@pytest.mark.parametrize("options", [{}, {"tile_size": (64, 64)}, {"num_resolutions": 3}, {"no_jp2": True}])
def test_a_reduced_image_looks_like_the_whole_one(size: tuple[int, int], options: dict[str, Any]) -> None:
    image = picture(width=size[0], height=size[1])
    data = saved(image, "JPEG2000", **options)
    whole = decode(data)
    assert whole.format == "JPEG 2000"
    assert difference(whole.image, image) == 0
    small = decode(data, 20)
    assert (small.width, small.height) == size
    assert 40 <= min(small.image.size) <= min(size)
    resized = image.resize(small.image.size, Image.Resampling.BOX)
    assert difference(small.image, resized) < 6


def test_an_image_that_begins_inside_a_reduced_pixel_is_decoded_at_full_size() -> None:
    data = bytearray(saved(picture(width=640, height=480), "JPEG2000", no_jp2=True))
    assert decode(bytes(data), 20).image.size == (80, 60)
    struct.pack_into(">IIII", data, 8, 643, 483, 3, 3)  # the size and the offset of the image
    struct.pack_into(">IIII", data, 24, 643, 483, 3, 3)  # those of the tiles
    assert decode(bytes(data), 20).image.size == (53, 40)  # reduced after it was decoded


def test_a_channel_with_its_own_settings_is_decoded_at_full_size() -> None:
    data = saved(picture(width=640, height=480), "JPEG2000", no_jp2=True)
    settings = data.index(b"\xff\x52")
    own = data[settings + 9 : settings + 4 + 10]  # levels, sizes of blocks, style, filter
    channel = b"\xff\x53" + struct.pack(">HBB", 4 + len(own), 0, 0) + own
    end = settings + 2 + int.from_bytes(data[settings + 2 : settings + 4])
    assert decode(data[:end] + channel + data[end:], 20).image.size == (53, 40)


def test_the_limit_of_pixels_is_that_of_the_reduced_image(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(picture(width=640, height=480), "JPEG2000")
    monkeypatch.setattr(module, "MAX_JPEG_2000_PIXELS", 80 * 60)
    assert decode(data, 20).width == 640
    with pytest.raises(PhotoError, match="too large: 640 × 480 pixels"):
        decode(data)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_other_pixel_modes_look_right(mode: str) -> None:
    grey = picture().convert("L")
    if mode == "I;16":
        image: Image.Image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert(mode)
    assert difference(decode(saved(image, "JPEG2000")).image, grey) < 1


def test_a_colour_profile_is_applied() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    data = saved(Image.new("RGB", (30, 20), (120, 160, 90)), "JPEG2000")
    start = data.index(b"colr") - 4
    size = int.from_bytes(data[start : start + 4])
    colour = box(b"colr", b"\2\0\0" + profile)
    header = data.index(b"jp2h") - 4
    grown = int.from_bytes(data[header : header + 4]) + len(colour) - size
    data = data[:header] + struct.pack(">I", grown) + data[header + 4 : start] + colour + data[start + size :]
    from searcher.photos.opening import open_image

    assert open_image(data).info["icc_profile"] == profile
    assert decode(data).image.size == (30, 20)
