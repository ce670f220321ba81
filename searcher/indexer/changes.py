# Paths are bytes here, since names need not be UTF-8, and pathlib knows no bytes.
# ruff: noqa: PTH112, PTH116, PTH118, PTH122
"""The disk compared with the catalog: which files are new, which may have changed, which are gone."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searcher.catalog.records import UNREAD, Place
from searcher.indexer import places
from searcher.indexer.places import Scope
from searcher.photos.scan import PHOTO_SUFFIXES, FoundFile, scan

if TYPE_CHECKING:
    from searcher.catalog.reader import Reader


Known = dict[bytes, tuple[int, int, bool]]  # relpath → size, mtime_ns, failed


@dataclass(slots=True)
class Changes:
    """What a look at the disk found. `unreadable`: what could not even be looked at, with the reason."""

    new: list[Place] = field(default_factory=list)
    perhaps: list[Place] = field(default_factory=list)
    gone: list[tuple[int, bytes]] = field(default_factory=list)
    unreadable: list[tuple[Place, str]] = field(default_factory=list)
    unchanged: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def todo(self) -> int:
        """How many files have to be read."""
        return len(self.new) + len(self.perhaps)

    @property
    def any(self) -> bool:
        """Whether anything is to be changed in the catalog."""
        return bool(self.new or self.perhaps or self.gone or self.unreadable)


def compare(reader: "Reader", scopes: list[Scope], tick: Callable[[int], None]) -> Changes:
    """Look at every file of the scopes. `tick` is told now and then how many files have been seen."""
    changes = Changes()
    seen = 0
    for scope in scopes:
        known = reader.files(scope.root.id, scope.prefix)
        if scope.files is not None:
            known = {relpath: known[relpath] for relpath in scope.files if relpath in known}
        count = 0
        for count in _compare(scope, known, changes):
            tick(seen + count)
        seen += count
    return changes


def _compare(scope: Scope, known: Known, changes: Changes) -> Iterator[int]:
    """Compare one scope with what is known of it, which is used up. Yields how many files were seen."""
    held, count = len(known), 0
    unseen: dict[bytes, OSError] = {}  # nothing at or below these is taken for deleted
    prefix, root_id = scope.prefix, scope.root.id
    try:
        found = scan(scope.path, unseen.__setitem__) if scope.files is None else _named(scope, unseen)
        for file in found:
            relpath = prefix + file.relpath
            row = known.pop(relpath, None)
            if row is None:
                changes.new.append(Place(root_id, relpath, file.size, file.mtime_ns))
            elif row[0] != file.size or row[1] != file.mtime_ns:
                changes.perhaps.append(Place(root_id, relpath, file.size, file.mtime_ns))
            elif not row[2]:
                changes.unchanged += 1
            count += 1
            if not count & 0xFFF:
                yield count
    except OSError as error:
        # a folder inside a root can be deleted; a root is a disk that may be away
        if not (prefix and isinstance(error, FileNotFoundError) and places.holds_something(scope.root.path)):
            reason = "is not there" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
            changes.notices.append(f"{os.fsdecode(scope.path)}: {reason}; {_kept(held)}")
            return
    yield count
    empty = os.path.isdir(scope.path) and not places.holds_something(scope.path)
    if held and not count and not unseen and empty:
        changes.notices.append(
            f"{os.fsdecode(scope.path)}: empty where it held photos; {_kept(held)} (`searcher forget` removes them)"
        )
        return
    _note_unseen(scope, known, changes, {prefix + relpath: error for relpath, error in unseen.items()})
    for relpath, row in known.items():
        if not os.path.lexists(os.path.join(scope.root.path, relpath)):
            changes.gone.append((root_id, relpath))
        elif not row[2]:
            changes.unchanged += 1  # once named as a single file, and not a name that a scan looks for


def _note_unseen(scope: Scope, known: Known, changes: Changes, unseen: dict[bytes, OSError]) -> None:
    """Take what lies at or below `unseen` out of `known`, so that it is kept, and say so."""
    if not unseen:
        return
    below: dict[bytes, int] = {}
    for relpath in list(known):
        dark = next((part for part in _upwards(relpath) if part in unseen), None)
        if dark is None:
            continue
        failed = known.pop(relpath)[2]
        below[dark] = below.get(dark, 0) + (not failed)
    for relpath, error in unseen.items():
        reason = error.strerror or str(error)
        if relpath not in below and os.path.splitext(relpath)[1].lower() in PHOTO_SUFFIXES:
            changes.unreadable.append((Place(scope.root.id, relpath, UNREAD, UNREAD), reason))
        elif below.get(relpath) or not isinstance(error, FileNotFoundError):
            path = os.fsdecode(os.path.join(scope.root.path, relpath))
            changes.notices.append(f"{path}: {reason}; {_kept(below.get(relpath, 0))}")


def _upwards(relpath: bytes) -> Iterator[bytes]:
    """b"a/b/c", b"a/b", b"a"."""
    while relpath:
        yield relpath
        relpath = relpath.rpartition(b"/")[0]


def _kept(photos: int) -> str:
    return f"nothing is removed ({photos} {'photo' if photos == 1 else 'photos'} of it known)"


def _named(scope: Scope, unseen: dict[bytes, OSError]) -> Iterator[FoundFile]:
    """The files that were asked for by name. Raises OSError when their folder is not there."""
    if not places.holds_something(scope.root.path):
        raise FileNotFoundError(os.fsdecode(scope.root.path))
    for relpath in scope.files or ():
        try:
            status = os.stat(os.path.join(scope.root.path, relpath))
        except FileNotFoundError:
            continue
        except OSError as error:
            unseen[relpath] = error
            continue
        yield FoundFile(relpath, status.st_size, status.st_mtime_ns)
