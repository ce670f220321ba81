"""Tags as entries of the three lists, and which entries to add to a document and to remove from it."""

import unicodedata
from collections.abc import Sequence

from searcher.sidecars.errors import SidecarError
from searcher.sidecars.xmp import Document, Field, key, once

Tag = tuple[str, ...]

_SUBJECT = Field("dc", "subject", "http://purl.org/dc/elements/1.1/", "Bag")
_HIERARCHICAL = Field("lr", "hierarchicalSubject", "http://ns.adobe.com/lightroom/1.0/", "Bag")
_TAGS_LIST = Field("digiKam", "TagsList", "http://www.digikam.org/ns/1.0/", "Seq")
FIELDS = (_SUBJECT, _HIERARCHICAL, _TAGS_LIST)

_Names = dict[Field, list[str]]
_Ours = dict[Field, dict[str, bool]]  # key of each name of ours → whether it was copied from another list

CARRIED = "~"
"""Follows the field in an entry that was copied from another list."""


def entries(tag: Tag) -> tuple[str, ...]:
    """The entries that a tag is written as, one per field. Raises SidecarError if all names of the tag are empty."""
    names = [cleaned for name in tag if (cleaned := _clean(name))]
    if not names:
        raise SidecarError(f"cannot write a tag without a name: {tag!r}")
    return tuple(_entry(field, _written(field, names)) for field in FIELDS)


class Changes:
    """The tags that a sidecar should have, and the entries in it that are ours.

    Raises SidecarError for a tag without a name and for an invalid entry.
    """

    def __init__(self, add: Sequence[Tag], remove: Sequence[str]) -> None:
        self._ours: _Ours = {field: {} for field in FIELDS}
        for field, name, carried in map(_split, remove):
            self._ours[field][key(name)] = carried
        self._wanted: _Names = {field: [] for field in FIELDS}
        for field, name, _ in (_split(entry) for tag in add for entry in entries(tag)):
            self._wanted[field].append(name)

    def apply(self, document: Document) -> tuple[str, ...]:
        """Change the lists of a document. Returns the entries in it that are ours."""
        added = []
        lists = {field: document.values(field) for field in FIELDS}
        carried = self._carried_over(lists)
        for field in FIELDS:
            ours = self._ours[field]
            names = once([*carried[field], *self._wanted[field]])
            there, over = {key(name) for name in lists[field]}, {key(name) for name in carried[field]}
            new = [name for name in names if key(name) not in there]
            gone = (ours.keys() & there) - {key(name) for name in names}
            if new or gone:
                document.change(field, new, gone)
            added += [
                _entry(field, name, key(name) in over) for name in names if key(name) not in there or key(name) in ours
            ]
        return tuple(added)

    def _carried_over(self, lists: _Names) -> _Names:
        """The user's names to copy from other lists into a hierarchical list, in addition to our tags."""
        theirs = {
            field: [name for name in names if key(name) not in self._ours[field]] for field, names in lists.items()
        }
        paths = [name.split("|") for name in theirs[_HIERARCHICAL]] + [name.split("/") for name in theirs[_TAGS_LIST]]
        # Lightroom and digiKam also write every name of a path to dc:subject.
        parts = {key(part) for path in paths for part in path}
        paths += [[name] for name in theirs[_SUBJECT] if key(name) not in parts]
        carried: _Names = {_SUBJECT: []}
        for field in (_HIERARCHICAL, _TAGS_LIST):
            names = once(_written(field, path) for path in paths)
            if theirs[field]:  # the user now edits this list: add no new copies, and keep the old ones
                carried[field] = [name for name in names if self._ours[field].get(key(name))]
            else:
                carried[field] = names if self._wanted[field] else []
        return carried


def _written(field: Field, names: Sequence[str]) -> str:
    if field is _HIERARCHICAL:
        return "|".join(name.replace("|", "/") for name in names)
    if field is _TAGS_LIST:
        return "/".join(name.replace("/", "\\") for name in names)
    return names[-1]


def _clean(name: str) -> str:
    def cleaned(letter: str) -> str:
        category = unicodedata.category(letter)
        if category == "Cc":
            return " "
        return "\ufffd" if category == "Cs" or letter in "\ufffe\uffff" else letter

    return " ".join("".join(map(cleaned, name)).split())


def _entry(field: Field, name: str, carried: bool = False) -> str:
    return f"{field}{CARRIED if carried else ''}={name}"


def _split(entry: str) -> tuple[Field, str, bool]:
    label, equals, name = entry.partition("=")
    field = next((each for each in FIELDS if str(each) == label.removesuffix(CARRIED)), None)
    if field is None or not equals:
        raise SidecarError(f"invalid sidecar entry: {entry!r}")
    return field, name, label.endswith(CARRIED)
