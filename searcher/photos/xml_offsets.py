"""Where everything stands in an XML document: the byte at which each element and its content begin and end."""

import codecs
import re
from collections.abc import Iterator
from xml.parsers import expat

from searcher.errors import SearcherError

MAX_ELEMENTS = 100_000
"""Most elements in a document: the sidecar of a photo that was edited for years has some thousands."""

_START_TAG = re.compile(rb"""<([^\s/>]+)(?:[^"'>]++|"[^"]*"|'[^']*')*+>""")
_DECLARED_ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([\w.-]+)["']""")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class XmlError(SearcherError):
    """A document that cannot be read, or not be changed safely. The message has no path."""


class Element:
    """One element.

    name, keys of attributes: "uri local", or "local" outside any namespace. declared: prefix ("" is the default
    namespace) → uri. start, inside, end, outside: the offsets of its first byte, of the first one after its start
    tag, of its end tag, of the first one after that; the last three are the same when it closes itself.
    """

    __slots__ = ("attributes", "children", "declared", "end", "inside", "name", "outside", "parent", "start", "texts")

    def __init__(self, name: str, attributes: dict[str, str], parent: "Element | None") -> None:
        self.name = name
        self.attributes = attributes
        self.parent = parent
        self.children: list[Element] = []
        self.declared: dict[str, str] = {}
        self.texts: list[str] = []
        self.start = self.inside = self.end = self.outside = 0

    @property
    def text(self) -> str:
        """What stands between its tags, without its children's."""
        return "".join(self.texts)

    @property
    def closes_itself(self) -> bool:
        """<like-this/>"""
        return self.outside == self.inside

    def raw_name(self, data: bytes) -> bytes:
        """Its name as it is written, with the prefix."""
        tag = _START_TAG.match(data, self.start)
        if tag is None:
            raise ValueError("not the document that this element is from")
        return tag[1]

    def uri_of(self, prefix: str) -> str | None:
        """What a prefix stands for in this element."""
        return next((each.declared[prefix] for each in self._lineage() if prefix in each.declared), None)

    def prefix_of(self, uri: str) -> str | None:
        """A prefix that stands for `uri` in this element, None when there is none."""
        known = (prefix for each in self._lineage() for prefix in each.declared if each.declared[prefix] == uri)
        return next((prefix for prefix in known if self.uri_of(prefix) == uri), None)

    def first(self, name: str) -> "Element | None":
        """The first element of that name, this one included, in the order of the document."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            if element.name == name:
                return element
            waiting += reversed(element.children)
        return None

    def _lineage(self) -> "Iterator[Element]":
        element: Element | None = self
        while element is not None:
            yield element
            element = element.parent


def parse(data: bytes) -> Element:
    """The root of a document in UTF-8. Raises XmlError when it is malformed, or made to do harm."""
    parser = _Parser(data)
    try:
        parser.expat.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlError(f"it is not well-formed XML ({error})") from None
    return parser.roots[0]


def to_utf8(data: bytes) -> tuple[bytes, str]:
    """A document in UTF-8, and the encoding to give to `from_utf8`. Raises XmlError."""
    declared = _DECLARED_ENCODING.match(data)
    encoding = declared[1].decode() if declared else "utf-8"
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), encoding)
    try:
        text = data.decode(encoding)
        if text.encode(encoding) == data:
            return text.encode(), encoding
    except (LookupError, UnicodeError):
        pass
    raise XmlError(f"it is not the {encoding} text that it is said to be")


def from_utf8(data: bytes, encoding: str) -> bytes:
    """The document in its own encoding; a letter that this lacks is written as a reference (&#233;)."""
    return data.decode().encode(encoding, "xmlcharrefreplace")


class _Parser:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.roots: list[Element] = []
        self.open: list[Element] = []
        self.declared: dict[str, str] = {}
        self.count = 0
        self.expat = expat.ParserCreate("utf-8", " ")
        self.expat.buffer_text = True
        self.expat.StartDoctypeDeclHandler = self.doctype
        self.expat.StartNamespaceDeclHandler = self.declare
        self.expat.StartElementHandler = self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.characters

    def doctype(self, *_: object) -> None:
        # That is where entities are declared, which expand to gigabytes or read other files.
        raise XmlError("it has a DOCTYPE, which is not safe to read")

    def declare(self, prefix: str | None, uri: str | None) -> None:
        self.declared[prefix or ""] = uri or ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise XmlError(f"it has more than {MAX_ELEMENTS:,} elements")
        element = Element(name, attributes, self.open[-1] if self.open else None)
        element.declared, self.declared = self.declared, {}
        element.start = self.expat.CurrentByteIndex
        tag = _START_TAG.match(self.data, element.start)
        if tag is None:
            raise XmlError("it cannot be followed")
        element.inside = tag.end()
        (self.open[-1].children if self.open else self.roots).append(element)
        self.open.append(element)

    def characters(self, text: str) -> None:
        self.open[-1].texts.append(text)

    def end(self, _: str) -> None:
        element = self.open.pop()
        if self.data.endswith(b"/>", element.start, element.inside):
            element.end = element.outside = element.inside
        else:
            element.end = self.expat.CurrentByteIndex
            element.outside = self.data.index(b">", element.end) + 1
