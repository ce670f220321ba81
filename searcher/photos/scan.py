"""Finds the photo files and videos under a folder. `choice` says which of them are indexed."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from searcher.photos.suffixes import FOUND_SUFFIXES, SIDECAR_SUFFIX, suffix_of

SKIPPED_FOLDERS = frozenset(
    [
        b"@eadir",  # Synology: thumbnails
        b"#recycle",
        b"#snapshot",
        b"@recycle",  # QNAP
        b"@recently-snapshot",
        b"$recycle.bin",  # Windows
        b"system volume information",
        b"lost+found",
    ]
)
"""Folders of thumbnails, deleted files and snapshots, in lower case. They are skipped, and so are
hidden folders such as .thumbnails."""

_APPLE_LIBRARY = b".photoslibrary"
_APPLE_ORIGINALS = frozenset([b"originals", b"masters"])  # the other folders have smaller copies of each photo


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A photo file or a video.

    relpath: path relative to the root, with "/" between folders. size: in bytes. mtime_ns: modification time in
    nanoseconds.
    """

    relpath: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class FoundSidecar:
    """An XMP file, with the same fields as a photo file. It may be the sidecar of a photo."""

    relpath: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that could not be listed, relative to the root. Nothing at or below it may be treated as deleted."""

    relpath: bytes
    error: OSError


BROKEN_LINK = "a broken link: its target does not exist"
_YIELDED = (FoundFile, FoundSidecar, Unreadable)
_MOUNTS = "/proc/self/mountinfo"
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")  # how it writes white space and backslashes


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A folder below the root where another disk, or another folder, is mounted."""

    relpath: bytes


def scan(root: bytes) -> Iterator[FoundFile | FoundSidecar | Unreadable | MountPoint]:
    """Yield the photo files, videos and XMP files below `root`, what could not be listed, and mount points.

    The folders come in no particular order, and the files of a folder one after another.
    Names that begin with a dot and SKIPPED_FOLDERS are skipped. Links are followed, except a link to a photo that is
    found below `root` under its real path. Each folder is listed once: under its real path if that is below `root`, or
    else under the first link to it in alphabetical order. So the same tree always gives the same paths, and link loops
    end.

    What could not be listed is a photo without a file status (such as a broken link), a photo that is not a regular
    file, an unreadable folder, or a link to a missing folder. Raises OSError if `root` itself cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    links: list[bytes] = []
    folders: list[tuple[bytes, int | None]] = [(b"", None)]  # with the device of the folder around it
    real_root = os.path.realpath(root)
    start = real_root.rstrip(b"/") + b"/"
    mounted = {point[len(start) :] for point in _mount_points() if point.startswith(start) and point != start}
    while folders or links:
        if folders:
            relpath, outer_device = folders.pop()
        else:  # all real folders are done, so now follow the links
            links.sort(reverse=True)
            relpath, outer_device = links.pop(), None
        try:
            status = os.stat(os.path.join(root, relpath))  # noqa: PTH116, PTH118 (pathlib has no bytes paths)
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            if relpath in mounted or (outer_device is not None and status.st_dev != outer_device):
                yield MountPoint(relpath)
            for found in _list(root, relpath, real_root):
                if isinstance(found, _YIELDED):
                    yield found
                elif isinstance(found, bytes):
                    folders.append((found, status.st_dev))
                else:
                    links.append(found.relpath)
        except OSError as error:
            if not relpath:
                raise
            yield Unreadable(relpath, error)


def is_mount_point(folder: bytes) -> bool:
    """Whether another disk, or another folder, is mounted at `folder`."""
    return os.path.ismount(folder) or os.path.realpath(folder) in _mount_points()


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


@dataclass(frozen=True, slots=True)
class _FolderLink:
    relpath: bytes


def _list(
    root: bytes, relpath: bytes, real_root: bytes
) -> Iterator[FoundFile | FoundSidecar | Unreadable | _FolderLink | bytes]:
    """Yield what is directly in one folder: photos, XMP files, what cannot be listed, links to folders, subfolders
    (bytes).
    """
    prefix = relpath + b"/" if relpath else b""
    apple_library = (relpath or root.rstrip(b"/")).lower().endswith(_APPLE_LIBRARY)
    with os.scandir(os.path.join(root, relpath)) as entries:  # noqa: PTH118
        for entry in entries:
            name, is_link = entry.name, False
            if name.startswith(b"."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    lower = name.lower()
                    if lower not in SKIPPED_FOLDERS and (not apple_library or lower in _APPLE_ORIGINALS):
                        yield prefix + name
                    continue
                suffix, is_link = suffix_of(name), entry.is_symlink()
                is_photo = suffix in FOUND_SUFFIXES
                if not is_photo and not is_link and suffix != SIDECAR_SUFFIX:
                    continue
                status = entry.stat()
            except OSError as error:
                broken = is_link and error.errno == errno.ENOENT
                yield Unreadable(prefix + name, OSError(errno.ENOENT, BROKEN_LINK) if broken else error)
                continue
            if is_link and stat.S_ISDIR(status.st_mode):
                yield _FolderLink(prefix + name)
            elif suffix == SIDECAR_SUFFIX:
                if stat.S_ISREG(status.st_mode):
                    yield FoundSidecar(prefix + name, status.st_size, stored_time(status))
            elif is_photo and stat.S_ISREG(status.st_mode):
                if not (is_link and _is_found_below(entry.path, real_root)):
                    yield FoundFile(prefix + name, status.st_size, stored_time(status))
            elif is_photo:
                yield Unreadable(prefix + name, OSError(errno.EINVAL, "not a regular file"))


def _is_found_below(link: bytes, real_root: bytes) -> bool:
    """Whether a scan finds what a link leads to under its real path."""
    real = os.path.realpath(link)
    start = real_root.rstrip(b"/") + b"/"
    if not real.startswith(start) or suffix_of(real) not in FOUND_SUFFIXES:
        return False
    return not any(part.startswith(b".") or part.lower() in SKIPPED_FOLDERS for part in real[len(start) :].split(b"/"))


def stored_time(status: os.stat_result) -> int:
    """The modification time in nanoseconds, cut to what SQLite stores: about the years 1677 to 2262."""
    time = status.st_mtime_ns
    return time if -_MAX_TIME <= time <= _MAX_TIME else _MAX_TIME if time > 0 else -_MAX_TIME


_MAX_TIME = 2**63 - 1
