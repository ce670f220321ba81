"""Finds the photo files under a folder."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PHOTO_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .tif .tiff .bmp .avif .heic .heif .hif".split()
)
"""Suffixes of photo files, in lower case. The format is detected from the content, not from the suffix."""

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
    """A photo file.

    relpath: path relative to the root, with "/" between folders. size: in bytes. mtime_ns: modification time in
    nanoseconds.
    """

    relpath: bytes
    size: int
    mtime_ns: int


def scan(root: bytes, on_error: Callable[[bytes, OSError], None]) -> Iterator[FoundFile]:
    """Yield the photo files below `root`, in no particular order.

    Names that begin with a dot and SKIPPED_FOLDERS are skipped. Links are followed. Each folder is listed once: under
    its real path if that is below `root`, or else under the first link to it in alphabetical order. So the same tree
    always gives the same paths, and link loops end.

    `on_error(relpath, error)` is called for each path that could not be listed: a photo without a file status (such
    as a broken link), a photo that is not a regular file, an unreadable folder, or a link to a missing folder. The
    caller must not treat anything at or below such a path as deleted.

    Raises OSError if `root` itself cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    links: list[bytes] = []
    folders = [b""]
    while folders or links:
        if folders:
            relpath = folders.pop()
        else:  # all real folders are done, so now follow the links
            links.sort(reverse=True)
            relpath = links.pop()
        try:
            status = os.stat(os.path.join(root, relpath))  # noqa: PTH116, PTH118 (pathlib has no bytes paths)
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            yield from _list(root, relpath, folders, links, on_error)
        except OSError as error:
            if not relpath:
                raise
            on_error(relpath, error)


def _list(
    root: bytes,
    relpath: bytes,
    folders: list[bytes],
    links: list[bytes],
    on_error: Callable[[bytes, OSError], None],
) -> Iterator[FoundFile]:
    """Yield the photos directly in one folder. Append its subfolders to `folders` and links to folders to `links`."""
    prefix = relpath + b"/" if relpath else b""
    apple_library = (relpath or root.rstrip(b"/")).lower().endswith(_APPLE_LIBRARY)
    with os.scandir(os.path.join(root, relpath)) as entries:  # noqa: PTH118
        for entry in entries:
            name = entry.name
            if name.startswith(b"."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    lower = name.lower()
                    if lower not in SKIPPED_FOLDERS and (not apple_library or lower in _APPLE_ORIGINALS):
                        folders.append(prefix + name)
                    continue
                is_photo = name[name.rfind(b".") :].lower() in PHOTO_SUFFIXES
                is_link = entry.is_symlink()
                if not is_photo and not is_link:
                    continue
                status = entry.stat()
            except OSError as error:
                on_error(prefix + name, error)
                continue
            if is_link and stat.S_ISDIR(status.st_mode):
                links.append(prefix + name)
            elif is_photo and stat.S_ISREG(status.st_mode):
                yield FoundFile(prefix + name, status.st_size, status.st_mtime_ns)
            elif is_photo:
                on_error(prefix + name, OSError(errno.EINVAL, "not a regular file"))
