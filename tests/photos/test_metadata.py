"""What EXIF, XMP and IPTC say is read, and nothing in them fails a photo."""

import io
import struct
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pillow_jxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from searcher.photos.decode import decode
from searcher.photos.embedded import read_metadata
from searcher.photos.iptc import parse_iptc
from searcher.photos.metadata import MAX_KEYWORDS, NOTHING, Metadata, joined, keywords, moment, offset, rating
from searcher.photos.xmp import parse_xmp
from tests.photos.files import picture, saved
from tests.programs import needs

assert pillow_jxl  # registers itself with Pillow

NAMESPACES = """xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:digiKam="http://www.digikam.org/ns/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/\""""


def packet(properties: str = "", attributes: str = "") -> str:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}><rdf:Description rdf:about="" {attributes}>'
        f"{properties}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def bag(name: str, *values: str) -> str:
    return f"<{name}><rdf:Bag>{''.join(f'<rdf:li>{value}</rdf:li>' for value in values)}</rdf:Bag></{name}>"


def in_jpeg(xmp: str | bytes) -> Metadata:
    return decode(saved(picture(), "JPEG", xmp=xmp.encode() if isinstance(xmp, str) else xmp)).metadata


def iptc(*sets: tuple[int, int, bytes]) -> bytes:
    return b"".join(b"\x1c" + bytes([record, number]) + struct.pack(">H", len(v)) + v for record, number, v in sets)


def with_iptc(block: bytes) -> bytes:
    """A JPEG with an IPTC block, as Photoshop writes it."""
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + bytes(len(block) % 2)
    body = b"Photoshop 3.0\0" + resource
    data = saved(picture(), "JPEG")
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + data[2:]


def test_everything_that_xmp_says_is_read() -> None:
    found = in_jpeg(
        packet(
            bag("dc:subject", "Paris", "sea", "Places")
            + bag("lr:hierarchicalSubject", "Places|Paris")
            + bag("digiKam:TagsList", "sea", "People/AC\\DC")
            + '<dc:description><rdf:Alt><rdf:li xml:lang="de">Hafen</rdf:li>'
            '<rdf:li xml:lang="x-default">A harbour &amp; boats</rdf:li></rdf:Alt></dc:description>'
            "<exif:GPSLatitude>50,5.25N</exif:GPSLatitude><exif:GPSLongitude>14,25,12W</exif:GPSLongitude>",
            'xmp:Rating="4" exif:DateTimeOriginal="2023-06-01T12:34:56.78-05:30" tiff:Make="NIKON CORPORATION" '
            'tiff:Model="NIKON D90" aux:Lens="50mm f/1.8"',
        )
    )
    assert found.keywords == (("Places", "Paris"), ("sea",), ("People", "AC/DC"))
    assert found.description == "A harbour & boats"
    assert (found.latitude, found.longitude) == pytest.approx((50.0875, -14.42))
    assert (found.rating, found.camera, found.lens) == (4, "NIKON D90", "50mm f/1.8")
    assert (found.taken_at, found.taken_offset) == (datetime(2023, 6, 1, 12, 34, 56), -330)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_keywords_are_read_from_every_format(kind: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    xmp = packet(bag("dc:subject", "café"), 'xmp:Rating="5"').encode()
    options: dict[str, object] = {"xmp": xmp}
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": info}
    elif kind == "TIFF":
        options = {"tiffinfo": {700: xmp}}
    found = decode(saved(picture(), kind, **options)).metadata
    assert (found.keywords, found.rating) == ((("café",),), 5)


def test_iptc_is_read_in_utf_8_and_in_latin_1() -> None:
    marker = (1, 90, b"\x1b%G")
    for encoding, sets in (("utf-8", [marker]), ("utf-8", []), ("latin-1", [])):
        words = [(2, 25, word.encode(encoding)) for word in ("café", "größe")]
        found = decode(with_iptc(iptc(*sets, *words, (2, 120, "Ä boat".encode(encoding))))).metadata
        assert found.keywords == (("café",), ("größe",))
        assert found.description == "Ä boat"
    found = parse_iptc(iptc((2, 55, b"20010203"), (2, 60, b"040506+0100")))
    assert (found.taken_at, found.taken_offset) == (datetime(2001, 2, 3, 4, 5, 6), 60)
    assert parse_iptc(iptc((2, 55, b"20010203"))).taken_at == datetime(2001, 2, 3)
    assert parse_iptc(iptc((2, 55, b"00000000"), (2, 60, b"999999"))) == NOTHING


def test_exif_has_an_offset_a_lens_a_rating_a_description_and_keywords_of_windows() -> None:
    exif = Image.Exif()
    exif.update({0x010E: "café".encode(), 0x4746: 3, 0x9C9E: "Grüße;Meer\0".encode("utf-16-le")})
    exif.get_ifd(0x8769).update({0x9003: "2023:06:01 12:34:56", 0x9011: "+05:45", 0xA434: "EF50mm"})
    found = decode(saved(picture(), "JPEG", exif=exif)).metadata
    assert (found.description, found.rating, found.lens) == ("café", 3, "EF50mm")
    assert (found.taken_at, found.taken_offset) == (datetime(2023, 6, 1, 12, 34, 56), 345)
    assert found.keywords == (("Grüße",), ("Meer",))


@pytest.mark.parametrize("text", ["OLYMPUS DIGITAL CAMERA         ", "   ", "\0\0"])
def test_what_a_camera_writes_into_every_photo_is_no_description(text: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = text
    exif.get_ifd(0x8769)[0xA434] = "----"
    assert decode(saved(picture(), "JPEG", exif=exif)).metadata == NOTHING


def test_the_camera_decides_on_the_date_and_people_on_description_and_rating() -> None:
    exif = Image.Exif()
    exif.update({0x010E: "from exif", 0x4746: 1, 0x0132: "2009:01:01 00:00:00"})
    xmp = packet(
        "<dc:description>from xmp</dc:description>", 'xmp:Rating="5" photoshop:DateCreated="1999-12-31T23:00:00"'
    )
    found = decode(saved(picture(), "JPEG", exif=exif, xmp=xmp.encode())).metadata
    assert (found.description, found.rating, found.taken_at) == ("from xmp", 5, datetime(1999, 12, 31, 23))
    exif.get_ifd(0x8769)[0x9003] = "2001:01:01 00:00:00"
    assert decode(saved(picture(), "JPEG", exif=exif, xmp=xmp.encode())).metadata.taken_at == datetime(2001, 1, 1)


def test_exiftool_writes_what_we_read(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(picture(), "JPEG"))
    arguments = """-IPTC:Keywords=iptc word|-XMP-dc:Subject=xmp word|-XMP-lr:HierarchicalSubject=a\\|b|-XMP:Rating=2
-EXIF:DateTimeOriginal=2023:06:01 12:34:56|-EXIF:OffsetTimeOriginal=+02:00|-EXIF:LensModel=Lens 5|-EXIF:Make=Canon
-EXIF:Model=Canon EOS 5D|-EXIF:GPSLatitude=50.5|-EXIF:GPSLatitudeRef=S|-EXIF:GPSLongitude=14.5
-EXIF:GPSLongitudeRef=E|-XMP-dc:Description=über uns|-codedcharacterset=utf8"""
    parts = [part.replace("\0", "|") for part in arguments.replace("\\|", "\0").replace("\n", "|").split("|")]
    subprocess.run([needs("exiftool"), "-q", *parts, path], check=True, timeout=60)
    assert decode(path.read_bytes()).metadata == Metadata(
        taken_at=datetime(2023, 6, 1, 12, 34, 56),
        taken_offset=120,
        camera="Canon EOS 5D",
        lens="Lens 5",
        latitude=-50.5,
        longitude=14.5,
        rating=2,
        description="über uns",
        keywords=(("a", "b"), ("xmp word",), ("iptc word",)),
    )


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "xmp",
    [
        "",
        "no xml",
        "<a/>",
        BOMB + packet(bag("dc:subject", "&b;")),
        packet(bag("dc:subject", "&unknown;")),
        "<a>" * 5000,
        packet("<b/>" * 100_000),
        packet(attributes='xmp:Rating="9" exif:DateTimeOriginal="99999-01-01" exif:GPSLatitude="999N"'),
        packet(attributes='xmp:Rating="NaN" exif:DateTimeOriginal="0000-00-00T00:00:00" exif:GPSLongitude="nanE"'),
        packet(bag("dc:subject", "x" * 1000, " ", "|")),
        b"\xff\xfe\xff" + packet().encode("utf-16-le"),
    ],
)
def test_hostile_or_absurd_xmp_is_left_out(xmp: str | bytes) -> None:
    image = picture()
    image.info["xmp"] = xmp.encode() if isinstance(xmp, str) else xmp
    assert replace(read_metadata(image), keywords=()) == NOTHING
    assert read_metadata(image).keywords in ((), (("|",),))


def test_xmp_in_utf_16_and_with_padding_is_read() -> None:
    text = '<?xpacket begin="" id="x"?>' + packet(bag("dc:subject", "größe")) + " " * 2000 + '<?xpacket end="w"?>'
    for data in (text.encode("utf-16"), text.encode() + b"\0\0", b"\xef\xbb\xbf" + text.encode()):
        assert in_jpeg(data).keywords == (("größe",),)


def test_of_ten_megabytes_of_keywords_the_first_are_kept() -> None:
    words = [f"word {number}" for number in range(90_000)]
    found = parse_xmp(packet(bag("dc:subject", "x" * 5_000_000, *words)))
    assert found.keywords() == tuple((word,) for word in words[:MAX_KEYWORDS])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([["a"], ["a"], [" a\n"]], [("a",)]),
        ([["cafe\u0301"], ["café"]], [("café",)]),
        ([["a", "b"], ["a"], ["b"], ["c"]], [("a", "b"), ("c",)]),
        ([["a"], ["a", "b"], ["a", "b", "c"]], [("a", "b", "c")]),
        ([["a\0b"], ["\0"], [""], []], [("a b",)]),
        ([["a", ""], ["x"] * 50, ["\ud800"]], []),
        ([["👨\u200d👩\u200d👧"]], [("👨\u200d👩\u200d👧",)]),
    ],
)
def test_keywords_are_cleaned_and_those_that_are_part_of_another_are_dropped(
    found: list[list[str]], expected: list[tuple[str, ...]]
) -> None:
    assert keywords(found) == tuple(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+02:00", 120),
        ("-0930", -570),
        ("Z", 0),
        ("+25:00", None),
        ("+02:75", None),
        ("2", None),
        ("", None),
        ("+02:00:00", None),
    ],
)
def test_only_offsets_that_exist_are_read(text: str, expected: int | None) -> None:
    assert offset(text) == expected


def test_only_dates_in_the_age_of_photography_are_believed() -> None:
    for text in ("1799:12:31 00:00:00", "2101:01:01 00:00:00", "0001:01:01", "99999:01:01"):
        assert moment(text) == (None, None)
    assert moment("1826:07:04 12:00:00")[0] == datetime(1826, 7, 4, 12)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5", 5), (-1, -1), ("4.0", 4), (0, 0), ("4.5", None), (6, None), ("inf", None), (None, None), ("9" * 5000, None)],
)
def test_ratings_are_minus_one_to_five(value: object, expected: int | None) -> None:
    assert rating(value) == expected


def test_metadata_survives_json() -> None:
    whole = Metadata(datetime(2001, 2, 3, 4, 5), 60, "c", "l", 1.5, -2.5, 0, 'é\n"', (("a", "b"), ("c",)))
    assert Metadata.from_json(whole.as_json()) == whole
    assert (NOTHING.as_json(), Metadata.from_json("{}")) == ("{}", NOTHING)


def test_a_date_without_offset_takes_the_offset_of_the_same_date() -> None:
    here, there = datetime(2020, 1, 1), datetime(2020, 1, 2)
    assert joined([Metadata(here), Metadata(here, 60)]).taken_offset == 60
    assert joined([Metadata(here), Metadata(there, 60)]).taken_offset is None


@pytest.mark.parametrize("kind", ["JPEG2000", "JXL"])
def test_the_metadata_in_the_boxes_of_a_file_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"photo.{'jp2' if kind == 'JPEG2000' else 'jxl'}"
    path.write_bytes(saved(picture(), kind))
    arguments = [
        "-XMP-dc:Subject=sea",
        "-XMP:Rating=2",
        "-EXIF:DateTimeOriginal=2023:06:01 12:34:56",
        "-EXIF:Make=Canon",
    ]
    subprocess.run([needs("exiftool"), "-q", "-m", *arguments, path], check=True, timeout=60)
    assert decode(path.read_bytes()).metadata == Metadata(
        taken_at=datetime(2023, 6, 1, 12, 34, 56), camera="Canon", rating=2, keywords=(("sea",),)
    )


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300), st.booleans())
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_as_exif_xmp_and_iptc_fail_no_photo(exif: bytes, xmp: bytes, block: bytes, framed: bool) -> None:
    file = io.BytesIO(saved(picture(width=16, height=16), "JPEG"))
    with Image.open(file) as image:
        image.info["exif"] = (b"Exif\0\0II*\0\x08\0\0\0" if framed else b"") + exif
        image.info["xmp"] = packet(bag("dc:subject", "PLACE")).encode().replace(b"PLACE", xmp) if framed else xmp
        image.info["photoshop"] = {0x0404: iptc((2, 25, block), (2, 55, block), (2, 60, exif)) if framed else block}
        found = read_metadata(image)
    assert Metadata.from_json(found.as_json()) == found
    for names in found.keywords:
        assert all(name and "\0" not in name and name.encode() for name in names)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=10))
def test_any_text_in_xmp_is_valid_or_none(word: str, date: str, number: str) -> None:
    from xml.sax.saxutils import escape, quoteattr

    attributes = f"xmp:Rating={quoteattr(number)} exif:DateTimeOriginal={quoteattr(date)}"
    image = picture(width=16, height=16)
    image.info["xmp"] = packet(bag("digiKam:TagsList", escape(word)), attributes).encode("utf-8", "replace")
    found = read_metadata(image)
    assert Metadata.from_json(found.as_json()) == found
