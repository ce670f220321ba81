# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH118, PTH208
"""File systems that find a file under several spellings: letter case (macOS, exFAT), Unicode normal forms (macOS).

The catalog knows a file by its name as the disk lists it. So a path that a person typed gets that spelling, and a file
that was renamed from `a.jpg` to `A.jpg` is no longer at `a.jpg`, although opening that still works.
"""

import os
import unicodedata
from functools import lru_cache


def as_on_disk(path: bytes) -> bytes:
    """An absolute path as the disk spells it. What does not exist stays as it is."""
    if os.sep != "/":
        return path
    found, parts = b"/", path.strip(b"/").split(b"/")
    for number, part in enumerate(parts):
        if not os.path.lexists(os.path.join(found, part)):
            return os.path.join(found, *parts[number:])
        found = os.path.join(found, _listed(found, part))
    return found


def is_there(root: bytes, relpath: bytes) -> bool:
    """Whether a file exists below `root` under exactly this name."""
    if not os.path.lexists(os.path.join(root, relpath)):
        return False
    folder = root
    for part in relpath.split(b"/"):
        if _listed(folder, part) != part:
            return False
        folder = os.path.join(folder, part)
    return True


def _listed(folder: bytes, name: bytes) -> bytes:
    """The name that the disk lists for what it finds as `name` in `folder`."""
    path = os.path.join(folder, name)
    try:
        status = os.lstat(path)
        if not any(_is_same(os.path.join(folder, other), status) for other in _spellings(name)):
            return name  # the usual case: every other spelling is another file, or none
        names = _names(folder, os.stat(folder).st_mtime_ns)  # noqa: PTH116
    except OSError:
        return name
    if name in names:
        return name
    return next((other for other in names if _folded(other) == _folded(name)), name)


def _spellings(name: bytes) -> set[bytes]:
    text = os.fsdecode(name)
    others = {text.swapcase(), unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)} - {text}
    return {os.fsencode(other) for other in others}


def _is_same(path: bytes, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), status)
    except (OSError, ValueError):
        return False


def _folded(name: bytes) -> str:
    return unicodedata.normalize("NFD", os.fsdecode(name)).casefold()


@lru_cache(maxsize=16)
def _names(folder: bytes, mtime_ns: int) -> frozenset[bytes]:
    """The names in a folder, as long as its modification time is `mtime_ns`."""
    return frozenset(os.listdir(folder))
