"""Find the photo files under a folder, as fast as the file system lists them."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PHOTO_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .tif .tiff .bmp .avif .heic .heif .hif".split()
)
"""Names that are taken for photos, lower case. What is inside is decided by the content."""

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
"""Folders of thumbnails, deleted files and snapshots, lower case; hidden ones (.thumbnails) are left out
anyway."""

_APPLE_LIBRARY = b".photoslibrary"
_APPLE_ORIGINALS = frozenset([b"originals", b"masters"])  # beside them lie several smaller renderings of each photo


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A photo file: path relative to the root with "/" between folders, size in bytes, mtime in
    nanoseconds."""

    relpath: bytes
    size: int
    mtime_ns: int


def scan(root: bytes, on_error: Callable[[bytes, OSError], None]) -> Iterator[FoundFile]:
    """Yield the photo files below `root`, in no particular order, each folder's as they are found.

    Names that begin with a dot and SKIPPED_FOLDERS are left out. A link to a file is that file. A folder is
    entered once, by its real path if it has one below `root`, else by the first link to it in alphabetical
    order: the same tree gives the same paths each time, and a loop of links ends.

    `on_error(relpath, error)` is called for what should have been listed and could not: a photo without
    status (a broken link), a photo that is not a regular file, a folder that cannot be read, a link that
    leads nowhere. Nothing at or below such a path may be taken for deleted. Raises OSError when `root` itself
    cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    links: list[bytes] = []
    folders = [b""]
    while folders or links:
        if folders:
            relpath = folders.pop()
        else:  # every real folder has been seen: now the links, for what lies outside
            links.sort(reverse=True)
            relpath = links.pop()
        try:
            status = os.stat(os.path.join(root, relpath))  # noqa: PTH116, PTH118 (pathlib knows no bytes)
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
    """Yield the photos directly in one folder, and put its folders and the links to folders on the two
    lists."""
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
