"""Any bytes give a Photo or a PhotoError, and no other error."""

import io
import random
import warnings
from functools import cache

import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from searcher.photos.decode import DecodedPhoto, PhotoError, decode, decode_guarded
from tests.photos.kinds import damaged, one_of_each_kind

pillow_heif.register_heif_opener()

KINDS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "MPO"]
HEADS = {
    "JPEG": b"\xff\xd8\xff\xe0",
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "WEBP": b"RIFF\xff\0\0\0WEBPVP8 ",
    "GIF": b"GIF89a",
    "TIFF": b"II*\0\x08\0\0\0",
    "BMP": b"BM",
    "AVIF": b"\0\0\0\x20ftypavif",
    "HEIF": b"\0\0\0\x20ftypheic",
    "JPEG 2000": b"\xff\x4f\xff\x51\0\x29",
    "JP2": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ",
    "ICO": b"\0\0\1\0\1\0",
    "PNM": b"P6 3 3 255\n",
    "plain PNM": b"P1 3 ",
}


@cache
def whole(kind: str) -> bytes:
    """A small image with EXIF, GPS and a colour profile, so that the tests reach all readers."""
    from PIL import ImageCms

    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Canon", "EOS", 6
    exif.get_ifd(0x8769)[0x9003] = "2023:06:01 12:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (50.0, 5.0, 0.0), 3: "E", 4: (14.0, 25.0, 0.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    image = Image.effect_noise((40, 24), 60).convert("RGB")
    image.save(file, kind, exif=exif.tobytes(), icc_profile=profile)
    return file.getvalue()


def check(data: bytes, min_side: int | None, guarded: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            photo = decode_guarded(data, min_side) if guarded else decode(data, min_side)
        except PhotoError as error:
            assert str(error)
            assert len(str(error).splitlines()) == 1
        else:
            assert isinstance(photo, DecodedPhoto)
            assert photo.image.mode == "RGB"
            assert photo.width > 0
            assert photo.height > 0


SIDES = st.sampled_from([None, 4, 224])
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(data=st.binary(max_size=400), min_side=SIDES)
def test_random_bytes_give_a_photo_or_a_photo_error(data: bytes, min_side: int | None) -> None:
    check(data, min_side)


@FUZZ
@given(head=st.sampled_from(sorted(HEADS.values())), data=st.binary(max_size=300), min_side=SIDES)
def test_random_bytes_after_a_format_signature_give_a_photo_or_a_photo_error(
    head: bytes, data: bytes, min_side: int | None
) -> None:
    check(head + data, min_side)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images_give_a_photo_or_a_photo_error(kind: str) -> None:
    """Overwrite, remove and add bytes anywhere, but most often near the start, where the headers are."""
    good = whole(kind)
    places = st.one_of(st.integers(0, min(600, len(good) - 1)), st.integers(0, len(good) - 1))
    damage = st.tuples(places, st.integers(0, 6), st.binary(max_size=6))

    @FUZZ
    @given(st.lists(damage, min_size=1, max_size=8), SIDES)
    def run(damages: list[tuple[int, int, bytes]], min_side: int | None) -> None:
        data = good
        for place, cut, new in damages:
            data = data[:place] + new + data[place + cut :]
        check(data, min_side)

    run()


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_images_give_a_photo_or_a_photo_error(kind: str) -> None:
    good = whole(kind)
    for length in range(0, len(good), max(1, len(good) // 150)):
        check(good[:length], None)


RAW_HEADS = [
    b"II*\0\x10\0\0\0CR\2\0",
    b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    b"FUJIFILMCCD-RAW 0201",
    b"IIRO\x08\0\0\0",
    b"IIU\0\x18\0\0\0",
    b"FOVb",
    b"\0MRM",
    b"II\x1a\0\0\0HEAPCCDR",
    b"\xff\x0a",
    b"\0\0\0\x0cJXL \r\n\x87\n",
]


@FUZZ
@given(head=st.sampled_from(RAW_HEADS), data=st.binary(max_size=300), min_side=SIDES)
def test_random_bytes_after_the_head_of_a_raw_file_give_a_photo_or_a_photo_error(
    head: bytes, data: bytes, min_side: int | None
) -> None:
    check(head + data, min_side, guarded=True)


@pytest.mark.parametrize("name", sorted(one_of_each_kind()))
def test_each_kind_of_file_is_read_and_damaged_ones_give_a_photo_or_a_photo_error(name: str) -> None:
    """In a process of its own, as they are indexed: the libraries for raw files and others may crash."""
    good = one_of_each_kind()[name]
    assert decode_guarded(good, 4).image.mode == "RGB"
    chance = random.Random(name)
    for _ in range(40):
        check(damaged(good, chance), chance.choice((None, 4, 224)), guarded=True)


@pytest.mark.parametrize(
    "name", [name for name in sorted(one_of_each_kind()) if name.startswith(("photo", "old", "tele"))]
)
def test_cut_off_files_of_each_kind_give_a_photo_or_a_photo_error(name: str) -> None:
    good = one_of_each_kind()[name]
    for length in range(1, len(good), max(1, len(good) // 40)):
        check(good[:length], 4, guarded=True)
