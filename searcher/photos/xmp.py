"""Reads XMP, from a photo or from its sidecar, and parses it safely: the text is not trusted.

XMP is RDF written as XML, and each program writes it differently. A list can be an rdf:Bag, rdf:Seq or rdf:Alt, or
a single value in an element or in an attribute.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from searcher.photos import metadata as fields
from searcher.photos.errors import RefusedError
from searcher.photos.metadata import NOTHING, Keyword, Metadata

if TYPE_CHECKING:
    from lxml import etree
    from PIL import Image

MAX_ELEMENTS = 100_000
"""Most elements allowed in a document. The sidecar of a photo that was edited for years has some thousands."""

MAX_PACKET_BYTES = 4 * 2**20
"""Largest XMP inside a photo that is read. A usual one has some kilobytes."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
SUBJECT = f"{{{_DC}}}subject"
HIERARCHICAL = "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject"
TAGS_LIST = "{http://www.digikam.org/ns/1.0/}TagsList"
_DATES = (f"{{{_EXIF}}}DateTimeOriginal", "{http://ns.adobe.com/photoshop/1.0/}DateCreated", f"{{{_XMP}}}CreateDate")
_LENSES = ("{http://cipa.jp/exif/1.0/}LensModel", "{http://ns.adobe.com/exif/1.0/aux/}Lens")

_BLANKS = " \t\r\n"
_START_TAG = re.compile("<(?![/!?])")
_DECLARATION = re.compile(r"\s*<\?xml\s[^>]*\?>")
WRAPPER = "w"
_DEGREES = re.compile(r"(\d{1,3}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?(?:,(\d{1,2}(?:\.\d+)?))?\s*([NSEW])", re.ASCII)
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class Xmp:
    """What a document says. others: everything but the keywords. The three lists are as they are written."""

    others: Metadata
    subjects: tuple[str, ...] = ()
    hierarchical: tuple[str, ...] = ()
    tags_list: tuple[str, ...] = ()

    def keywords(self, wanted: Callable[[str, str], bool] = lambda field, name: True) -> tuple[Keyword, ...]:
        """The keywords of the three lists, of those names in a list (SUBJECT, …) that are wanted."""
        paths = [name.split("|") for name in self.hierarchical if wanted(HIERARCHICAL, name)]
        # digiKam writes a slash in a name as a backslash
        tags = [name.split("/") for name in self.tags_list if wanted(TAGS_LIST, name)]
        paths += [[part.replace("\\", "/") for part in tag] for tag in tags]
        return fields.keywords([*paths, *([name] for name in self.subjects if wanted(SUBJECT, name))])


def read_xmp(image: "Image.Image") -> Metadata:
    """Read the XMP inside an open image. Never raises. A missing or invalid field is None."""
    try:
        packet: Any = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        if not packet and image.format == "TIFF":
            packet = image.getexif().get(700)
        if isinstance(packet, tuple):
            packet = bytes(packet)
        if not isinstance(packet, bytes | str) or not packet or len(packet) > MAX_PACKET_BYTES:
            return NOTHING
        found = parse_xmp(packet if isinstance(packet, str) else _decoded(packet))
        return fields.joined([found.others, Metadata(keywords=found.keywords())])
    except Exception:  # as in `exif`: nothing in a packet may fail a photo
        return NOTHING


def parse_xmp(text: str) -> Xmp:
    """Read a document. Raises RefusedError if it is not XMP or not safe to parse."""
    text = text.removeprefix("\ufeff").rstrip("\0")
    wrapper = parse(text[match.end() :] if (match := _DECLARATION.match(text)) else text)
    rdf = next(wrapper.iter(f"{{{RDF}}}RDF"), None)
    if rdf is None:
        raise RefusedError("not XMP: there is no rdf:RDF element")
    return _Reader([*rdf.iterchildren(f"{{{RDF}}}Description")]).read()


class _Reader:
    """The properties in the descriptions of a document."""

    def __init__(self, descriptions: "list[etree._Element]") -> None:
        self._descriptions = descriptions

    def read(self) -> Xmp:
        moments = (fields.moment(self._first(name)) for name in _DATES)
        taken_at, taken_offset = next((found for found in moments if found[0] is not None), (None, None))
        latitude, longitude = fields.place(
            _degrees(self._first(f"{{{_EXIF}}}GPSLatitude"), "NS"),
            _degrees(self._first(f"{{{_EXIF}}}GPSLongitude"), "EW"),
        )
        others = Metadata(
            taken_at=taken_at,
            taken_offset=taken_offset,
            camera=fields.camera(self._first(f"{{{_TIFF}}}Make"), self._first(f"{{{_TIFF}}}Model")),
            lens=next(filter(None, (fields.lens(self._first(name)) for name in _LENSES)), None),
            latitude=latitude,
            longitude=longitude,
            rating=fields.rating(self._first(f"{{{_XMP}}}Rating")),
            description=fields.description(self._first(f"{{{_DC}}}description")),
        )
        lists = (tuple(self._values(name)) for name in (SUBJECT, HIERARCHICAL, TAGS_LIST))
        return Xmp(others, *lists)

    def _first(self, name: str) -> str:
        return next(self._values(name), "")

    def _values(self, name: str) -> Iterator[str]:
        """The values of a property that are not empty. Of a text in several languages, the usual one comes first."""
        for description in self._descriptions:
            if value := str(description.attrib.get(name, "")).strip():
                yield value
            for element in description.iterchildren(name):
                items = [*element.iter(f"{{{RDF}}}li")] or [element]
                items.sort(key=lambda item: item.get(_LANGUAGE) not in (None, "x-default"))
                yield from (value for item in items if (value := "".join(map(str, item.itertext())).strip()))


def _degrees(text: str, hemispheres: str) -> float | None:
    """Degrees from "50,5.25N" or "50,5,15N"."""
    match = _DEGREES.fullmatch(text.strip())
    if match is None or match[4] not in hemispheres:
        return None
    degrees: float = sum(float(part or 0) / 60**power for power, part in enumerate(match.groups()[:3]))
    return -degrees if match[4] in "SW" else degrees


def _decoded(packet: bytes) -> str:
    for start, encoding in (
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
        (b"<\0", "utf-16-le"),
        (b"\0<", "utf-16-be"),
    ):
        if packet.startswith(start):
            return packet.decode(encoding, "replace")
    return packet.decode("utf-8", "replace")


def parse(text: str) -> "etree._Element":
    """Parse a document. Returns an element that has the document's root as its only child element.

    The wrapper keeps the white space outside the root, which lxml would drop. It also makes every DOCTYPE an error.
    Raises RefusedError.
    """
    from lxml import etree

    # Counted before parsing, because a tree takes many times the memory of its text.
    if sum(1 for _ in _START_TAG.finditer(text)) > MAX_ELEMENTS:
        raise RefusedError(f"too many XML elements: more than {MAX_ELEMENTS:,}")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, strip_cdata=False, collect_ids=False
    )
    try:
        wrapper = etree.fromstring(f"<{WRAPPER}>{text}</{WRAPPER}>".encode(), parser)
    except etree.XMLSyntaxError as error:
        # A DOCTYPE can declare entities that expand to gigabytes or read other files.
        if "<!DOCTYPE" in text:
            raise RefusedError("unsafe XML: it contains a DOCTYPE") from None
        if getattr(error, "code", None) == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
            raise RefusedError("unsafe XML: it is nested too deeply, or one of its values is too long") from None
        reason = " ".join(str(error.msg).rpartition(", line ")[0].split())
        raise RefusedError(f"not well-formed XML: {reason} (line {error.lineno})") from None
    if sum(1 for _ in wrapper.iterchildren("*")) != 1 or text_of(wrapper).strip(_BLANKS):
        raise RefusedError("not well-formed XML: there must be one root element, and no text outside it")
    return wrapper


def text_of(element: "etree._Element") -> str:
    """The text between the tags of an element, without the text of its children."""
    return (element.text or "") + "".join(child.tail or "" for child in element)
