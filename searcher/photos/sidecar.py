"""XMP sidecars: the small file beside a photo in which photo programs keep what people say about it.

A tag is its path of names from the root, ("animal", "dog"). It is written where each program looks for it:

| field | value | read by |
| --- | --- | --- |
| `dc:subject` | `dog` | everything |
| `lr:hierarchicalSubject` | `animal|dog` | Lightroom, darktable |
| `digiKam:TagsList` | `animal/dog` | digiKam, Immich |

Everything else in a sidecar stays as it was, to the byte (`xmp` says how). The photo is never touched.

**Whose is it?** The user may have had one of the three before: `dog` in `dc:subject` alone is common. So what is
remembered is no tag but an *entry*, a string such as `dc:subject=dog`: `update_sidecar` says which entries are ours,
and only those are ever taken out again.

**The first list wins.** digiKam and Immich read `digiKam:TagsList` and, where there is one, nothing else; then
`lr:hierarchicalSubject`; then `dc:subject`. A list with our tags alone would hide the user's own from them. So a
hierarchical list that has no name of the user's begins with those that the other lists have, as entries of ours: they
go with the last of our tags.

**Names.** Blanks and control characters become one space, what XML cannot hold becomes U+FFFD. A separator inside a
name is written as the programs read it: `/` as `\\` in `digiKam:TagsList` (digiKam's own rule), `|` as `/` in
`lr:hierarchicalSubject`. Names are compared with blanks and composed letters (NFC) aside, upper and lower case apart.
"""

import os
import secrets
import stat
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from searcher.errors import SearcherError
from searcher.photos.scan import PHOTO_SUFFIXES
from searcher.photos.xml_offsets import XmlError, from_utf8, to_utf8
from searcher.photos.xmp import Document, Field, key, once

Tag = tuple[str, ...]

MAX_BYTES = 16 * 2**20
"""Largest sidecar read. darktable's, with hundreds of drawn masks, has a few megabytes."""

RAW_SUFFIXES = frozenset(
    b".3fr .ari .arw .bay .cap .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf "
    b".pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
"""Camera raw files, lower case: to which a `photo.xmp` belongs before it belongs to the JPEG beside them."""

_SUBJECT = Field("dc", "subject", "http://purl.org/dc/elements/1.1/", "Bag")
_HIERARCHICAL = Field("lr", "hierarchicalSubject", "http://ns.adobe.com/lightroom/1.0/", "Bag")
_TAGS_LIST = Field("digiKam", "TagsList", "http://www.digikam.org/ns/1.0/", "Seq")
_FIELDS = (_SUBJECT, _HIERARCHICAL, _TAGS_LIST)

_Names = dict[Field, list[str]]
_Ours = dict[Field, dict[str, bool]]  # key of each name that we wrote → whether it was carried over from another list
_CARRIED = "~"  # in an entry, behind its field

_NEW = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="searcher">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:digiKam="http://www.digikam.org/ns/1.0/">
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

_SIDECAR_SUFFIXES = tuple(bytes(letters) for letters in product(b".", b"xX", b"mM", b"pP"))


class SidecarError(SearcherError):
    """A sidecar that cannot be read or written; the message names it. The file is as it was."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The names in a sidecar, as they stand in `dc:subject` ("dog"), `lr:hierarchicalSubject` ("animal|dog") and
    `digiKam:TagsList` ("animal/dog")."""

    subjects: tuple[str, ...]
    hierarchical: tuple[str, ...]
    tags_list: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """What `update_sidecar` did. changed: whether the file is another one now. added: all entries in it that are
    ours; remember them, instead of what was remembered before, and give them back as `remove`."""

    changed: bool
    added: tuple[str, ...]


def sidecar_path(photo: bytes, adobe: bool = False) -> bytes:
    """Where the sidecar of a photo is, or where a new one belongs.

    One that exists keeps its name, `photo.jpg.xmp` or `photo.xmp`, with the suffix in any letter case; of the two,
    the first. A new one is `photo.jpg.xmp` (digiKam, darktable, Immich). `adobe` prefers `photo.xmp`: Lightroom and
    Camera Raw look for that, and for raw files only.

    `photo.xmp` does not say whose it is. Beside a raw file it is the raw file's, and with another photo of that name
    it may be either's: then this photo has `photo.jpg.xmp`. With `adobe` a raw file beside a JPEG is no other photo:
    Lightroom takes the two for one, so that the JPEG's tags are seen on the raw file.
    """
    suffix = os.fsencode(Path(os.fsdecode(photo)).suffix)
    stem = photo.removesuffix(suffix)
    full, short = _existing(photo), _existing(stem)
    if (short or adobe) and _shared(stem, suffix.lower(), adobe):
        return full or photo + b".xmp"
    if adobe:
        return short or full or stem + b".xmp"
    return full or short or photo + b".xmp"


def entries(tag: Tag) -> tuple[str, ...]:
    """What a tag is written as, one entry a field. Raises SidecarError when it has no name at all."""
    names = [cleaned for name in tag if (cleaned := _clean(name))]
    if not names:
        raise SidecarError(f"a tag without a name cannot be written: {tag!r}")
    return tuple(_entry(field, _written(field, names)) for field in _FIELDS)


def read_sidecar(path: bytes) -> Sidecar | None:
    """The names in a sidecar, None when there is no such file. Raises SidecarError."""
    try:
        found = _read(path)
        if found is None:
            return None
        document = Document(to_utf8(found[0])[0])
        return Sidecar(*(tuple(document.values(field)) for field in _FIELDS))
    except (XmlError, OSError, ValueError) as error:
        raise _error("read", path, error) from error


def update_sidecar(path: bytes, add: Sequence[Tag], remove: Sequence[str] = (), *, write: bool = True) -> Update:
    """Write tags into a sidecar, and take out what we wrote earlier and is no longer among them.

    add: all the tags that the photo shall have. remove: all the entries that are remembered as ours for this
    sidecar (`Update.added`); those that `add` still asks for stay. An entry that was there and is not in `remove` is
    the user's: it is not added again, not removed, and not in the result. With `write=False` nothing is written, and
    the result is what it would be.

    A sidecar that does not exist is made when there is something to write; one that we made is deleted with the last
    of our tags, when nobody else wrote into it. The file is replaced in one step (a new file in its folder, synced,
    renamed over it, with its permissions), so that an interruption leaves it whole; without a change it is not
    touched. Raises SidecarError, and leaves the file as it was, when it is malformed, read-only, or changed by
    another program meanwhile.
    """
    ours: _Ours = {field: {} for field in _FIELDS}
    for field, name, carried in map(_split, remove):
        ours[field][key(name)] = carried
    wanted: _Names = {field: [] for field in _FIELDS}
    for field, name, _ in (_split(entry) for tag in add for entry in entries(tag)):
        wanted[field].append(name)
    try:
        file = Path(os.fsdecode(os.path.realpath(path)))  # a link stays a link
        found = _read(path)
        old, status = (_NEW, None) if found is None else found
        utf8, encoding = to_utf8(old)
        document, added = _changed(Document(utf8), wanted, ours)
        changed = document.data != utf8
        if changed:
            if status is not None and (not status.st_mode & 0o222 or not os.access(file, os.W_OK)):
                raise XmlError("it is read-only")
            if write and document.data == _NEW:
                _check_unchanged(file, status)
                file.unlink()
            elif write:
                _replace(file, from_utf8(document.data, encoding), status)
        return Update(changed, tuple(added))
    except XmlError as error:
        raise _error("change", path, error) from error
    except (OSError, ValueError) as error:
        raise _error("write", path, error) from error


# tags and entries


def _changed(document: Document, wanted: _Names, ours: _Ours) -> tuple[Document, list[str]]:
    """The document with the names that it shall have, and which entries in it are ours."""
    added = []
    lists = {field: document.values(field) for field in _FIELDS}
    carried = _carried_over(lists, wanted, ours)
    for field in _FIELDS:
        names = once([*carried[field], *wanted[field]])
        there, over = {key(name) for name in lists[field]}, {key(name) for name in carried[field]}
        new = [name for name in names if key(name) not in there]
        gone = (ours[field].keys() & there) - {key(name) for name in names}
        if new or gone:
            document = document.change(field, new, gone)
        added += [
            _entry(field, name, key(name) in over)
            for name in names
            if key(name) not in there or key(name) in ours[field]
        ]
    return document, added


def _carried_over(lists: _Names, wanted: _Names, ours: _Ours) -> _Names:
    """The user's names from other lists that a hierarchical list shall have beside our tags."""
    theirs = {field: [name for name in names if key(name) not in ours[field]] for field, names in lists.items()}
    paths = [name.split("|") for name in theirs[_HIERARCHICAL]] + [name.split("/") for name in theirs[_TAGS_LIST]]
    # Lightroom and digiKam write every name of a path into dc:subject, too.
    parts = {key(part) for path in paths for part in path}
    paths += [[name] for name in theirs[_SUBJECT] if key(name) not in parts]
    carried: _Names = {_SUBJECT: []}
    for field in (_HIERARCHICAL, _TAGS_LIST):
        names = once(_written(field, path) for path in paths)
        if theirs[field]:  # meanwhile the user goes on with it: no new ones, and the old ones are not missed
            carried[field] = [name for name in names if ours[field].get(key(name))]
        else:
            carried[field] = names if wanted[field] else []
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
    return f"{field}{_CARRIED if carried else ''}={name}"


def _split(entry: str) -> tuple[Field, str, bool]:
    label, equals, name = entry.partition("=")
    field = next((each for each in _FIELDS if str(each) == label.removesuffix(_CARRIED)), None)
    if field is None or not equals:
        raise SidecarError(f"not an entry of a sidecar: {entry!r}")
    return field, name, label.endswith(_CARRIED)


# files


def _existing(stem: bytes) -> bytes | None:
    return next((stem + suffix for suffix in _SIDECAR_SUFFIXES if os.path.lexists(stem + suffix)), None)


def _shared(stem: bytes, suffix: bytes, adobe: bool) -> bool:
    """Whether another photo, too, might have the sidecar `photo.xmp`."""
    if suffix in RAW_SUFFIXES:
        return False
    others = PHOTO_SUFFIXES if adobe else PHOTO_SUFFIXES | RAW_SUFFIXES
    # Looked up one by one: listing a large folder for each of its photos would take longer by far.
    return any(os.path.lexists(stem + case) for each in others - {suffix} for case in (each, each.upper()))


def _read(path: bytes) -> tuple[bytes, os.stat_result] | None:
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise XmlError("it is not a regular file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise XmlError(f"it is too large: more than {MAX_BYTES >> 20} MiB")
    if not data:
        raise XmlError("it is empty")
    return data, status


def _replace(file: Path, data: bytes, old: os.stat_result | None) -> None:
    temporary = file.with_name(f".searcher-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as writing:
            if old is not None:
                with suppress(OSError, AttributeError):  # not ours to give away, or Windows
                    os.chown(temporary, old.st_uid, old.st_gid)
                temporary.chmod(stat.S_IMODE(old.st_mode))
            writing.write(data)
            writing.flush()
            os.fsync(descriptor)
        _check_unchanged(file, old)
        temporary.replace(file)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _check_unchanged(file: Path, old: os.stat_result | None) -> None:
    try:
        now = file.lstat()
    except FileNotFoundError:
        same = old is None
    else:
        same = old is not None and _version(now) == _version(old)
    if not same:
        raise XmlError("another program changed it just now")


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _error(what: str, path: bytes, error: Exception) -> SidecarError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return SidecarError(f"cannot {what} {os.fsdecode(path)}: {reason}")
