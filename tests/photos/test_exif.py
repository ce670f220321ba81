"""Valid EXIF fields are read, and invalid ones are None."""

import io
import struct
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from searcher.photos.decode import decode
from searcher.photos.exif import read_exif, read_orientation
from searcher.photos.metadata import Metadata


def exif_of(**sections: Mapping[int, object]) -> Metadata:
    """Write EXIF to a JPEG and read it back. The sections are `top`, `shot` (the Exif IFD) and `gps`."""
    exif = Image.Exif()
    exif.update(sections.get("top", {}))
    exif.get_ifd(0x8769).update(sections.get("shot", {}))
    exif.get_ifd(0x8825).update(sections.get("gps", {}))
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    return decode(file.getvalue()).metadata


PRAGUE = {1: "N", 2: (50.0, 5.0, 15.0), 3: "E", 4: (14.0, 25.0, 12.0)}


def deflated(tiff: bytes) -> bytes:
    """Compress the strip of an uncompressed one-strip TIFF.

    Pillow has another code path to read such a file, and cannot write one together with EXIF.
    """
    strip = zlib.compress(bytes(32 * 32 * 3))
    for tag, kind, old, new in ((259, 3, 1, 8), (279, 4, 32 * 32 * 3, len(strip))):
        entry = struct.pack("<HHII", tag, kind, 1, old)
        assert tiff.count(entry) == 1
        tiff = tiff.replace(entry, struct.pack("<HHII", tag, kind, 1, new))
    at = tiff.rindex(bytes(32 * 32 * 3))
    return tiff[:at] + strip + tiff[at + len(strip) :]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "deflated TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("min_side", [None, 2])
def test_date_camera_and_place_are_read_from_every_format(kind: str, orientation: int, min_side: int | None) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif.update({0x010F: "Apple", 0x0110: "iPhone 12", 0x0112: orientation})
    exif.get_ifd(0x8769)[0x9003] = "2023:06:01 12:34:56"
    exif.get_ifd(0x8825).update(PRAGUE)
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, kind.removeprefix("deflated "), exif=exif.tobytes())
    data = deflated(file.getvalue()) if kind == "deflated TIFF" else file.getvalue()
    read = decode(data, min_side).metadata
    assert read.taken_at == datetime(2023, 6, 1, 12, 34, 56)
    assert read.camera == "Apple iPhone 12"
    assert read.latitude == pytest.approx(50.0875)
    assert read.longitude == pytest.approx(14.42)


def test_a_photo_without_exif_has_no_metadata() -> None:
    image = Image.new("RGB", (8, 8))
    assert read_exif(image) == Metadata()
    assert read_orientation(image) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023:06:01 12:34:56", datetime(2023, 6, 1, 12, 34, 56)),
        ("2023-06-01T12:34:56+02:00", datetime(2023, 6, 1, 12, 34, 56)),
        ("2023:06:01 12:34", datetime(2023, 6, 1, 12, 34)),
        ("2023:06:01", datetime(2023, 6, 1)),
        (" 2023:06:01 12:34:56\0garbage", datetime(2023, 6, 1, 12, 34, 56)),
        ("0000:00:00 00:00:00", None),
        ("2023:13:01 00:00:00", None),
        ("2023:02:30 00:00:00", None),
        ("2023:06:01 25:61:61", None),
        ("2020:01:01 24:00:00", datetime(2020, 1, 2)),
        ("2019:12:31 24:00", datetime(2020, 1, 1)),
        ("2020:01:01 24:00:01", None),
        ("9999:12:31 24:00:00", None),
        ("2016:12:31 23:59:60", datetime(2017, 1, 1)),
        ("2023:06:01 12:34:56.789", datetime(2023, 6, 1, 12, 34, 56)),
        ("2023:06:01 12:34:56.789+02:00", datetime(2023, 6, 1, 12, 34, 56)),
        ("2023:06:01 12:34:56Z", datetime(2023, 6, 1, 12, 34, 56)),
        ("2023: 6: 1  9: 4: 5", datetime(2023, 6, 1, 9, 4, 5)),
        ("2023:06:01   :  :  ", datetime(2023, 6, 1)),
        ("2023:06:  12:00:00", None),
        ("0000:01:01 00:00:00", None),
        ("0001:01:01 00:00:00", None),
        ("2023:06:011", None),
        ("２０２３:06:01", None),
        ("    :  :     :  :  ", None),
        ("last summer", None),
        ("", None),
    ],
)
def test_dates_are_read_in_all_common_formats(text: str, expected: datetime | None) -> None:
    assert exif_of(shot={0x9003: text}).taken_at == expected


def test_the_date_of_the_shot_is_preferred_to_the_date_of_the_last_change() -> None:
    shot, scan, change = "2001:01:01 00:00:00", "2002:01:01 00:00:00", "2003:01:01 00:00:00"
    assert exif_of(shot={0x9003: shot, 0x9004: scan}, top={0x0132: change}).taken_at == datetime(2001, 1, 1)
    assert exif_of(shot={0x9003: "?", 0x9004: scan}, top={0x0132: change}).taken_at == datetime(2002, 1, 1)
    assert exif_of(top={0x0132: change}).taken_at == datetime(2003, 1, 1)


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("OLYMPUS IMAGING CORP.  ", "E-M1\0\0\0", "OLYMPUS IMAGING CORP. E-M1"),
        ("", "Model only", "Model only"),
        ("Maker only", "", "Maker only"),
        ("\0\0\0", "   ", None),
        ("\x01\x02", "\x7f", None),
        ("x" * 5000, "y", "x" * 100),
    ],
)
def test_the_camera_name_has_the_maker_once(make: str, model: str, expected: str | None) -> None:
    assert exif_of(top={0x010F: make, 0x0110: model}).camera == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (50.0875, 14.42)),
        ({1: "S", 3: "W"}, (-50.0875, -14.42)),
        ({1: "n", 3: "e\0"}, (50.0875, 14.42)),
        ({2: (50.0875, 0.0, 0.0)}, (50.0875, 14.42)),
        ({2: (90.0, 0.0, 0.0)}, (90, 14.42)),
        ({2: (90.0, 0.0, 1.0)}, None),
        ({4: (181.0, 0.0, 0.0)}, None),
        ({1: "?"}, None),
        ({3: ""}, None),
        ({2: (IFDRational(0, 0), 0.0, 0.0)}, None),
        ({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}, None),
    ],
)
def test_only_valid_coordinates_are_read(change: dict[int, Any], expected: tuple[float, float] | None) -> None:
    exif = exif_of(gps=PRAGUE | change)
    if expected is None:
        assert (exif.latitude, exif.longitude) == (None, None)
    else:
        assert (exif.latitude, exif.longitude) == pytest.approx(expected)


def test_a_latitude_without_a_longitude_is_ignored() -> None:
    assert exif_of(gps={1: "N", 2: (50.0, 0.0, 0.0)}).latitude is None


def test_an_invalid_field_does_not_affect_the_others() -> None:
    exif = exif_of(top={0x010F: "Canon", 0x0110: "EOS"}, shot={0x9003: "?"}, gps=PRAGUE | {1: "?"})
    assert exif == Metadata(camera="Canon EOS")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
@pytest.mark.filterwarnings("ignore")
def test_invalid_exif_data_is_not_an_error(garbage: bytes, with_header: bool) -> None:
    image = Image.new("RGB", (8, 8))
    image.info["exif"] = (b"Exif\0\0II*\0\x08\0\0\0" if with_header else b"") + garbage
    assert isinstance(read_exif(image), Metadata)
    assert 1 <= read_orientation(image) <= 8


VALUES = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.binary(max_size=30),
    st.text(max_size=30),
    st.lists(st.one_of(st.floats(), st.text(max_size=3), st.none()), max_size=4).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([0x010F, 0x0110, 0x0112, 0x0132, 0x8769, 0x8825]), VALUES), VALUES, VALUES)
def test_any_value_in_any_field_is_valid_or_none(top: dict[int, Any], date: object, number: object) -> None:
    image = Image.new("RGB", (8, 8))
    exif = image.getexif()
    exif.update(top)
    if 0x8769 not in top:
        exif.get_ifd(0x8769)[0x9003] = date
    if 0x8825 not in top:
        exif.get_ifd(0x8825).update({1: date, 2: number, 3: number, 4: date})
    read = read_exif(image)
    assert read.taken_at is None or isinstance(read.taken_at, datetime)
    assert read.latitude is None or -90 <= read.latitude <= 90
    assert read.longitude is None or -180 <= read.longitude <= 180
    assert 1 <= read_orientation(image) <= 8
