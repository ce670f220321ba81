# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH100
"""Folders that people name, as parts of the indexed folders."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from searcher.catalog.rows import Root
from searcher.filters.uri import as_uri, real
from searcher.photos.spelling import as_on_disk


class Part(NamedTuple):
    """The images of a root whose relative paths begin with `prefix`: b"" for all of them, or ending in "/"."""

    root_id: int
    prefix: bytes


def prefix_in(path: bytes, folder: bytes) -> bytes | None:
    """The prefix of `path` in `folder`: b"" if they are equal, b"a/b/" if it is below, None if it is outside."""
    if path == folder:
        return b""
    start = folder if folder.endswith(b"://") else folder.rstrip(b"/") + b"/"
    return path[len(start) :] + b"/" if path.startswith(start) else None


def absolute(path: str | Path) -> bytes:
    """The absolute path, spelled as on disk, or a URI. `~`, "." and ".." are resolved, but links are not."""
    name = os.fsencode(path)
    return as_uri(name) or as_on_disk(os.path.abspath(os.path.expanduser(name)))


def parts_of(roots: Iterable[Root], folder: str) -> list[Part]:
    """What of the indexed folders is in `folder`. A link to a folder counts as that folder."""
    path = absolute(folder)
    parts: dict[Part, None] = {}
    for root in roots:
        # without links, and as it is spelled: images behind a link in the root are known by the name of the link
        for here, there in ((real(path), real(root.path)), (path, root.path)):
            prefix = b"" if prefix_in(there, here) is not None else prefix_in(here, there)
            if prefix is not None:
                parts[Part(root.id, prefix)] = None
    return list(parts)
