"""Reads a sidecar, and updates the tags in it."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from searcher.photos.metadata import Metadata
from searcher.photos.xmp import Xmp, parse_xmp
from searcher.sidecars.encoding import Source
from searcher.sidecars.errors import RefusedError, SidecarError
from searcher.sidecars.files import SidecarFile, check_size
from searcher.sidecars.tags import CARRIED, FIELDS, Changes, Tag
from searcher.sidecars.xmp import Document, canonical, key

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


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The names in a sidecar, exactly as written.

    subjects: `dc:subject` ("dog"). hierarchical: `lr:hierarchicalSubject` ("animal|dog"). tags_list:
    `digiKam:TagsList` ("animal/dog").
    """

    subjects: tuple[str, ...]
    hierarchical: tuple[str, ...]
    tags_list: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """The result of `update_sidecar`.

    changed: whether the file changed. added: all entries of the file that are ours. Store them in place of the
    entries stored before, and pass them as `remove` the next time.
    """

    changed: bool
    added: tuple[str, ...]


def read_sidecar(path: bytes) -> Sidecar | None:
    """The names in a sidecar, or None if there is no such file. Raises SidecarError if it cannot be read."""
    try:
        data = SidecarFile.read(path).data
        if data is None:
            return None
        document = Document(Source.decode(data).body)
        return Sidecar(*(tuple(document.values(field)) for field in FIELDS))
    except (RefusedError, OSError, ValueError) as error:
        raise _error("read", path, error) from error


def read_metadata(path: bytes) -> Xmp | None:
    """What a sidecar says, or None if there is no such file. Raises SidecarError if it cannot be read."""
    try:
        data = SidecarFile.read(path).data
        return None if data is None else parse_xmp(Source.decode(data).body)
    except (RefusedError, OSError, ValueError) as error:
        raise _error("read", path, error) from error


def theirs(xmp: Xmp, ours: Collection[str]) -> Metadata:
    """What people wrote into a sidecar: all that it says, without our entries."""
    keys: dict[str, set[str]] = {}
    for entry in ours:
        label, _, name = entry.partition("=")
        keys.setdefault(label.removesuffix(CARRIED), set()).add(key(name))
    own = {field.tag: keys.get(str(field), set()) for field in FIELDS}
    return replace(xmp.others, keywords=xmp.keywords(lambda tag, name: key(name) not in own[tag]))


def update_sidecar(path: bytes, add: Sequence[Tag], remove: Sequence[str] = (), *, write: bool = True) -> Update:
    """Write tags to a sidecar, and remove our earlier tags that are not in `add`.

    add: all tags that the photo should have.
    remove: all entries of this sidecar that are ours (`Update.added` of the last call). Entries that `add` still
    needs are kept.
    write: False computes the result without writing.

    An entry that is already in the file and not in `remove` belongs to the user. It is not added again, not removed,
    and not part of the result.

    A missing sidecar is created if there is something to write. A sidecar that searcher created is deleted with the
    last of our tags, unless another program added to it or it is a link. A changed file is replaced atomically: a new
    file in the same folder, with the same permissions, is synced and renamed over it. An unchanged file is not
    written.

    Raises SidecarError, and leaves the file unchanged, if it is malformed, if it is read-only, if it is a link that
    must not be followed, or if another program changes it at the same time.
    """
    changes = Changes(add, remove)
    try:
        file = SidecarFile.read(path)
        source = Source.decode(_NEW if file.data is None else file.data)
        document = Document(source.body)
        added = changes.apply(document)
        if document.changed:
            file.check_writable()
            data = source.encode(document.text)
            _check_readable(data, document)
            if write and not file.linked and _has_only_our_frame(document.text):
                file.delete()
            elif write:
                file.replace(data)
        return Update(document.changed, added)
    except RefusedError as error:
        raise _error("change", path, error) from error
    except (OSError, ValueError) as error:
        raise _error("write", path, error) from error


def _check_readable(data: bytes, document: Document) -> None:
    """Raises RefusedError if `read_sidecar` would refuse what is about to be written, or would find other names."""
    check_size(data)
    written = Document(Source.decode(data).body)
    if any(written.values(field) != document.values(field) for field in FIELDS):
        raise RefusedError("it cannot be changed safely")


def _has_only_our_frame(text: str) -> bool:
    """Whether a document is like a new one, so that nobody but us wrote into it."""
    return len(text) < 4 * len(_NEW) and canonical(text) == canonical(Source.decode(_NEW).body)


def _error(what: str, path: bytes, error: Exception) -> SidecarError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return SidecarError(f"cannot {what} {os.fsdecode(path)}: {reason}")
