# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH117
"""Which indexed folder the photos of shards belong to. Nothing on the disk is looked at but links.

A photo with a URI, or inside an archive, belongs to an indexed "folder" whose path is a URI. No such folder exists, so
an index run never takes its photos for deleted.
"""

import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from searcher.catalog.rows import Root
from searcher.catalog.write.transaction import Transaction
from searcher.filters.uri import is_uri
from searcher.indexer.places import add_folder, home_of
from searcher.photos.rules import NO_CHANGE

REMEMBERED = 100_000  # folders whose root is remembered

# an archive, alone or before the name of a photo in it
_ARCHIVE = re.compile(rb"[^/]*\.(?:tar|tar\.gz|tgz|parquet|pq)(?:#|$)", re.IGNORECASE)
_FILE = b"file://"
_WEB = (b"http", b"https")


class Spot(NamedTuple):
    """Where a photo is: its folder, an absolute path or a URI, and its name there. That of a photo in an archive
    begins with the name of the archive. All that is on the web is in the folders "http://" and "https://".
    """

    folder: bytes
    name: bytes


def spot_of(path: bytes) -> Spot | None:
    """Where the photo with this path or URI is. None if the catalog cannot hold such a path."""
    archive = _ARCHIVE.search(path)
    if archive is None and path.startswith(_FILE + b"/"):
        path = path.removeprefix(_FILE)
    if not is_uri(path):
        if not os.path.isabs(path):
            return None
        path = b"/" + os.path.normpath(path).lstrip(b"/") if archive is None else _FILE + path
        archive = _ARCHIVE.search(path)
    folder, slash, name = path[: archive.start()].rpartition(b"/") if archive else path.rpartition(b"/")
    name = path[len(folder + slash) :]
    scheme, _, inside = folder.partition(b"://")
    if is_uri(path) and (not inside or b"//" in inside + slash or scheme.lower() in _WEB):
        folder, name = scheme + b"://", path[len(scheme) + 3 :]
    if not name or name.startswith(b"/") or b"\0" in path:
        return None
    return Spot(folder or b"/", name)


class Homes:
    """The root of each folder, as long as the roots stay as they are."""

    def __init__(self, roots: Sequence[Root]) -> None:
        self._roots = roots
        self._known: dict[bytes, tuple[int, bytes] | None] = {}

    def of(self, folder: bytes) -> tuple[int, bytes] | None:
        """The id of the innermost root that holds a folder, and the prefix of the folder in it. None if none does."""
        if folder not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            root, prefix = home_of(self._roots, folder)
            fits = root is not None and (root.whole or not prefix)
            self._known[folder] = (root.id, prefix) if root is not None and fits else None
        return self._known[folder]


class Parents:
    """The common parents of folders: one for each top-level folder, and for each bucket or host of URIs."""

    def __init__(self) -> None:
        self._common: dict[tuple[bytes, ...], list[bytes]] = {}

    def add(self, folder: bytes) -> None:
        """One more folder."""
        parts = folder.split(b"/")
        # "/top/…", "s3://bucket/…", "file:///top/…"
        fixed = tuple(parts[: 2 if not parts[0] else 3 if parts[2] else 4])
        known = self._common.setdefault(fixed, parts)
        same = next(
            (n for n, (a, b) in enumerate(zip(known, parts, strict=False)) if a != b), min(len(known), len(parts))
        )
        self._common[fixed] = known[:same]

    def folders(self) -> list[bytes]:
        """The parents, by path."""
        return sorted(b"/".join(parts) for parts in self._common.values())


def add_roots(change: Transaction, folders: Iterable[bytes]) -> list[str]:
    """Make folders roots, unless they are in one. Returns notices for the user."""
    notices: list[str] = []
    for folder in folders:
        if folder == b"/":  # single files in it: an index run must not look at everything below it
            change.files.add_root(folder, whole=False)
        else:
            add_folder(change, folder, NO_CHANGE, notices)
    return notices
