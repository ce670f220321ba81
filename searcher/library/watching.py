# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH112, PTH113, PTH116, PTH118, PTH120
"""Keep a library up to date: wait for changes of its folders, let them settle, index what was touched."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from searcher.catalog import Catalog
from searcher.catalog.folders import prefix_in
from searcher.catalog.rows import Root
from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.filters.uri import is_uri
from searcher.indexer.places import absolute, holds_something
from searcher.indexer.report import IndexReport
from searcher.photos.rules import IGNORE_FILE, Rules
from searcher.photos.scan import mount_points_below
from searcher.photos.suffixes import READ_SUFFIXES, SIDECAR_SUFFIX, suffix_of
from searcher.progress import Progress

if TYPE_CHECKING:
    from types import ModuleType

QUIET_S = 0.4  # no photo was written for so long: then what was touched is indexed
LONGEST_S = 10.0  # it is indexed at the latest so long after the first change
WAKE_S = 0.2  # how often it is looked whether that time has come
PRESENT_S = 1.0  # how often it is looked whether a folder or disk came or went
RETRY_S = 30.0  # after an error, such as a full disk
RESCAN_S = 3600.0  # how often all folders are compared, because a network share does not tell what others change
MANY = 500  # touched folders: then it is faster to compare all

Index = Callable[[Sequence[str]], IndexReport]
Places = tuple[tuple[bytes, object], ...]  # each root, and what changes when its disk comes or goes


class _Root(NamedTuple):
    path: bytes
    real: bytes  # without links: some systems report changes under it
    rules: Rules
    whole: bool


def watch(
    catalog: Catalog, index: Index, paths: Sequence[str | Path], stop: Event, progress: Progress
) -> Iterator[IndexReport]:
    """Index `paths` (folders; none means all known folders) now and whenever something in them changes.

    index: indexes the paths that it is given, or everything. Yields the report of each run until `stop` is set. Raises
    SearcherError if the first run fails. Errors of later runs become notices, and the run is repeated.
    """
    _watchfiles()
    named = [absolute(path) for path in paths]
    for path in named:
        if os.path.isfile(path):
            raise InvalidInput(f"{os.fsdecode(path)} is a file: name folders to watch")
    whole = [os.fsdecode(path) for path in named]
    yield index(whole)
    while not stop.is_set():
        roots = _roots(catalog, named)
        places = _places(roots)
        with closing(_changes(roots, stop, progress)) as changes:
            next(changes, None)  # from now on, changes are noticed
            due: list[str] | None = whole  # because of those before that
            while due is not None and not stop.is_set():
                try:
                    report = index(due)
                except SearcherError as error:
                    if isinstance(error, NotFound) and due != whole:  # a folder has just gone
                        due = whole
                        continue
                    progress.notice(f"{error}; trying again in {RETRY_S:.0f} seconds")
                    stop.wait(RETRY_S)
                    break
                yield report
                due = _wait(catalog, named, places, changes)


def _wait(
    catalog: Catalog, named: Sequence[bytes], places: Places, changes: Iterator[set[bytes] | None]
) -> list[str] | None:
    """Wait until something must be indexed. Returns what, or None if the folders must be watched anew."""
    started = looked = time.monotonic()
    touched: set[bytes] = set()
    first = last = 0.0
    roots = _roots(catalog, named)
    for changed in changes:
        now = time.monotonic()
        if changed is None:
            return None
        if found := {folder for path in changed if (folder := _touched(path, roots)) is not None}:
            first, last = first if touched else now, now
            touched |= found
        if touched and (now - last >= QUIET_S or now - first >= LONGEST_S):
            return _to_index(touched, _roots(catalog, named), named)
        if now - looked >= PRESENT_S:
            looked = now
            if _places(_roots(catalog, named)) != places:
                return None
        if now - started >= RESCAN_S:
            return [os.fsdecode(path) for path in named]
    return None


def _watchfiles() -> "ModuleType":
    try:
        import watchfiles
    except ImportError:
        raise SearcherError('watching needs another package: pip install "searcher[watch]"') from None
    return watchfiles


def _changes(roots: Sequence[_Root], stop: Event, progress: Progress) -> Generator[set[bytes] | None]:
    """Yield the paths that changed, at least every WAKE_S. None: begin anew, as changes may have been missed."""
    watchfiles = _watchfiles()
    present = []
    for root in roots:
        try:
            present += [root.real.decode()] if os.path.isdir(root.real) else []
        except UnicodeDecodeError:
            progress.notice(f"{os.fsdecode(root.path)}: its name is not UTF-8, so it is only compared once an hour")
    if not present:
        while not stop.wait(WAKE_S):
            yield set()
        return
    wake = round(WAKE_S * 1000)
    try:
        for changed in watchfiles.watch(
            *present,
            watch_filter=None,
            debounce=wake,
            step=50,
            rust_timeout=wake,
            yield_on_timeout=True,
            stop_event=stop,
            ignore_permission_denied=True,
        ):
            if any(kind == watchfiles.Change.deleted and path in present for kind, path in changed):
                yield None
            yield {os.fsencode(path) for _, path in changed}
    except FileNotFoundError:  # a folder has just gone
        yield None
    except OSError as error:
        raise SearcherError(
            f"the folders cannot be watched: {error}. On Linux, allow more watches: "
            "sudo sysctl fs.inotify.max_user_watches=1000000"
        ) from error
    except RuntimeError:  # watchfiles does not know names that are not UTF-8
        yield None


def _roots(catalog: Catalog, named: Sequence[bytes]) -> list[_Root]:
    """The roots to watch: all, or those that hold what was named."""
    with catalog.read() as view:
        roots = view.files.roots()
    return [
        _Root(root.path, os.path.realpath(root.path), Rules(root.path, root.options), root.whole)
        for root in roots
        if not is_uri(root.path) and (not named or any(_overlap(path, root) for path in named))
    ]


def _overlap(path: bytes, root: Root) -> bool:
    real, real_root = os.path.realpath(path), os.path.realpath(root.path)
    return prefix_in(real, real_root) is not None or prefix_in(real_root, real) is not None


def _places(roots: Sequence[_Root]) -> Places:
    places: list[tuple[bytes, object]] = []
    for root in roots:
        try:
            status = os.stat(root.path)
            places.append((root.path, (status.st_dev, status.st_ino, mount_points_below(root.path))))
        except OSError:
            places.append((root.path, None))
    return tuple(places)


def _touched(path: bytes, roots: Sequence[_Root]) -> bytes | None:
    """The folder to index because something changed at `path`. None if that is no photo and no folder of photos."""
    is_folder, name = os.path.isdir(path), path[path.rfind(b"/") + 1 :]
    suffix = suffix_of(name) if b"." in name else b""
    is_file = suffix in READ_SUFFIXES or suffix == SIDECAR_SUFFIX or name == IGNORE_FILE
    # what is gone and has no suffix may have been a folder
    if not (is_folder or is_file or (not suffix and not os.path.lexists(path))):
        return None
    folder = path if is_folder else os.path.dirname(path)
    root = max((root for root in roots if prefix_in(folder, root.real) is not None), key=_length, default=None)
    if root is None:
        return None
    # a folder that is empty now may be an unmounted disk: then nothing in it counts as deleted, but its parent knows
    folder = _nearest(folder, {root.real})
    inside = prefix_in(folder, root.real) or b""
    return None if inside and root.rules.leave_out(inside, True) else os.path.join(root.path, inside)


def _length(root: _Root) -> int:
    return len(root.real)


def _to_index(touched: set[bytes], roots: Sequence[_Root], named: Sequence[bytes]) -> list[str]:
    """What to index because of touched folders; nothing means all."""
    single = {root.path for root in roots if not root.whole}
    if len(touched) > MANY or any(prefix_in(folder, path) is not None for folder in touched for path in single):
        return [os.fsdecode(path) for path in named]
    known = {root.path for root in roots}
    left = {folder for folder in touched if any(prefix_in(folder, path) is not None for path in known)}
    return sorted({os.fsdecode(_nearest(folder, known)) for folder in left}) or [os.fsdecode(path) for path in named]


def _nearest(folder: bytes, roots: set[bytes]) -> bytes:
    """The folder, or if nothing is in it by now, the nearest one around it."""
    while folder not in roots and not holds_something(folder):
        folder = os.path.dirname(folder)
    return folder
