"""The first frame of an animation is shown on its canvas."""

import struct

import pytest
from PIL import Image

from searcher.photos.decode import decode
from tests.photos.files import saved


def gif(canvas: tuple[int, int], frame: tuple[int, int, int, int], transparent: int | None = None) -> bytes:
    """A GIF whose first frame covers a part of the canvas in green. frame: x, y, width, height."""
    palette = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0])
    data = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0xF1, 2, 0) + palette
    if transparent is not None:
        data += b"!\xf9\x04" + bytes([1, 0, 0, transparent, 0])
    codes = [code for _ in range(frame[2] * frame[3]) for code in (4, 1)] + [5]  # clear, colour 1, ..., end
    bits = "".join(f"{code:03b}" for code in reversed(codes))
    packed = int(bits, 2).to_bytes(len(bits) // 8 + 1, "little")
    blocks = b"".join(bytes([len(packed[i : i + 255])]) + packed[i : i + 255] for i in range(0, len(packed), 255))
    return data + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02" + blocks + b"\0;"


@pytest.mark.parametrize("transparent", [None, 0, 3])
@pytest.mark.parametrize("min_side", [None, 3])
def test_what_the_first_frame_of_a_gif_does_not_cover_is_white(transparent: int | None, min_side: int | None) -> None:
    photo = decode(gif((40, 20), (8, 4, 16, 8), transparent), min_side)
    assert (photo.width, photo.height) == (40, 20)
    side = photo.image.height / 20
    assert photo.image.getpixel((0, 0)) == (255, 255, 255)
    assert photo.image.getpixel((int(38 * side), int(18 * side))) == (255, 255, 255)
    assert photo.image.getpixel((int(15 * side), int(8 * side))) == (0, 255, 0)
    assert decode(gif((40, 20), (0, 0, 40, 20))).image.getcolors() == [(800, (0, 255, 0))]


def test_the_first_frame_of_a_webp_animation_is_shown_on_its_canvas() -> None:
    """Pillow writes only whole frames, so the test makes the canvas larger."""
    frames = [Image.new("RGB", (16, 8), colour) for colour in ("lime", "red")]
    data = bytearray(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    start = data.index(b"VP8X") + 8
    data[start] |= 0x10  # it has alpha
    data[start + 4 : start + 10] = (39).to_bytes(3, "little") + (19).to_bytes(3, "little")
    photo = decode(bytes(data))
    assert photo.image.size == (40, 20)
    assert photo.image.getpixel((3, 3)) == (0, 255, 0)
    assert photo.image.getpixel((30, 15)) == (255, 255, 255)
