"""Reads and changes the keyword lists in the tree of an XMP document.

`photos.xmp` parses the text of a sidecar, which is not trusted, and reads what it says. Changing it needs more: here
a list is only what can be written back safely.
"""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from searcher.photos.xmp import RDF, WRAPPER, parse, text_of
from searcher.sidecars.errors import RefusedError

_ARRAYS = {f"{{{RDF}}}{kind}" for kind in ("Bag", "Seq", "Alt")}
_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Field:
    """A property that holds a list of names. array: the kind of a new list, "Bag" or "Seq"."""

    prefix: str
    name: str
    uri: str
    array: str

    def __str__(self) -> str:
        return f"{self.prefix}:{self.name}"

    @property
    def tag(self) -> str:
        """Its name in a tree: "{uri}name"."""
        return f"{{{self.uri}}}{self.name}"


def key(value: str) -> str:
    """A key that is equal for names that differ only in white space or Unicode composition (NFC)."""
    return unicodedata.normalize("NFC", " ".join(value.split()))


def once(names: Iterable[str]) -> list[str]:
    """The names without duplicates and empty names."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(key(name), name)
    found.pop("", None)
    return list(found.values())


def canonical(text: str) -> str:
    """Canonical XML of a document, with comments and without the white space around text."""
    found: str = etree.canonicalize(text, with_comments=True, strip_text=True)
    return found


class Document:
    """An XMP document. Raises RefusedError if `text` is not XMP, or is not safe to parse.

    text: the document without a byte order mark and XML declaration.
    changed: whether `change` changed it.
    """

    def __init__(self, text: str) -> None:
        self.changed = False
        self._wrapper = parse(text)
        rdf = next(self._wrapper.iter(f"{{{RDF}}}RDF"), None)
        if rdf is None:
            raise RefusedError("not XMP: there is no rdf:RDF element")
        self._rdf = rdf
        self._descriptions = [*rdf.iterchildren(f"{{{RDF}}}Description")]

    @property
    def text(self) -> str:
        """The document as text, without an XML declaration."""
        return etree.tostring(self._wrapper, encoding="unicode")[len(f"<{WRAPPER}>") : -len(f"</{WRAPPER}>")]

    def values(self, field: Field) -> list[str]:
        """The names in a list, in order, without duplicates."""
        found = [str(each.attrib[field.tag]) for each in self._descriptions if field.tag in each.attrib]
        for element in self._properties(field):
            array = _array(element, field)
            found += [text_of(element)] if array is None else [text_of(item) for item in _items(array)]
        return once(value.strip() for value in found)

    def change(self, field: Field, add: Sequence[str], remove: Collection[str]) -> None:
        """Change the names in a list. Raises RefusedError if that is not safe. The document is then not to be used.

        add: names to append to the list. They must not be in it yet. remove: the keys of names to remove.

        A list that becomes empty is removed with its property. If the property is a single value instead of a list,
        the value becomes the first item of a new list.
        """
        add = list(add)
        properties = self._properties(field)
        arrays = [_array(element, field) for element in properties]
        listed = {key(text_of(item)) for array in arrays if array is not None for item in _items(array)}
        for description in self._descriptions:
            value = description.attrib.get(field.tag)
            if value is not None and (add or key(value) in remove):
                del description.attrib[field.tag]
                if key(value) and key(value) not in {*remove, *listed}:
                    add.insert(0, value.strip())
        # Add to the first list, or to the first property if there is no list.
        target = next((at for at, array in enumerate(arrays) if array is not None), 0)
        for at, (element, array) in enumerate(zip(properties, arrays, strict=True)):
            names = add if at == target else []
            if array is None:
                self._change_value(element, field, names, remove)
            else:
                self._change_list(element, array, names, remove)
        if add and not properties:
            self._add_property(field, add)
        self.changed = True
        names_now = {key(name) for name in self.values(field)}
        if not names_now.issuperset(map(key, add)) or not names_now.isdisjoint(remove):
            raise RefusedError(f"cannot change {field} safely")

    def _properties(self, field: Field) -> list[etree._Element]:
        return [child for each in self._descriptions for child in each.iterchildren(field.tag)]

    def _change_list(
        self, element: etree._Element, array: etree._Element, add: Sequence[str], remove: Collection[str]
    ) -> None:
        gone = [item for item in _items(array) if key(text_of(item)) in remove]
        if gone and not add and len(gone) == len(array) and len(element) == 1 and not text_of(array).strip(_BLANKS):
            _remove(element)
            return
        for item in gone:
            _remove(item)
        self._add_items(array, add)

    def _change_value(self, element: etree._Element, field: Field, add: Sequence[str], remove: Collection[str]) -> None:
        value = text_of(element).strip()
        gone = bool(value) and key(value) in remove
        if not add and not gone:
            return
        if not add and len(element) == 0:
            _remove(element)
            return
        text, comments = element.text, list(element)
        if gone or not value:  # keep only the comments
            element.text = None
            for comment in comments:
                comment.tail = None
            if add:
                self._add_items(self._append(element, f"{{{RDF}}}{field.array}"), add)
            return
        element.text = None
        for comment in comments:
            element.remove(comment)
        array = self._append(element, f"{{{RDF}}}{field.array}")
        item = self._append(array, f"{{{RDF}}}li")
        item.text = text
        item.extend(comments)
        self._add_items(array, add)

    def _add_property(self, field: Field, add: Sequence[str]) -> None:
        if not self._descriptions:
            # An attribute needs a prefix even if RDF is the default namespace.
            prefixed = any(prefix and uri == RDF for prefix, uri in self._rdf.nsmap.items())
            description = self._append(self._rdf, f"{{{RDF}}}Description", {} if prefixed else {"rdf": RDF})
            description.set(f"{{{RDF}}}about", "")
            self._descriptions.append(description)
        declared = [each for each in self._descriptions if field.uri in each.nsmap.values()]
        description = (declared or self._descriptions)[0]
        element = self._append(description, field.tag, {} if declared else {field.prefix: field.uri})
        self._add_items(self._append(element, f"{{{RDF}}}{field.array}"), add)

    def _add_items(self, array: etree._Element, names: Sequence[str]) -> None:
        for name in names:
            self._append(array, f"{{{RDF}}}li").text = name

    def _append(self, parent: etree._Element, tag: str, nsmap: Mapping[str, str] | None = None) -> etree._Element:
        """Add an element after the other children of `parent`, on a line of its own if they have one."""
        last = next(parent.iterchildren(reversed=True), None)  # len(parent) would count all of them
        if last is not None:
            indent = _indent(next(parent.iterchildren("*"), last))
            child = etree.SubElement(parent, tag, nsmap=nsmap)
            child.tail, last.tail = last.tail, indent or None
        else:
            indent = _indent(parent)
            child = etree.SubElement(parent, tag, nsmap=nsmap)
            child.tail, parent.text = parent.text or indent or None, (indent and indent + self._step()) or None
        return child

    def _step(self) -> str:
        """One level of indentation, taken from the document: that between rdf:RDF and its children."""
        child = next(self._rdf.iterchildren("*"), None)
        if child is not None:
            outer, inner = _indent(self._rdf), _indent(child)
            if outer and len(inner) > len(outer) and inner.startswith(outer):
                return inner[len(outer) :]
        return " "


def _array(element: etree._Element, field: Field) -> etree._Element | None:
    """The list in a property, or None if the property is empty or a single value."""
    children = [*element.iterchildren("*")]
    if not children and not any(str(name).startswith(f"{{{RDF}}}") for name in element.attrib):
        return None
    if len(children) != 1 or children[0].tag not in _ARRAYS or text_of(element).strip():
        raise RefusedError(f"{field} is not a list of names")
    return children[0]


def _items(array: etree._Element) -> Iterator[etree._Element]:
    """The items of a list that are plain names. Items with nested elements are ignored."""
    return (item for item in array.iterchildren(f"{{{RDF}}}li") if next(item.iterchildren("*"), None) is None)


def _before(element: etree._Element) -> str:
    previous, parent = element.getprevious(), element.getparent()
    return (previous.tail if previous is not None else parent.text if parent is not None else None) or ""


def _indent(element: etree._Element) -> str:
    """The line break and indentation before an element. Empty if the element does not start a line."""
    before = _before(element)
    blanks = before[len(before.rstrip(_BLANKS)) :]
    return blanks[blanks.rfind("\n") :] if "\n" in blanks else ""


def _remove(element: etree._Element) -> None:
    """Remove an element and the white space before it."""
    parent, previous = element.getparent(), element.getprevious()
    assert parent is not None
    rest = (_before(element).rstrip(_BLANKS) + (element.tail or "")) or None
    parent.remove(element)
    if previous is None:
        parent.text = rest
    else:
        previous.tail = rest
