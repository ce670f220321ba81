"""Images of every pixel mode are converted to the colours that a viewer would show."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from PIL import Image, ImageCms

from searcher.photos import colour
from searcher.photos.decode import decode
from tests.photos.files import grey_profile

RAMP = np.linspace(0, 1, 64 * 16).reshape(16, 64)  # black at the top left, white at the bottom right
GREY = (RAMP * 255).round().astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def levels(data: bytes) -> np.ndarray:
    """The pixel values of the decoded image, float (h, w, 3)."""
    image = decode(data).image
    assert image.mode == "RGB"
    return np.asarray(image, float)


def close(one: np.ndarray, other: ArrayLike, tolerance: float) -> bool:
    return bool(np.abs(one - np.asarray(other, float)).max() <= tolerance)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    data = saved(Image.fromarray((RAMP * 65535).round().astype(np.uint16)), kind)
    assert close(levels(data), GREY[:, :, None], 1)


def test_16_bit_grey_in_big_endian_is_scaled_the_same() -> None:
    image = Image.fromarray((RAMP * 65535).round().astype(">u2"))
    assert close(levels(saved(image, "TIFF")), GREY[:, :, None], 1)


def test_12_bit_grey_is_scaled_to_white() -> None:
    """Pillow reads packed 12-bit TIFF but cannot write it, so the test builds one: one strip, two pixels in 3 bytes."""
    import struct

    pixels = bytes([0xFF, 0xF0, 0x00])  # white, black
    entries = [
        (256, 3, 1, 2),
        (257, 3, 1, 1),
        (258, 3, 1, 12),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
    ]
    entries += [(277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 3)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4)
    data = b"II*\0" + struct.pack("<I", 12) + pixels + b"\0" + directory
    assert close(levels(data)[0], [(255,) * 3, (0,) * 3], 0)


@pytest.mark.parametrize("bits", [np.uint16, np.uint8])
def test_16_bit_colours_lose_only_the_low_byte(bits: type[np.unsignedinteger[Any]]) -> None:
    """Pillow cannot write a 16-bit RGB PNG, so the test builds one."""
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    top = np.iinfo(bits).max
    row = np.array([[top, 0, 0], [top // 2, top // 2, 0]]).astype(np.dtype(bits).newbyteorder(">")).tobytes()
    header = struct.pack(">IIBBBBB", 2, 1, np.iinfo(bits).bits, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row))
    assert close(levels(data + chunk(b"IEND", b""))[0], [(255, 0, 0), (127, 127, 0)], 1)


@pytest.mark.parametrize("white", [1, 0.7, 255, 200, 65535, 1e6])
def test_floats_are_scaled_by_the_white_that_fits_their_range(white: float) -> None:
    data = saved(Image.fromarray((RAMP * white).astype(np.float32)), "TIFF")
    expected = {0.7: 0.7, 200: 200 / 255}.get(white, 1) * RAMP * 255
    assert close(levels(data), expected[:, :, None], 1)


def test_a_tall_image_is_scaled_without_visible_bands() -> None:
    values = np.linspace(0, 65535, 1000).round().astype(np.uint16)[:, None].repeat(3, axis=1)
    assert close(levels(saved(Image.fromarray(values), "PNG")), (values / 257)[:, :, None], 1)


def test_floats_with_nan_infinite_and_negative_values_are_decoded() -> None:
    values = (RAMP * 20 - 10).astype(np.float32)
    values[0, 5], values[0, 6], values[0, 7] = np.nan, np.inf, -np.inf
    seen = levels(saved(Image.fromarray(values), "TIFF"))
    assert close(seen[1:], GREY[1:, :, None], 1)
    assert [seen[0, i, 0] for i in (5, 6, 7)] == [0, 255, 0]
    assert close(levels(saved(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF")), 0, 0)


def test_32_bit_integers_are_scaled() -> None:
    data = saved(Image.fromarray((RAMP * 2_000_000).astype(np.int32)), "TIFF")
    assert close(levels(data), GREY[:, :, None], 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_grey_becomes_three_equal_channels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100}
    seen = levels(saved(Image.fromarray(GREY), kind, **options))
    assert close(seen, GREY[:, :, None], 3)


def test_1_bit_images_become_pure_black_and_white() -> None:
    for kind in ("PNG", "TIFF", "BMP"):
        seen = levels(saved(Image.fromarray(GREY > 127), kind))
        assert close(seen, np.where(GREY > 127, 255, 0)[:, :, None], 0)


def test_transparent_pixels_are_shown_on_white() -> None:
    clear, half = (255, 0, 0, 0), (255, 0, 0, 128)
    image = Image.new("RGBA", (4, 2), clear)
    image.paste(half, (2, 0, 4, 2))
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        seen = levels(saved(image, kind, **options))
        assert close(seen[:, :2], 255, 0)
        assert close(seen[:, 2:], (255, 127, 127), 1)


def test_transparent_grey_is_shown_on_white() -> None:
    image = Image.new("LA", (4, 2), (0, 0))
    image.paste((0, 255), (2, 0, 4, 2))
    seen = levels(saved(image, "PNG"))
    assert close(seen[:, :2], 255, 0)
    assert close(seen[:, 2:], 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_the_transparent_colour_of_a_palette_is_white(kind: str) -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(1, (2, 0, 4, 2))
    opaque = levels(saved(image, kind))
    assert close(opaque[:, :2], (10, 20, 30), 0)
    seen = levels(saved(image, kind, transparency=0))
    assert close(seen[:, :2], 255, 0)
    assert close(seen[:, 2:], (200, 0, 0), 0)


def test_a_palette_with_alpha_per_colour_is_blended_with_white() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    seen = levels(saved(image, "PNG", transparency=bytes([255, 128])))
    assert close(seen[0], [(0, 0, 0), (127, 127, 127)], 1)


def test_one_colour_of_an_rgb_png_can_be_transparent() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    seen = levels(saved(image, "PNG", transparency=(1, 2, 3)))
    assert close(seen[0], [(255, 255, 255), (9, 9, 9)], 0)


INKS = {"red": (0, 255, 255, 0), "white": (0, 0, 0, 0), "black": (0, 0, 0, 255), "cyan": (255, 0, 0, 0)}
SEEN = {"red": (255, 0, 0), "white": (255, 255, 255), "black": (0, 0, 0), "cyan": (0, 255, 255)}


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("min_side", [None, 2])
def test_the_inks_of_a_cmyk_jpeg_are_right(ink: str, min_side: int | None) -> None:
    data = saved(Image.new("CMYK", (16, 16), INKS[ink]), "JPEG", quality=100)
    assert close(np.asarray(decode(data, min_side).image, float), SEEN[ink], 3)


@pytest.mark.parametrize("ink", INKS)
def test_a_cmyk_tiff_is_never_inverted(ink: str) -> None:
    data = saved(Image.new("CMYK", (8, 8), INKS[ink]), "TIFF")
    assert close(levels(data), SEEN[ink], 1)


def test_lab_and_ycbcr_tiffs_have_the_right_colours() -> None:
    seen = levels(saved(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF"))
    assert close(seen, 255, 4)
    seen = levels(saved(Image.new("RGB", (4, 4), "red").convert("YCbCr"), "TIFF"))
    assert close(seen, (255, 0, 0), 3)


@pytest.mark.parametrize("gamma", [1.0, 1.8])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_grey_profile_is_applied(gamma: float, kind: str) -> None:
    """The levels of linear grey are much darker than those of sRGB."""
    linear = np.where(RAMP <= 0.04045, RAMP / 12.92, ((RAMP + 0.055) / 1.055) ** 2.4)
    image = Image.fromarray((linear ** (1 / gamma) * 255).round().astype(np.uint8))
    options = {"quality": 100} if kind == "JPEG" else {}
    data = saved(image, kind, icc_profile=grey_profile(gamma), **options)
    assert np.abs(levels(data) - GREY[:, :, None]).mean() < 3
    assert np.abs(np.asarray(decode(data, min_side=4).image, float).mean() - GREY.mean()) < 6


def test_a_grey_profile_is_applied_to_16_bit_and_transparent_grey() -> None:
    linear = np.where(RAMP <= 0.04045, RAMP / 12.92, ((RAMP + 0.055) / 1.055) ** 2.4)
    wide = Image.fromarray((linear * 65535).round().astype(np.uint16))
    for kind in ("PNG", "TIFF"):
        seen = levels(saved(wide, kind, icc_profile=grey_profile(1.0)))
        assert close(seen, GREY[:, :, None], 2), "16 bits keep the dark levels apart"
    grey = Image.fromarray((linear * 255).round().astype(np.uint8))
    image = Image.merge("LA", [grey, Image.new("L", grey.size, 255)])
    image.paste((0, 0), (0, 0, 4, 4))
    seen = levels(saved(image, "PNG", icc_profile=grey_profile(1.0)))
    assert close(seen[:4, :4], 255, 0)
    assert np.abs(seen[4:] - GREY[4:, :, None]).mean() < 3


@pytest.mark.parametrize("profile", [b"garbage", grey_profile(1.0)[:150], bytes(200)])
def test_a_broken_grey_profile_is_ignored(profile: bytes) -> None:
    for mode, value in (("L", 77), ("LA", (77, 255)), ("I;16", 77 * 257)):
        data = saved(Image.new(mode, (8, 8), value), "PNG", icc_profile=profile)
        assert close(levels(data), 77, 0)


def test_a_grey_profile_on_a_colour_image_is_ignored() -> None:
    data = saved(Image.new("RGB", (8, 8), (200, 40, 40)), "PNG", icc_profile=grey_profile(1.0))
    assert close(levels(data), (200, 40, 40), 0)


def swapped_profile() -> bytes:
    """A valid RGB profile with red and green exchanged, so that its effect is obvious."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    start = 132
    tags = {}
    for number in range(int.from_bytes(profile[128:132])):
        at = start + 12 * number
        tags[bytes(profile[at : at + 4])] = at
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    # Its description contains "sRGB" in UTF-16, and sRGB profiles are ignored.
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_an_image_with_another_rgb_profile_is_converted_to_srgb(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100}
    image = Image.new("RGB", (64, 64), (200, 40, 40))
    data = saved(image, kind, icc_profile=swapped_profile(), **options)
    assert close(levels(data), (40, 200, 40), 6)
    assert close(np.asarray(decode(data, min_side=4).image, float), (40, 200, 40), 6)


@pytest.mark.parametrize("profile", [b"garbage", b"", bytes(200), swapped_profile()[:150]])
def test_a_broken_profile_is_ignored(profile: bytes) -> None:
    data = saved(Image.new("RGB", (8, 8), (200, 40, 40)), "PNG", icc_profile=profile)
    assert close(levels(data), (200, 40, 40), 0)


def test_a_profile_for_another_colour_mode_is_ignored() -> None:
    for mode, value in (("L", 77), ("LA", (77, 255)), ("1", 1)):
        data = saved(Image.new(mode, (8, 8), value), "PNG", icc_profile=swapped_profile())
        assert close(levels(data), 255 if mode == "1" else 77, 0)


def test_an_srgb_profile_changes_no_pixel() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.effect_noise((32, 32), 90).convert("RGB")
    assert close(levels(saved(image, "PNG", icc_profile=profile)), np.asarray(image, float), 0)
    assert colour._to_srgb_transform(profile, "RGB") is None, "there should be no transform"
