"""Camera raw files are read through their preview, or developed, and are upright either way."""

import struct
import sys

import numpy as np
import pytest
from PIL import Image

from searcher.photos import decoder as module
from searcher.photos.decode import PhotoError, decode, decode_guarded
from searcher.photos.exif import EXIF_IFD, LENS_MODEL
from searcher.photos.raw_head import raw_kind
from tests.photos.files import difference, picture
from tests.photos.raws import dng, jpeg
from tests.photos.test_heif import TURNED
from tests.photos.test_metadata import bag, packet

IMAGE = picture(width=480, height=320)
PREVIEW = picture(seed=5, width=240, height=160)  # another picture, to tell which of them was read


def upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = TURNED[orientation]
    return image if turn is None else image.transpose(turn)


def similarity(one: Image.Image, other: Image.Image) -> float:
    """The correlation of two pictures, from -1 to 1, whatever their brightness."""
    first, second = (np.asarray(image.resize((24, 24)), float).ravel() for image in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


@pytest.mark.parametrize("orientation", TURNED)
def test_a_raw_file_is_upright_through_its_preview_and_developed(orientation: int) -> None:
    size = upright(IMAGE, orientation).size
    developed = decode(dng(IMAGE, orientation=orientation))
    assert (developed.width, developed.height) == size
    assert developed.image.size == (size[0] // 2, size[1] // 2)
    assert similarity(developed.image, upright(IMAGE, orientation)) > 0.98
    shown = decode(dng(IMAGE, jpeg(PREVIEW), PREVIEW.size, orientation=orientation))
    assert (shown.width, shown.height) == size
    assert difference(shown.image, upright(PREVIEW, orientation)) < 3


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_preview_that_was_turned_before_it_was_stored_is_not_turned_again(orientation: int) -> None:
    turned = upright(PREVIEW, orientation)
    photo = decode(dng(IMAGE, jpeg(turned), turned.size, orientation=orientation))
    assert difference(photo.image, turned) < 3


def test_a_small_preview_is_used_only_if_the_raw_image_cannot_be_developed() -> None:
    small = PREVIEW.resize((60, 40))
    data = dng(IMAGE, jpeg(small), small.size)
    assert similarity(decode(data, 60).image, IMAGE) > 0.98
    assert difference(decode(data, 20).image, small) < 5
    compression = struct.Struct("<HHII")
    broken = data.replace(
        compression.pack(259, 3, 1, 1), compression.pack(259, 3, 1, 52546)
    )  # JPEG XL, which LibRaw cannot read
    assert broken != data
    assert difference(decode(broken, 60).image, small) < 5


def test_a_damaged_preview_is_replaced_by_the_developed_image() -> None:
    photo = decode(dng(IMAGE, jpeg(PREVIEW)[:900], PREVIEW.size))
    assert similarity(photo.image, IMAGE) > 0.98


@pytest.mark.parametrize("compressed", [False, True])
def test_a_raw_file_that_is_cut_off_is_shown_only_through_a_complete_preview(compressed: bool) -> None:
    plain = dng(IMAGE, compressed=compressed)
    assert similarity(decode(plain, 60).image, IMAGE) > 0.98
    with pytest.raises(PhotoError, match="truncated"):
        decode(plain[:-1000], 60)
    with_preview = dng(IMAGE, jpeg(PREVIEW), PREVIEW.size, compressed=compressed)[:-1000]
    assert difference(decode(with_preview, 60).image, PREVIEW) < 3
    with pytest.raises(PhotoError, match="truncated"):
        decode(with_preview[:1500], 60)


def test_the_colours_of_a_developed_image_are_those_of_the_photo() -> None:
    halves = Image.new("RGB", (200, 100), (200, 40, 40))
    halves.paste((40, 60, 200), (100, 0, 200, 100))
    image = decode(dng(halves)).image
    left, right = image.getpixel((20, 25)), image.getpixel((80, 25))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 2 * left[2]
    assert right[2] > 2 * right[0]


def test_a_raw_file_says_when_and_with_which_camera_it_was_taken() -> None:
    photo = decode(dng(IMAGE, make="NIKON CORPORATION", model="NIKON D90"))
    assert photo.format == "DNG"
    assert str(photo.metadata.taken_at) == "2021-05-06 07:08:09"
    assert photo.metadata.camera == "NIKON D90"


def test_the_keywords_in_a_raw_file_are_read_and_what_it_lacks_comes_from_its_preview() -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[LENS_MODEL] = "35mm"
    preview = jpeg(PREVIEW, exif=exif, xmp=packet(bag("dc:subject", "preview")).encode())
    preview = preview[:2] + preview[20:]  # cameras write no JFIF segment before the EXIF data
    photo = decode(dng(IMAGE, preview, PREVIEW.size, xmp=packet(bag("dc:subject", "sea"), 'xmp:Rating="3"')), 60)
    assert (photo.metadata.keywords, photo.metadata.rating) == ((("sea",),), 3)
    assert photo.metadata.lens == "35mm"


@pytest.mark.parametrize(
    ("make", "name"),
    [("NIKON CORPORATION", "NEF"), ("SONY", "ARW"), ("PENTAX", "PEF"), ("SAMSUNG", "SRW"), ("ERA", "RAW"), ("", "RAW")],
)
def test_a_raw_file_without_a_dng_version_is_named_after_its_maker(make: str, name: str) -> None:
    data = dng(IMAGE, jpeg(PREVIEW), PREVIEW.size, make=make)
    other = data.replace(struct.pack("<HH", 50706, 1), struct.pack("<HH", 50705, 1))
    kind = raw_kind(other)
    assert kind is not None
    assert kind.name == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"II*\0\x10\0\0\0CR\2\0", "CR2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"MMOR\0\0\0\x08", "ORF"),
        (b"IIU\0\x18\0\0\0", "RW2"),
    ],
)
def test_other_raw_files_are_recognised_by_how_they_begin(head: bytes, name: str) -> None:
    kind = raw_kind(head + bytes(200))
    assert kind is not None
    assert kind.name == name
    with pytest.raises(PhotoError, match=rf"camera raw \({name}\)|truncated|damaged"):
        decode(head + bytes(200))


def test_a_plain_tiff_is_no_raw_file() -> None:
    assert raw_kind(b"II*\0\x08\0\0\0" + bytes(50)) is None
    assert raw_kind(b"II*\0") is None
    loop = struct.pack("<HHHIII", 1, 330, 4, 1, 8, 8)
    assert raw_kind(b"II*\0\x08\0\0\0" + loop) is None


def test_the_limits_of_pixels_hold_for_raw_files(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dng(IMAGE, jpeg(PREVIEW), PREVIEW.size)
    monkeypatch.setattr(module, "MAX_DECODED_PIXELS", 480 * 320 - 1)
    with pytest.raises(PhotoError, match="too large: 480 × 320 pixels"):
        decode(dng(IMAGE), 20)
    assert decode(data, 20).width == 480  # through its preview
    monkeypatch.setattr("searcher.photos.raw.MAX_PIXELS", 480 * 320 - 1)
    with pytest.raises(PhotoError, match="too large: 480 × 320 pixels"):
        decode(data, 20)


def test_a_worker_reads_raw_files_as_this_process_does() -> None:
    data = dng(IMAGE, orientation=8)
    here, there = decode(data, 40), decode_guarded(data, 40)
    assert here.facts == there.facts
    assert difference(here.image, there.image) == 0


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PhotoError, match=r"unsupported kind: camera raw \(DNG\); to read it, run: pip install"):
        decode(dng(IMAGE))
