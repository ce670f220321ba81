"""A JPEG without its end marker is read if it has all its pixels."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from searcher.photos import decoder as module
from searcher.photos import limits
from searcher.photos.decode import PhotoError, decode
from searcher.photos.jpeg import with_end
from tests.photos.files import difference, picture, saved

KINDS = [
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"progressive": True, "subsampling": 0, "optimize": True},
    {"restart_marker_blocks": 4},
    {"quality": 30},
]
IMAGES = {
    "smooth": picture(width=480, height=320),
    "noise": Image.effect_noise((300, 203), 90).convert("RGB"),
    "grey": picture(width=301, height=200).convert("L"),
}


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("min_side", [None, 40])
def test_a_jpeg_without_its_end_marker_is_read_and_a_cut_one_is_not(
    options: dict[str, Any], name: str, min_side: int | None
) -> None:
    data = saved(IMAGES[name], "JPEG", **options)
    whole = decode(data, min_side).image
    stem = data[:-2]
    for complete in (
        data[:-1],
        stem,
        stem + b"\xff\xff",
        stem + bytes(1000),
        stem + b"\xff" + bytes(511),
        data + b"\0",
    ):
        assert difference(decode(complete, min_side).image, whole) == 0
    size = len(data)
    for cut in (4, 5, 8, 20, 100, size // 10, size // 2):
        for filled in (b"", bytes(64 + cut), bytes(50_000)):
            with pytest.raises(PhotoError, match="truncated"):
                decode(data[:-cut] + filled, min_side)


def test_a_progressive_jpeg_that_lacks_whole_scans_is_truncated() -> None:
    data = saved(IMAGES["smooth"], "JPEG", progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    last_table = data.rindex(b"\xff\xc4", 0, last_scan)
    for end in (last_scan, last_table):
        with pytest.raises(PhotoError, match="truncated"):
            decode(data[:end])


def test_a_damaged_header_is_not_completed() -> None:
    assert with_end(b"\xff\xd8\xff\xe0", module._opened_for_check) is None
    assert with_end(b"\xff\xd8", module._opened_for_check) is None
    assert with_end(b"\xff\xd8" + b"\xff\xda\0\2", module._opened_for_check) is None


def test_only_the_first_of_several_images_must_be_complete() -> None:
    rest = [Image.new("RGB", (480, 320))]
    data = saved(IMAGES["smooth"], "MPO", save_all=True, append_images=rest)
    assert difference(decode(data[:-100]).image, decode(data).image) == 0


def test_too_many_segments_or_scans_are_refused() -> None:
    data = saved(picture(), "JPEG")
    with pytest.raises(PhotoError, match="too large: more than 1,000 segments"):
        decode(data[:2] + b"\xff\xe5\0\2" * (limits.MAX_JPEG_SEGMENTS + 1) + data[2:])
    assert decode(data[:2] + b"\xff\xe5\0\2" * 500 + data[2:]).width == 97
    data = saved(picture(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(PhotoError, match="too large: a JPEG of more than 100 scans"):
        decode(data[:-2] + scan * limits.MAX_JPEG_SCANS + b"\xff\xd9")
    assert decode(data[:-2] + scan * 20 + b"\xff\xd9").width == 97


def test_a_progressive_jpeg_whose_coefficients_take_gigabytes_is_refused() -> None:
    data = bytearray(saved(picture(), "JPEG", progressive=True, subsampling=0))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = (15_000).to_bytes(2) * 2
    with pytest.raises(PhotoError, match="too large: JPEG of 15000 × 15000 pixels in several scans takes 1,350 MB"):
        decode(bytes(data), 224)


def test_the_colours_of_cmyk_jpegs_do_not_depend_on_the_adobe_marker() -> None:
    """Browsers, ImageMagick and libvips take the values of all CMYK JPEGs as inverted."""
    data = saved(picture().convert("CMYK"), "JPEG", quality=95)
    start = data.index(b"\xff\xee")
    plain = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4]) :]
    assert difference(decode(data).image, np.asarray(picture())) < 4
    assert difference(decode(plain).image, np.asarray(picture())) < 4
