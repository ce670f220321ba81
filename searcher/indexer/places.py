# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH120, PTH110, PTH112, PTH114, PTH116, PTH118
"""Map the user's paths to the roots of the library, and to the parts of roots to be indexed.

No folder is in the library twice. A folder inside a known root is a part of that root. A known root inside a new root
becomes part of the new one. A link to a known folder counts as that folder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog import folders
from searcher.catalog.folders import prefix_in
from searcher.catalog.read.view import View
from searcher.catalog.rows import Root
from searcher.errors import InvalidInput, NotFound
from searcher.filters.uri import is_uri, real
from searcher.photos.rules import NO_CHANGE, FolderOptions, OptionChange, Rules, describe
from searcher.photos.scan import BROKEN_LINK, is_mount_point
from searcher.photos.spelling import is_there

if TYPE_CHECKING:
    from searcher.catalog.write.transaction import Transaction

SAMPLE = 100  # how many files of a missing root to look for at a path where it may be mounted now
SAME_DISK = 0.9  # the share of them that must be there


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a root: everything below `prefix` (b"" or ending in "/"), or only these `files`."""

    root: Root
    prefix: bytes = b""
    files: tuple[bytes, ...] | None = None

    @property
    def path(self) -> bytes:
        return os.path.join(self.root.path, self.prefix).rstrip(b"/") or b"/"

    def holds(self, relpath: bytes) -> bool:
        """Return whether a file of the root belongs to this part."""
        return relpath.startswith(self.prefix) if self.files is None else relpath in self.files


def absolute(path: str | Path) -> bytes:
    """Return the absolute path as bytes, spelled as on disk, or a URI: see `catalog.folders`.

    Raises InvalidInput for an empty text, which would mean the current folder.
    """
    if path == "":
        raise InvalidInput("the path is empty: name a folder, or . for the current one")
    return folders.absolute(path)


def holds_something(folder: bytes) -> bool:
    """Return whether a folder exists and is not an empty mount point. Hidden files do not count."""
    try:
        with os.scandir(folder) as entries:
            return any(not entry.name.startswith(b".") for entry in entries)
    except OSError:
        return False


def is_gone(view: View, root_id: int, root: bytes, relpath: bytes) -> bool:
    """Whether a file is deleted, and not only its disk missing."""
    return not is_there(root, relpath) and missing_disk(view, root_id, root, relpath) is None


def missing_disk(view: View, root_id: int, root: bytes, relpath: bytes) -> bytes | None:
    """The folder of a disk that should hold a file but is not connected: the root, or a mount point below it."""
    if not holds_something(root):
        return root
    around = (os.path.join(root, mount) for mount in view.files.mounts(root_id) if relpath.startswith(mount + b"/"))
    return next((folder for folder in around if not is_mount_point(folder)), None)


def existing(paths: Sequence[str | Path], view: View | None) -> list[bytes]:
    """Return the absolute paths. Raises InvalidInput for a URI, NotFound for what neither exists nor is known."""
    found = [absolute(path) for path in paths]
    for path in found:
        if is_uri(path):
            raise InvalidInput(
                f"{os.fsdecode(path)} is not on this machine: embed it with `searcher embed`, and add what that writes "
                "with `searcher load`"
            )
        if not os.path.exists(path) and not (view and _was_there(path, view)):
            if os.path.islink(path):
                raise NotFound(f"{os.fsdecode(path)} is {BROKEN_LINK}")
            raise NotFound(f"there is no file or folder {os.fsdecode(path)}")
    return found


def _was_there(path: bytes, view: View) -> bool:
    home, prefix = home_of(view.files.roots(), path)
    if home is None:
        return False
    return not prefix or view.files.holds(home.id, prefix[:-1]) or bool(view.files.known(home.id, prefix))


def known_scopes(view: View, paths: Sequence[bytes], notices: list[str]) -> list[Scope] | None:
    """Return the scopes for `paths`, or for all known roots that are folders if there are none.

    Returns None if one of the paths is not covered by a known root. A named file that its folder leaves out gets a line
    in `notices`.
    """
    known = view.files.roots()
    if not paths:
        return [
            Scope(root, files=None if root.whole else tuple(sorted(view.files.known(root.id))))
            for root in known
            if not is_uri(root.path)
        ]
    scopes = []
    for path in paths:
        folder, name = os.path.split(path)
        home, prefix = home_of(known, folder)
        is_file = not os.path.isdir(path) and (
            os.path.exists(path) or (home is not None and view.files.holds(home.id, prefix + name))
        )
        if not is_file:
            home, prefix = home_of(known, path)
        if home is None or not (home.whole or (is_file and not prefix)):
            return None
        if not is_file:
            scopes.append(Scope(home, prefix))
        elif home.whole and Rules(home.path, home.options).leave_out(prefix + name, False):
            options = describe(home.options)
            notices.append(
                f"{os.fsdecode(path)}: left out, as the folder {os.fsdecode(home.path)} is indexed"
                f"{f' with {options}' if options else ''}; see `searcher roots`"
            )
        else:
            scopes.append(Scope(home, files=(prefix + name,)))
    return _without_covered(scopes)


def plan(
    change: "Transaction", paths: Sequence[bytes], options: OptionChange = NO_CHANGE
) -> tuple[list[Scope], list[str]]:
    """Return the scopes for `paths`, and notices about roots that were found at another path.

    This adds, moves and merges roots, and changes the options of those that are named. Raises InvalidInput if options
    are given for something that is not a whole root.
    """
    notices: list[str] = []
    # outer folders first, so that inner ones find their root
    for path in sorted(dict.fromkeys(paths)):
        if os.path.isdir(path):
            add_folder(change, path, options, notices)
        elif options != NO_CHANGE:
            raise InvalidInput(
                f"{os.fsdecode(path)} is no folder: --exclude, --hidden, --follow-links and --raw need one"
            )
        elif os.path.exists(path):
            folder = os.path.dirname(path)
            home, prefix = home_of(change.view.files.roots(), folder)
            if home is None or (prefix and not home.whole):
                change.files.add_root(folder, whole=False)
    scopes = known_scopes(change.view, paths, notices)
    assert scopes is not None
    return scopes, notices


def images_at(view: View, paths: Sequence[str | Path]) -> list[int]:
    """Return the ids of the images at `paths`. Raises NotFound if one of them is not a photo of the library.

    The files are not opened, and may be on a disk that is not connected.
    """
    roots = view.files.roots()
    homes: dict[bytes, tuple[Root | None, bytes]] = {}
    ids, missing = [], []
    for path in [absolute(path) for path in paths]:
        image_id = None
        for place in (path, real(path)):  # a link to a photo is that photo, unless it is one itself
            folder, name = os.path.split(place)
            home, prefix = homes.get(folder) or homes.setdefault(folder, home_of(roots, folder))
            image = None if home is None else view.files.image_at(home.id, prefix + name)
            if image is not None and image.content_id is not None:
                image_id = image.id
                break
        if image_id is None:
            missing.append(path)
        else:
            ids.append(image_id)
    if missing:
        first = os.fsdecode(missing[0])
        if os.path.isdir(missing[0]):
            raise NotFound(f"{first} is a folder: name its photos")
        others = f", and {len(missing) - 1:,} more of {len(paths):,}" if len(missing) > 1 else ""
        raise NotFound(f"not a photo of the library: {first}{others}; `searcher index` adds photos")
    return ids


def known_parts(roots: Sequence[Root], path: bytes) -> list[tuple[Root, bytes]]:
    """Return (root, prefix) for each part of the library that `path` covers.

    These are all roots inside `path`. If there are none, it is the innermost root that contains `path`, with the prefix
    of `path` in it, which ends in "/".
    """
    there = real(path)
    inner = [root for root in roots if prefix_in(real(root.path), there) is not None]
    if inner:
        return [(root, b"") for root in inner]
    outer = [(root, prefix_in(there, real(root.path))) for root in roots]
    found = [(root, inside) for root, inside in outer if inside]
    return sorted(found, key=lambda part: -len(part[0].path))[:1]


def add_folder(change: "Transaction", path: bytes, options: OptionChange, notices: list[str]) -> None:
    """Make a folder a root, unless it is in one already. Known roots inside of it become part of it."""
    home, prefix = home_of(change.view.files.roots(), path)
    if home is not None and home.whole:
        if options == NO_CHANGE:
            return
        if prefix:
            raise InvalidInput(
                f"{os.fsdecode(path)} is a part of the indexed folder {os.fsdecode(home.path)}: "
                "give --exclude, --hidden, --follow-links and --raw with that one"
            )
    moved = None if home is not None and not prefix else _mounted_elsewhere(change.view, path)
    if home is not None and not prefix:
        root = change.files.add_root(home.path, whole=True)
    elif moved is not None:
        notices.append(f"{os.fsdecode(moved.path)} is now found at {os.fsdecode(path)}")
        change.files.move_root(moved.id, path)
        root = moved
    else:
        root = change.files.add_root(path, whole=True)
    root = root._replace(path=path if moved else root.path, options=options.applied_to(root.options))
    change.files.set_options(root.id, root.options)
    whole, rules = real(path), Rules(root.path, root.options)
    for other in change.view.files.roots():
        inside = prefix_in(real(other.path), whole)
        if other.id != root.id and inside and not rules.leave_out(inside, True):
            change.files.absorb_root(other, root, inside)
            if other.options not in (root.options, FolderOptions()):
                notices.append(
                    f"{os.fsdecode(other.path)} is now a part of {os.fsdecode(root.path)}; "
                    f"its own options no longer hold: {describe(other.options)}"
                )


def home_of(roots: Sequence[Root], path: bytes) -> tuple[Root | None, bytes]:
    """Return the innermost root that contains `path`, and the prefix of `path` in it (b"" or ending in "/")."""
    best: tuple[Root | None, bytes] = (None, b"")
    length = -1
    real_path = real(path)
    for root in roots:
        real_root = real(root.path)
        inside = prefix_in(real_path, real_root)
        if inside is None and root.options.follow_links:  # behind a link in the root that a scan of it follows
            inside = prefix_in(path, root.path)
        # a folder that a scan of the root skips, such as a hidden one, becomes a separate root if the user names it
        if inside is None or len(real_root) <= length:
            continue
        if not inside or not Rules(root.path, root.options).leave_out(inside, True):
            best, length = (root, inside), len(real_root)
    return best


def _mounted_elsewhere(view: View, path: bytes) -> Root | None:
    """Return the root whose folder is missing and whose files, compared by size and time, are now at `path`."""
    for root in view.files.roots():
        if holds_something(root.path):
            continue
        sample = view.files.sample(root.id, SAMPLE)
        same = sum(_looks_like(os.path.join(path, relpath), size, mtime) for relpath, size, mtime in sample)
        if sample and same >= SAME_DISK * len(sample):
            return root
    return None


def _looks_like(path: bytes, size: int, mtime_ns: int) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (size, mtime_ns)


def _without_covered(scopes: list[Scope]) -> list[Scope]:
    folders = [scope for scope in scopes if scope.files is None]
    kept = [
        scope
        for scope in folders
        if not any(
            other.root.id == scope.root.id
            and scope.prefix.startswith(other.prefix)
            and len(other.prefix) < len(scope.prefix)
            for other in folders
        )
    ]
    unique = list(dict.fromkeys(kept))
    files: dict[Root, list[bytes]] = {}
    for scope in scopes:
        for relpath in scope.files or ():
            covered = any(other.root.id == scope.root.id and relpath.startswith(other.prefix) for other in unique)
            if not covered:
                files.setdefault(scope.root, []).append(relpath)
    return unique + [Scope(root, files=tuple(dict.fromkeys(names))) for root, names in files.items()]
