# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH112, PTH116, PTH118
"""Compare the disk with the catalog: find files that are new, may have changed, or were deleted."""

import errno
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from searcher.catalog import Catalog
from searcher.catalog.rows import UNREAD, KnownFile, Place
from searcher.indexer import places
from searcher.indexer.beside import Beside, SidecarChange, named_sidecars, sidecar_changes
from searcher.indexer.places import Scope
from searcher.photos.choice import Found, Kind, PassedOver, choose, has_reader
from searcher.photos.own import is_own_picture
from searcher.photos.rules import Raw, Rules
from searcher.photos.scan import (
    FoundFile,
    FoundSidecar,
    MountPoint,
    Unreadable,
    is_mount_point,
    scan,
    stored_time,
)
from searcher.photos.spelling import is_there
from searcher.photos.suffixes import READ_SUFFIXES, suffix_of
from searcher.progress import Progress

Known = dict[bytes, KnownFile]  # by relative path


@dataclass(slots=True)
class Changes:
    """The differences between the disk and the catalog.

    new: files that are not in the catalog. perhaps: known files with a different size or time. gone: (root id, relpath)
    of deleted files. unwanted: the same of files that their folder leaves out or passes over now. passed_over: how many
    files of each kind are. raw_unwanted: how many of them because their folder holds no raw files. unreadable: photo
    files whose size and time could not be read, with the reason. mounts: (root id, relpath) of mount points that are
    new. sidecars: those that must be read or forgotten. unchanged: the number of unchanged files. notices: lines for
    the user.
    """

    new: list[Place] = field(default_factory=list)
    perhaps: list[Place] = field(default_factory=list)
    gone: list[tuple[int, bytes]] = field(default_factory=list)
    unwanted: list[tuple[int, bytes]] = field(default_factory=list)
    passed_over: Counter[Kind] = field(default_factory=Counter)
    raw_unwanted: int = 0
    unreadable: list[tuple[Place, str]] = field(default_factory=list)
    mounts: list[tuple[int, bytes]] = field(default_factory=list)
    sidecars: list[SidecarChange] = field(default_factory=list)
    unchanged: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def todo(self) -> int:
        """How many files must be read."""
        return len(self.new) + len(self.perhaps)

    @property
    def any(self) -> bool:
        """Whether the catalog needs any change, apart from sidecars."""
        return bool(self.todo or self.gone or self.unwanted or self.unreadable or self.mounts)


def compare(
    catalog: Catalog, scopes: list[Scope], progress: Progress, *, retry: bool = False, check_content: bool = False
) -> Changes:
    """Compare every file in the scopes with the catalog. `progress` is told how many files were seen so far.

    retry: files that failed earlier are read again, even if they look unchanged. check_content: so are all others.
    """
    changes = Changes()
    seen = 0
    for scope in scopes:
        with catalog.read() as view:
            known = view.files.known(scope.root.id, scope.prefix)
            mounts = view.files.mounts(scope.root.id)
            sidecars = view.metadata.sidecars(scope.root.id, scope.prefix)
        if scope.files is not None:
            known = {relpath: known[relpath] for relpath in scope.files if relpath in known}
        count, beside = 0, Beside()
        for count in _compare(scope, known, mounts, changes, beside, (retry, check_content)):
            progress.advance(seen + count, None)
        changes.sidecars += sidecar_changes(scope.root.id, beside, sidecars)
        seen += count
    return changes


def _compare(
    scope: Scope, known: Known, mounts: set[bytes], changes: Changes, beside: Beside, again: tuple[bool, bool]
) -> Iterator[int]:
    """Compare one scope with its `known` files, and remove each file that was seen from `known`. Add each photo and
    sidecar to `beside`.

    again: whether failed files, and whether other files are read again that look unchanged. Yields the number of files
    seen so far.
    """
    retry, check_content = again
    held, count, links = len(known), 0, 0
    photos = sum(not row.failed for row in known.values())
    unseen: dict[bytes, OSError] = {}  # nothing at or below these paths counts as deleted
    mounted: set[bytes] = set()
    prefix, root_id = scope.prefix, scope.root.id
    try:
        for entry in _found(scope):
            file = _passed_over(entry, scope, known, changes) if isinstance(entry, PassedOver) else entry
            if not isinstance(file, FoundFile):
                if isinstance(file, FoundSidecar):
                    beside.sidecars[file.relpath] = file
                elif isinstance(file, Unreadable):
                    unseen[file.relpath] = file.error
                elif isinstance(file, MountPoint):
                    mounted.add(file.relpath)
                elif file is not None:
                    links += 1
                continue
            relpath = file.relpath
            row = known.pop(relpath, None)
            if row is None and is_own_picture(Path(os.fsdecode(os.path.join(scope.root.path, relpath)))):
                continue  # a contact sheet that was drawn into the folder
            if row is None:
                changes.new.append(Place(root_id, relpath, file.size, file.mtime_ns))
                beside.new.append(relpath)
            elif row.size != file.size or row.mtime_ns != file.mtime_ns or (retry if row.failed else check_content):
                changes.perhaps.append(Place(root_id, relpath, file.size, file.mtime_ns))
                beside.new.append(relpath)
            elif not row.failed:
                changes.unchanged += 1
                beside.unchanged.append(relpath)
            count += 1
            if not count & 0xFFF:
                yield count
    except OSError as error:
        # A missing folder inside a root was deleted. A missing root may be a disk that is not connected.
        if not (prefix and isinstance(error, FileNotFoundError) and places.holds_something(scope.root.path)):
            reason = "not found" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
            changes.notices.append(f"{os.fsdecode(scope.path)}: {reason}{_kept(photos)}")
            return
    yield count
    empty = os.path.isdir(scope.path) and not places.holds_something(scope.path)
    if held and not count and not unseen and empty:
        changes.notices.append(
            f"{os.fsdecode(scope.path)}: the folder is empty but held photos before{_kept(photos)}. "
            "To remove them, use `searcher forget`"
        )
        return
    changes.mounts += [(root_id, relpath) for relpath in sorted(mounted - mounts)]
    for relpath in mounts - mounted:
        if not is_mount_point(os.path.join(scope.root.path, relpath)):
            unseen[relpath] = OSError(errno.ENODEV, "the disk is not mounted")
    if links:
        lead = (
            "1 link leads out of the folder and is" if links == 1 else f"{links:,} links lead out of the folder and are"
        )
        changes.notices.append(f"{os.fsdecode(scope.path)}: {lead} not followed; to follow links, use --follow-links")
    _note_unseen(scope, known, changes, unseen)
    rules = Rules(scope.root.path, scope.root.options)
    for relpath, row in known.items():
        if not is_there(scope.root.path, relpath):
            changes.gone.append((root_id, relpath))
        elif scope.files is None and rules.leave_out(relpath, False):
            changes.unwanted.append((root_id, relpath))
        elif not row.failed:
            changes.unchanged += 1  # was indexed as a single file and has no photo suffix, so a scan skips it


def _passed_over(entry: PassedOver, scope: Scope, known: Known, changes: Changes) -> FoundFile | None:
    """Count a file that is passed over. Returns it if it is in the catalog, stays there, and can be read."""
    kind, relpath, raw = entry.kind, entry.file.relpath, scope.root.options.raw
    row = known.get(relpath)
    asked = kind == Kind.RAW and raw is not None and (raw == Raw.NONE or has_reader(kind))
    if row is not None and not row.failed and not asked:
        if has_reader(kind):
            return entry.file
        changes.unchanged += 1
    else:
        changes.passed_over[kind] += 1
        changes.raw_unwanted += kind == Kind.RAW and raw == Raw.NONE
        if row is not None:
            changes.unwanted.append((scope.root.id, relpath))
    known.pop(relpath, None)
    return None


def _note_unseen(scope: Scope, known: Known, changes: Changes, unseen: dict[bytes, OSError]) -> None:
    """Remove what is at or below `unseen` from `known`, so that it is kept, and add notices about it."""
    if not unseen:
        return
    below: dict[bytes, int] = {}
    for relpath in list(known):
        dark = next((part for part in _upwards(relpath) if part in unseen), None)
        if dark is None:
            continue
        failed = known.pop(relpath).failed
        below[dark] = below.get(dark, 0) + (not failed)
    for relpath, error in unseen.items():
        reason = error.strerror or str(error)
        is_photo = suffix_of(relpath) in READ_SUFFIXES
        if is_photo and relpath not in below:
            changes.unreadable.append((Place(scope.root.id, relpath, UNREAD, UNREAD), reason))
        elif below.get(relpath) or (not is_photo and error.errno not in (errno.ENOENT, errno.ENODEV)):
            path = os.fsdecode(os.path.join(scope.root.path, relpath))
            changes.notices.append(f"{path}: {reason}{_kept(below.get(relpath, 0))}")


def _upwards(relpath: bytes) -> Iterator[bytes]:
    """Yield a path and its parents: b"a/b/c", b"a/b", b"a"."""
    while relpath:
        yield relpath
        relpath = relpath.rpartition(b"/")[0]


def _kept(photos: int) -> str:
    """The part of a notice that says that photos stay in the library. It is empty if there are none."""
    if not photos:
        return ""
    return f"; nothing is removed (the library keeps {photos:,} {'photo' if photos == 1 else 'photos'} from there)"


def _found(scope: Scope) -> Iterator[Found | PassedOver]:
    """Yield what is in a scope, with paths relative to the root. A raw file that the user named is read, whatever lies
    beside it.
    """
    raw = scope.root.options.raw
    if scope.files is not None:
        return choose(_named(scope), Raw.NONE if raw == Raw.NONE else Raw.ALL)
    return choose(scan(scope.root.path, scope.root.options, scope.prefix.rstrip(b"/")), raw or Raw.ALONE)


def _named(scope: Scope) -> Iterator[FoundFile | FoundSidecar | Unreadable]:
    """Yield the single files of a scope and their sidecars. Raises OSError if their root is missing or empty."""
    if not places.holds_something(scope.root.path):
        raise FileNotFoundError(os.fsdecode(scope.root.path))
    for relpath in scope.files or ():
        try:
            status = os.stat(os.path.join(scope.root.path, relpath))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Unreadable(relpath, error)
            continue
        yield FoundFile(relpath, status.st_size, stored_time(status))
        yield from named_sidecars(scope.root.path, relpath)
