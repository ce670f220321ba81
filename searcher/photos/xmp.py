"""The keyword lists of an XMP document: read them, and change them without touching anything else.

XMP is RDF written as XML, and no two programs write it alike. A parser that builds a tree and writes it out again
loses namespace prefixes, the order of attributes, comments outside the root and the layout (xml.etree,
xml.dom.minidom; lxml the last). So expat only says where things stand, and the document is changed by cutting and
inserting bytes there: what is not cut is the same to the byte.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from searcher.photos.xml_offsets import Element, XmlError, parse

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_BLANKS = b" \t\r\n"
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_Edit = tuple[int, int, bytes]  # from, to, instead


@dataclass(frozen=True, slots=True)
class Field:
    """A property that holds a list of names. `array`: how a new list is written, "Bag" or "Seq"."""

    prefix: str
    name: str
    uri: str
    array: str

    def __str__(self) -> str:
        return f"{self.prefix}:{self.name}"


def key(value: str) -> str:
    """What two values have in common that a person takes for the same name: blanks and composed letters aside."""
    return unicodedata.normalize("NFC", " ".join(value.split()))


def once(names: Iterable[str]) -> list[str]:
    """The names without those that are there already, and without empty ones."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(key(name), name)
    found.pop("", None)
    return list(found.values())


class Document:
    """An XMP document in UTF-8. Raises XmlError when it is none."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        rdf = parse(data).first(f"{RDF} RDF")
        if rdf is None:
            raise XmlError("it is not XMP: it has no rdf:RDF")
        self._rdf = rdf
        self._descriptions = [child for child in rdf.children if child.name == f"{RDF} Description"]

    def values(self, field: Field) -> list[str]:
        """The names in a list, in order, each once."""
        found = [each.attributes[_name(field)] for each in self._descriptions if _name(field) in each.attributes]
        for element in self._properties(field):
            array = self._array(element, field)
            found += [element.text] if array is None else [item.text for item in _items(array)]
        return once(value.strip() for value in found)

    def change(self, field: Field, add: Sequence[str], remove: Collection[str]) -> "Document":
        """The document with `add` (names that it lacks) at the end of the list and without `remove` (keys).

        A list that is empty after that goes, with its property. A single value that stands where a list should
        becomes the first of the list.
        """
        add = list(add)
        edits: list[_Edit] = []
        properties = self._properties(field)
        arrays = [self._array(element, field) for element in properties]
        listed = {key(item.text) for array in arrays if array is not None for item in _items(array)}
        for description in self._descriptions:
            value = description.attributes.get(_name(field))
            if value is not None and (add or key(value) in remove):
                edits.append((*self._attribute(description, field), b""))
                if key(value) and key(value) not in {*remove, *listed}:
                    add.insert(0, value.strip())
        # into the first list; where there is none, into the first property
        target = next((at for at, array in enumerate(arrays) if array is not None), 0)
        for at, (element, array) in enumerate(zip(properties, arrays, strict=True)):
            names = add if at == target else []
            if array is None:
                edits += self._change_value(element, field, names, remove)
            else:
                edits += self._change_list(element, array, names, remove)
        if add and not properties:
            if not self._descriptions:
                return self._with_description().change(field, add, remove)
            edits.append(self._new_property(field, add))
        changed = Document(self._apply(edits))
        missing = {key(name) for name in add} - {key(name) for name in changed.values(field)}
        if missing or any(key(name) in remove for name in changed.values(field)):
            raise XmlError(f"its {field} cannot be changed safely")
        return changed

    # where things are

    def _properties(self, field: Field) -> list[Element]:
        return [child for each in self._descriptions for child in each.children if child.name == _name(field)]

    def _array(self, element: Element, field: Field) -> Element | None:
        """The list in a property; None when the property is a single value, or empty."""
        children = element.children
        if not children and not any(name.startswith(RDF) for name in element.attributes):
            return None
        arrays = {f"{RDF} {kind}" for kind in ("Bag", "Seq", "Alt")}
        if len(children) != 1 or children[0].name not in arrays or element.text.strip():
            raise XmlError(f"its {field} is not a list of names")
        return children[0]

    def _attribute(self, element: Element, field: Field) -> tuple[int, int]:
        """Where a property that is written as an attribute stands, with the blanks before it."""
        name = element.start + 1 + len(element.raw_name(self.data))
        for found in _ATTRIBUTE.finditer(self.data, name, element.inside):
            prefix, _, local = found[1].decode().rpartition(":")
            if prefix and local == field.name and element.uri_of(prefix) == field.uri:
                return found.span()
        raise XmlError(f"its {field} cannot be found")

    def _sibling(self, element: Element, local: str) -> bytes:
        """The name of another RDF element, with the prefix of this one."""
        prefix, colon, _ = element.raw_name(self.data).rpartition(b":")
        return prefix + colon + local.encode()

    def _before(self, at: int) -> int:
        """The beginning of the blanks before an offset."""
        while at and self.data[at - 1] in _BLANKS:
            at -= 1
        return at

    def _indent(self, element: Element) -> bytes:
        """The line break before an element with its indentation; nothing where it follows on the same line."""
        blanks = self.data[self._before(element.start) : element.start]
        last = blanks.rfind(b"\r\n") if b"\r\n" in blanks else blanks.rfind(b"\n")
        return blanks[last:] if last >= 0 else b""

    def _step(self) -> bytes:
        """One step of indentation, as the document has it between rdf:RDF and its children."""
        if self._rdf.children:
            outer, inner = self._indent(self._rdf), self._indent(self._rdf.children[0])
            if outer and len(inner) > len(outer) and inner.startswith(outer):
                return inner[len(outer) :]
        return b" "

    # what to cut and insert

    def _change_list(
        self, element: Element, array: Element, add: Sequence[str], remove: Collection[str]
    ) -> list[_Edit]:
        items = _items(array)
        gone = [item for item in items if key(item.text) in remove]
        if gone and not add and len(gone) == len(array.children) and self._plain(element, array):
            return [(self._before(element.start), element.outside, b"")]
        edits = [(self._before(item.start), item.outside, b"") for item in gone]
        if add:
            li = self._sibling(array, "li")
            edits.append(self._insert(array, lambda indent: b"".join(indent + _li(li, name) for name in add)))
        return edits

    def _change_value(self, element: Element, field: Field, add: Sequence[str], remove: Collection[str]) -> list[_Edit]:
        value = element.text.strip()
        gone = bool(value) and key(value) in remove
        if not add:
            return [(self._before(element.start), element.outside, b"")] if gone else []
        parent = element.parent
        assert parent is not None
        indent, step = self._indent(element), self._step()
        inner = indent and indent + step
        item = inner and inner + step
        array, li = self._sibling(parent, field.array), self._sibling(parent, "li")
        opening = inner + b"<" + array + b">"
        closing = b"".join(item + _li(li, name) for name in add) + inner + b"</" + array + b">" + indent
        if element.closes_itself:
            return [self._open_up(element, opening + closing)]
        if gone or not value:
            return [(element.inside, element.end, opening + closing)]
        return [
            (element.inside, element.inside, opening + item + b"<" + li + b">"),
            (element.end, element.end, b"</" + li + b">" + closing),
        ]

    def _new_property(self, field: Field, add: Sequence[str]) -> _Edit:
        inside = [each for each in self._descriptions if each.prefix_of(field.uri) is not None]
        description = (inside or self._descriptions)[0]
        prefix = description.prefix_of(field.uri)
        name, declaration = field.name.encode(), b""
        if prefix is None:
            prefix = field.prefix
            declaration = f' xmlns:{prefix}="{field.uri}"'.encode()
        if prefix:
            name = prefix.encode() + b":" + name
        array, li = self._sibling(description, field.array), self._sibling(description, "li")
        step = self._step()

        def write(indent: bytes) -> bytes:
            inner = indent and indent + step
            item = inner and inner + step
            names = b"".join(item + _li(li, each) for each in add)
            listed = inner + b"<" + array + b">" + names + inner + b"</" + array + b">"
            return indent + b"<" + name + declaration + b">" + listed + indent + b"</" + name + b">"

        return self._insert(description, write)

    def _with_description(self) -> "Document":
        name = self._sibling(self._rdf, "Description")
        prefix = self._rdf.prefix_of(RDF)
        # An attribute needs a prefix, also where RDF is the default namespace of elements.
        about = f' {prefix}:about=""' if prefix else f' xmlns:rdf="{RDF}" rdf:about=""'
        tag = b"<" + name + about.encode() + b"/>"
        return Document(self._apply([self._insert(self._rdf, lambda indent: indent + tag)]))

    def _insert(self, parent: Element, write: Callable[[bytes], bytes]) -> _Edit:
        """Insert what `write` makes of the indentation after the last child of an element."""
        if parent.children:
            at = parent.children[-1].outside
            return (at, at, write(self._indent(parent.children[0])))
        indent = self._indent(parent)
        written = write(indent and indent + self._step())
        if parent.closes_itself:
            return self._open_up(parent, written + indent)
        follows = b"" if self.data[parent.inside : parent.end].strip(b" \t") else indent
        return (parent.inside, parent.inside, written + follows)

    def _open_up(self, element: Element, content: bytes) -> _Edit:
        """<a/> → <a>content</a>"""
        return (element.inside - 2, element.inside, b">" + content + b"</" + element.raw_name(self.data) + b">")

    def _plain(self, element: Element, array: Element) -> bool:
        """Whether nothing but a list of names is in a property: no comment, no processing instruction."""
        around = self.data[element.inside : array.start] + self.data[array.outside : element.end]
        between = [array.inside, *(at for item in array.children for at in (item.start, item.outside)), array.end]
        pairs = zip(between[::2], between[1::2], strict=True)
        return not (around + b"".join(self.data[start:end] for start, end in pairs)).strip(_BLANKS)

    def _apply(self, edits: list[_Edit]) -> bytes:
        parts, at = [], 0
        for start, end, instead in sorted(edits, key=lambda edit: edit[:2]):
            parts += [self.data[at:start], instead]
            at = end
        return b"".join([*parts, self.data[at:]])


def _name(field: Field) -> str:
    return f"{field.uri} {field.name}"


def _items(array: Element) -> list[Element]:
    """The names in a list; an item with structure of its own is left alone."""
    return [child for child in array.children if child.name == f"{RDF} li" and not child.children]


def _li(name: bytes, value: str) -> bytes:
    text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return b"<" + name + b">" + text.encode() + b"</" + name + b">"
