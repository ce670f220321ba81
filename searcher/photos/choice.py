"""Which of the files that a scan finds are indexed, and which are passed over.

Videos are always passed over. Camera raw files and JPEG XL files are passed over if the package that reads them is not
installed. A camera often writes a raw file and a JPEG or HEIC of the same photo: then the raw file is passed over.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec

from searcher.photos.rules import Raw
from searcher.photos.scan import FoundFile, FoundSidecar, LinkOut, MountPoint, Unreadable
from searcher.photos.suffixes import (
    COMPANION_SUFFIXES,
    JPEG_XL_SUFFIXES,
    RAW_SUFFIXES,
    VIDEO_SUFFIXES,
    suffix_of,
)

Found = FoundFile | FoundSidecar | Unreadable | MountPoint | LinkOut


class Kind(StrEnum):
    """What may be passed over."""

    VIDEO = "videos"
    RAW = "raw"
    JPEG_XL = "jpeg_xl"


READERS = {Kind.RAW: ("rawpy", "raw"), Kind.JPEG_XL: ("pillow_jxl", "jxl")}
"""The module that reads a kind, and the extra that installs it."""


_OTHERS = (FoundSidecar, MountPoint)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that is not indexed, and its kind."""

    file: FoundFile
    kind: Kind


def has_reader(kind: Kind) -> bool:
    """Whether the package that reads this kind of file is installed."""
    return kind in READERS and find_spec(READERS[kind][0]) is not None


def how_to_install(kind: Kind) -> str:
    """The command that installs what reads this kind of file."""
    return f"pip install 'searcher[{READERS[kind][1]}]'"


def choose(found: Iterable[Found], raw: Raw = Raw.ALONE) -> Iterator[Found | PassedOver]:
    """Pass over what is not indexed, in the entries of a scan. What is passed over cannot be unreadable, or a link.

    All files of a folder must come one after another, as `scan` yields them.
    """
    unread, alone = _unread(raw), raw == Raw.ALONE
    folder, raws, companions = b"", list[FoundFile](), list[FoundFile]()
    for entry in found:
        if not isinstance(entry, FoundFile):
            if isinstance(entry, _OTHERS) or suffix_of(entry.relpath) not in unread:
                yield entry
            continue
        suffix = suffix_of(entry.relpath)
        if suffix in unread:
            yield PassedOver(entry, unread[suffix])
            continue
        if alone:
            here = entry.relpath[: entry.relpath.rfind(b"/") + 1]
            if here != folder:
                yield from _alone(raws, companions)
                folder, raws, companions = here, [], []
            if suffix in COMPANION_SUFFIXES:
                companions.append(entry)
            elif suffix in RAW_SUFFIXES:
                raws.append(entry)
                continue
        yield entry
    yield from _alone(raws, companions)


def _unread(raw: Raw) -> dict[bytes, Kind]:
    """The suffixes of files that are passed over, whatever lies beside them."""
    unread = dict.fromkeys(VIDEO_SUFFIXES, Kind.VIDEO)
    if raw == Raw.NONE or not has_reader(Kind.RAW):
        unread |= dict.fromkeys(RAW_SUFFIXES, Kind.RAW)
    if not has_reader(Kind.JPEG_XL):
        unread |= dict.fromkeys(JPEG_XL_SUFFIXES, Kind.JPEG_XL)
    return unread


def _alone(raws: list[FoundFile], companions: list[FoundFile]) -> Iterator[FoundFile | PassedOver]:
    stems = {_stem(file) for file in companions} if raws else set()
    for file in raws:
        yield PassedOver(file, Kind.RAW) if _stem(file) in stems else file


def _stem(file: FoundFile) -> bytes:
    return file.relpath[: file.relpath.rfind(b".")].lower()
