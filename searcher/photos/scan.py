"""Finds the photo files and videos under a folder. `choice` says which of them are indexed."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from searcher.photos.rules import FolderOptions, Rules
from searcher.photos.suffixes import FOUND_SUFFIXES, SIDECAR_SUFFIX, suffix_of

DEFAULT_OPTIONS = FolderOptions()


class FoundFile(NamedTuple):
    """A photo file or a video.

    relpath: path relative to the root, with "/" between folders. size: in bytes. mtime_ns: modification time in
    nanoseconds.
    """

    relpath: bytes
    size: int
    mtime_ns: int


class FoundSidecar(NamedTuple):
    """An XMP file, with the same fields as a photo file. It may be the sidecar of a photo."""

    relpath: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that could not be listed, relative to the root. Nothing at or below it may be treated as deleted."""

    relpath: bytes
    error: OSError


@dataclass(frozen=True, slots=True)
class LinkOut:
    """A link to a file or a folder outside of the root that was not followed."""

    relpath: bytes


BROKEN_LINK = "a broken link: its target does not exist"
_NOT_REGULAR = OSError(errno.EINVAL, "not a regular file")
_MOUNTS = "/proc/self/mountinfo"
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")  # how it writes white space and backslashes


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A folder below the root where another disk, or another folder, is mounted."""

    relpath: bytes


def scan(
    root: bytes, options: FolderOptions = DEFAULT_OPTIONS, below: bytes = b""
) -> Iterator[FoundFile | FoundSidecar | Unreadable | MountPoint | LinkOut]:
    """Yield the photo files, videos and XMP files of `root`, what could not be listed, mount points and links that were
    not followed. The folders come in no particular order, and the files of a folder one after another.

    options: what is left out, see `rules`. below: list only what is below this folder, a path relative to the root.

    A link to something that is found in `root` under its real path is not followed, and without `follow_links` no link
    that leads out of `root`. Each folder is listed once: under its real path if that is in `root`, or else under the
    first link to it in alphabetical order. So the same tree always gives the same paths, and link loops end.

    What could not be listed is a photo without a file status (such as a broken link), a photo that is not a regular
    file, an unreadable folder, or a link to a missing folder. Raises OSError if the folder to list cannot be read.
    """
    rules = Rules(root, options)
    visited: set[tuple[int, int]] = set()
    links: list[bytes] = []
    # with the device of the folder around it, and whether a link leads there
    folders: list[tuple[bytes, int | None, bool]] = [(below, None, False)]
    mounted = mount_points_below(root)
    while folders or links:
        if folders:
            relpath, outer_device, linked = folders.pop()
        else:  # all real folders are done, so now follow the links
            links.sort(reverse=True)
            relpath, outer_device, linked = links.pop(), None, True
        inner: list[bytes] = []
        try:
            status = os.stat(os.path.join(root, relpath))  # noqa: PTH116, PTH118 (pathlib has no bytes paths)
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            if linked and rules.holds_folder(os.path.join(root, relpath)):  # noqa: PTH118
                continue  # listed under its real path, now or by the scan of another part
            if relpath in mounted or (outer_device is not None and status.st_dev != outer_device):
                yield MountPoint(relpath)
            yield from _list(rules, relpath, inner, links)
        except OSError as error:
            if relpath == below:
                raise
            yield Unreadable(relpath, error)
        folders += [(folder, status.st_dev, linked) for folder in inner]


def is_mount_point(folder: bytes) -> bool:
    """Whether another disk, or another folder, is mounted at `folder`."""
    return os.path.ismount(folder) or os.path.realpath(folder) in _mount_points()


def mount_points_below(folder: bytes) -> frozenset[bytes]:
    """The folders below `folder` where another disk, or another folder, is mounted, as far as they are known."""
    start = os.path.realpath(folder).rstrip(b"/") + b"/"
    return frozenset(point[len(start) :] for point in _mount_points() if point.startswith(start) and point != start)


def _mount_points() -> frozenset[bytes]:
    """All mount points as Linux lists them, and none on other systems.

    The number of a folder's device does not show a folder of the same disk that is mounted in a second place.
    """
    try:
        with open(_MOUNTS, "rb") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:  # another system
        return frozenset()
    return frozenset(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), line.split(b" ", 5)[4]) for line in lines)


def _list(
    rules: Rules, relpath: bytes, folders: list[bytes], links: list[bytes]
) -> Iterator[FoundFile | FoundSidecar | Unreadable | LinkOut]:
    """Yield what is directly in one folder. Add its subfolders to `folders`, and links to folders to `links`."""
    prefix = relpath + b"/" if relpath else b""
    patterns, hidden = rules.patterns(relpath), rules.options.hidden
    with os.scandir(os.path.join(rules.root, relpath)) as entries:  # noqa: PTH118
        for entry in entries:
            name = entry.name
            is_hidden = name.startswith(b".")
            if is_hidden and not hidden:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not rules.skips(relpath, name, True, patterns):
                        folders.append(prefix + name)
                    continue
                suffix = suffix_of(name)
                is_found = suffix in FOUND_SUFFIXES
                if entry.is_symlink():
                    yield from _link(rules, prefix + name, entry, is_found, links)
                    continue
                if not is_found or ((is_hidden or patterns) and rules.skips(relpath, name, False, patterns)):
                    continue
                status = entry.stat()
            except OSError as error:
                yield Unreadable(prefix + name, error)
                continue
            if not stat.S_ISREG(status.st_mode):
                yield Unreadable(prefix + name, _NOT_REGULAR)
            elif suffix == SIDECAR_SUFFIX:
                yield FoundSidecar(prefix + name, status.st_size, stored_time(status))
            else:
                yield FoundFile(prefix + name, status.st_size, stored_time(status))


def _link(
    rules: Rules, relpath: bytes, entry: "os.DirEntry[bytes]", is_found: bool, links: list[bytes]
) -> Iterator[FoundFile | FoundSidecar | Unreadable | LinkOut]:
    """Yield what a link stands for: nothing if that is left out, or found in the root under its real path. Add a link
    to a folder to `links`.
    """
    folder, _, name = relpath.rpartition(b"/")
    inside = rules.inside(entry.path)
    leads_out = inside is None and not rules.options.follow_links
    error, status = None, None
    try:
        status = entry.stat()
    except OSError as problem:
        error = OSError(errno.ENOENT, BROKEN_LINK) if problem.errno == errno.ENOENT else problem
    is_folder = status is not None and stat.S_ISDIR(status.st_mode)
    if rules.skips(folder, name, is_folder, rules.patterns(folder)):
        return
    if error is not None or status is None:
        # a broken link without the name of a photo may stand for a folder of photos on a missing disk
        if not leads_out and error is not None:
            yield Unreadable(relpath, error)
        elif is_found:
            yield LinkOut(relpath)
    elif is_folder or is_found:
        if leads_out:
            yield LinkOut(relpath)
        elif is_folder:
            links.append(relpath)
        elif not stat.S_ISREG(status.st_mode):
            yield Unreadable(relpath, _NOT_REGULAR)
        elif suffix_of(name) == SIDECAR_SUFFIX:  # of a photo beside the link, whatever it leads to
            yield FoundSidecar(relpath, status.st_size, stored_time(status))
        elif inside is None or not _is_found(rules, inside):
            yield FoundFile(relpath, status.st_size, stored_time(status))


def _is_found(rules: Rules, relpath: bytes) -> bool:
    """Whether a scan finds the file at this real path."""
    return suffix_of(relpath) in FOUND_SUFFIXES and not rules.leave_out(relpath, False)


def stored_time(status: os.stat_result) -> int:
    """The modification time in nanoseconds, cut to what SQLite stores: about the years 1677 to 2262."""
    time = status.st_mtime_ns
    return time if -_MAX_TIME <= time <= _MAX_TIME else _MAX_TIME if time > 0 else -_MAX_TIME


_MAX_TIME = 2**63 - 1
