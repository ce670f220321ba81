# Paths are bytes here, since names need not be UTF-8, and pathlib knows no bytes.
# ruff: noqa: PTH112, PTH116, PTH118, PTH122
"""The disk compared with the catalog: which files are new, which may have changed, which are gone."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searcher.catalog.records import Place
from searcher.indexer.places import Scope
from searcher.photos.scan import PHOTO_SUFFIXES, FoundFile, scan

if TYPE_CHECKING:
    from searcher.catalog.reader import Reader


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
        for count in _compare_one(reader, scope, changes):
            tick(seen + count)
        seen += count
    return changes


def _compare_one(reader: "Reader", scope: Scope, changes: Changes) -> Iterator[int]:
    root_id = scope.root.id
    known = reader.files(root_id, scope.prefix)
    if scope.files is not None:
        known = {relpath: known[relpath] for relpath in scope.files if relpath in known}
    held = len(known)
    blind: list[bytes] = []  # what could not be looked at: nothing at or below it is taken for deleted
    count = 0

    def on_error(relpath: bytes, error: OSError) -> None:
        relpath = scope.prefix + relpath
        blind.append(relpath)
        reason = error.strerror or str(error)
        if os.path.splitext(relpath)[1].lower() in PHOTO_SUFFIXES:
            changes.unreadable.append((Place(root_id, relpath, -1, -1), reason))
        else:
            path = os.fsdecode(os.path.join(scope.root.path, relpath))
            changes.notices.append(f"{path} cannot be read ({reason}): what it held is kept")

    try:
        found = scan(scope.path, on_error) if scope.files is None else _named(scope, on_error)
        for count, file in enumerate(found, start=1):
            relpath = scope.prefix + file.relpath if scope.prefix else file.relpath
            row = known.pop(relpath, None)
            if row is None:
                changes.new.append(Place(root_id, relpath, file.size, file.mtime_ns))
            elif row[0] != file.size or row[1] != file.mtime_ns:
                changes.perhaps.append(Place(root_id, relpath, file.size, file.mtime_ns))
            elif not row[2]:
                changes.unchanged += 1
            if not count & 0xFFF:
                yield count
    except OSError as error:
        path = os.fsdecode(scope.path)
        reason = (
            "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        )
        changes.notices.append(f"{path} {reason}: nothing was removed ({held} photos are kept)")
        yield count
        return
    if held and not count and not blind and not _holds_anything(scope):
        changes.notices.append(
            f"{os.fsdecode(scope.path)} is empty where it held {held} photos: nothing was removed "
            f"(if they are really gone: searcher forget)"
        )
    else:
        for relpath in known:
            if not any(relpath == dark or relpath.startswith(dark + b"/") for dark in blind):
                changes.gone.append((root_id, relpath))
    yield count


def _holds_anything(scope: Scope) -> bool:
    """Whether single files may be taken for deleted: their folder is there, and not an empty mount point."""
    if scope.files is None:
        return False
    with os.scandir(scope.root.path) as entries:
        return next(entries, None) is not None


def _named(scope: Scope, on_error: Callable[[bytes, OSError], None]) -> Iterator[FoundFile]:
    if not os.path.isdir(scope.root.path):
        raise FileNotFoundError(os.fsdecode(scope.root.path))
    for relpath in scope.files or ():
        try:
            status = os.stat(os.path.join(scope.root.path, relpath))
        except FileNotFoundError:
            continue
        except OSError as error:
            on_error(relpath, error)
            continue
        if stat.S_ISREG(status.st_mode):
            yield FoundFile(relpath, status.st_size, status.st_mtime_ns)
