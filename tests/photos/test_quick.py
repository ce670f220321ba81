"""Ordinary JPEG photos are decoded in threads. All files that may take long go to a worker process."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from searcher.photos.quick import MAX_SEGMENTS, MAX_VISITED_PIXELS, decodes_quickly
from tests.photos.files import picture, saved

SEGMENT = b"\xff\xe2\0\6abcd"  # an APP2 segment of four bytes
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0110] = "EOS"
    tags.get_ifd(0x8769)[0x9003] = "2023:06:01 12:34:56"
    return tags.tobytes()


def with_size(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG, but its frame header states another size."""
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: frame + 5] + height.to_bytes(2) + width.to_bytes(2) + data[frame + 9 :]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("options", [{}, {"exif": exif()}, {"icc_profile": PROFILE}, {"comment": "x"}], ids=sorted)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_ordinary_jpegs_decode_quickly(progressive: bool, options: dict[str, bytes], mode: str) -> None:
    data = saved(picture().convert(mode), "JPEG", progressive=progressive, **options)
    assert decodes_quickly(data)
    assert decodes_quickly(data[:2] + SEGMENT * 30 + data[2:])


def test_jpegs_with_several_pictures_and_of_usual_sizes_decode_quickly() -> None:
    assert decodes_quickly(saved(picture(), "MPO", save_all=True, append_images=[picture(4)]))
    assert decodes_quickly(with_size(saved(picture(), "JPEG"), 16_000, 12_000))
    assert decodes_quickly(with_size(saved(picture(), "JPEG", progressive=True), 6_000, 4_000))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "WEBP", "HEIF", "AVIF", "BMP"])
def test_other_formats_do_not_decode_quickly(kind: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    assert not decodes_quickly(saved(picture(), kind))


def test_a_jpeg_of_many_segments_does_not_decode_quickly() -> None:
    data = saved(picture(), "JPEG")
    assert not decodes_quickly(data[:2] + SEGMENT * MAX_SEGMENTS + data[2:])
    assert not decodes_quickly(data[:2] + SEGMENT * 100_000 + data[2:])


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_many_scans_for_its_size_does_not_decode_quickly(progressive: bool) -> None:
    data = saved(picture(), "JPEG", progressive=progressive)
    if not progressive:  # the first scan has one of three components
        scan = data.index(b"\xff\xda")
        data = data[: scan + 2] + b"\0\x08\1\1\0\0\x3f\0" + data[scan + 14 :]
    scan_of_grey = data[data.rindex(b"\xff\xda") : -2]
    many = data[:-2] + scan_of_grey * 90 + data[-2:]
    scans = many.count(b"\xff\xda")
    assert decodes_quickly(many)
    side = int((MAX_VISITED_PIXELS / scans) ** 0.5)
    assert decodes_quickly(with_size(many, side, side))
    assert not decodes_quickly(with_size(many, side + 1, side + 1))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_whose_header_is_cut_does_not_decode_quickly(progressive: bool) -> None:
    data = saved(picture(), "JPEG", progressive=progressive, exif=exif())
    first_scan = data.index(b"\xff\xda")
    assert not any(decodes_quickly(data[:length]) for length in range(first_scan + 4))


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF])
def test_arithmetic_lossless_and_hierarchical_jpegs_do_not_decode_quickly(frame: int) -> None:
    data = saved(picture(), "JPEG")
    assert not decodes_quickly(data.replace(b"\xff\xc0", bytes([0xFF, frame]), 1))


def test_an_unusual_header_does_not_decode_quickly() -> None:
    data = saved(picture(), "JPEG")
    frame = data[data.index(b"\xff\xc0") :][:19]
    for extra in (frame, b"\xff", b"\xff\x01", b"\xff\xd0", b"\xff\xd8", b"\xff\xd9", b"\xff\xe0\0\1", b"\0"):
        assert not decodes_quickly(data[:2] + extra + data[2:])
    assert not decodes_quickly(data.replace(frame, b"", 1))


MARKERS = st.sampled_from([0x00, 0x01, 0xC0, 0xC2, 0xC4, 0xC9, 0xD0, 0xD8, 0xD9, 0xDA, 0xDB, 0xE1, 0xFE, 0xFF])
SEGMENTS = st.builds(
    lambda marker, length, body: bytes([0xFF, marker]) + length.to_bytes(2) + body,
    MARKERS,
    st.integers(0, 40) | st.integers(0, 65535),
    st.binary(max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.lists(SEGMENTS, max_size=8).map(lambda parts: b"\xff\xd8" + b"".join(parts)))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    assert decodes_quickly(data) in (False, True)
