# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH118, PTH123
"""Which files and folders below an indexed folder are left out: hidden, of the system, excluded, behind links."""

import os
import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from searcher.errors import InvalidInput
from searcher.filters.uri import real

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = b".searcherignore"
"""A file in a folder with patterns in gitignore's syntax. What they match in and below the folder is left out."""

SKIPPED_FOLDERS = frozenset(
    [
        b"@eadir",  # Synology: thumbnails
        b"#recycle",
        b"#snapshot",
        b"@recycle",  # QNAP
        b"@recently-snapshot",
        b".@__thumb",
        b"$recycle.bin",  # Windows
        b"system volume information",
        b"lost+found",
        b".git",
        b".hg",
        b".svn",
        b".thumbnails",
        b".trash",
        b".trashes",  # macOS
        b".spotlight-v100",
        b".fseventsd",
        b".documentrevisions-v100",
        b".temporaryitems",
        b".dtrash",  # digiKam
        b".stversions",  # Syncthing
        b".snapshot",  # NetApp
        b".snapshots",
        b".zfs",
    ]
)
"""Folders of thumbnails, deleted files, versions and snapshots, in lower case. They are left out, whatever the options
of the root are."""

_TRASH = b".trash-"  # of a user on a disk, such as .Trash-1000
_APPLE_DOUBLE = b"._"  # what macOS knows about the file of the same name
_APPLE_LIBRARY = b".photoslibrary"
_APPLE_ORIGINALS = frozenset([b"originals", b"masters"])  # the other folders have smaller copies of each photo


class Raw(StrEnum):
    """Which camera raw files are indexed: all, those without a JPEG or HEIC of the same name beside them, or none."""

    ALL = "all"
    ALONE = "alone"
    NONE = "none"


class FolderOptions(NamedTuple):
    """What an indexed folder holds.

    exclude: patterns of what is left out, in gitignore's syntax, relative to the folder. hidden: also names that begin
    with a dot. follow_links: also what links lead to outside of the folder. raw: which camera raw files. None means
    ALONE, but those that the library has are kept.
    """

    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_links: bool = False
    raw: Raw | None = None

    def as_dict(self) -> dict[str, Any]:
        """The options as JSON shows them."""
        return self._asdict() | {"exclude": list(self.exclude)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The options that `as_dict` has written. What is left out has its default."""
        known = {name: values[name] for name in cls._fields if name in values}
        raw = known.get("raw")
        return cls(**known | {"exclude": tuple(known.get("exclude", ())), "raw": None if raw is None else Raw(raw)})


class OptionChange(NamedTuple):
    """What changes about the options of an indexed folder.

    exclude: patterns to add. keep_excluded: False forgets the earlier ones. hidden, follow_links, raw (see `Raw`): None
    leaves them.
    """

    exclude: tuple[str, ...] = ()
    keep_excluded: bool = True
    hidden: bool | None = None
    follow_links: bool | None = None
    raw: str | None = None

    def applied_to(self, options: FolderOptions) -> FolderOptions:
        """The options after the change. Raises InvalidInput for an unusable pattern or an unknown `raw`."""
        earlier = options.exclude if self.keep_excluded else ()
        return FolderOptions(
            tuple(dict.fromkeys((*earlier, *map(_checked, self.exclude)))),
            options.hidden if self.hidden is None else self.hidden,
            options.follow_links if self.follow_links is None else self.follow_links,
            options.raw if self.raw is None else _raw(self.raw),
        )


_BAD_PATTERN = (ValueError, re.error, RecursionError, OverflowError)
_MAX_BYTES = 2**20  # of an ignore file
NO_CHANGE = OptionChange()


def _raw(name: str) -> Raw:
    try:
        return Raw(name)
    except ValueError:
        raise InvalidInput(f"raw is {', '.join(Raw)} or None, not {name!r}") from None


def _checked(pattern: str) -> str:
    """A pattern that can be stored. Raises InvalidInput."""
    try:
        pattern.encode()
        usable = any(compiled.include is not None for compiled in _compiled((_plain(pattern),)).patterns)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput(f"the pattern {pattern!r} excludes nothing: write, for example, '*.png' or 'Private/'")
    return pattern


def _plain(pattern: str) -> str:
    """A pattern of a command line: unlike in a file, # does not begin a comment, and ! does not invert."""
    return "\\" + pattern if pattern.startswith(("#", "!")) else pattern


@cache
def _compiled(lines: tuple[str, ...]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # takes 85 ms, and most folders need no patterns

    normal = [unicodedata.normalize("NFC", line) for line in lines]
    try:
        return GitIgnoreSpec.from_lines(normal)
    except _BAD_PATTERN:
        if len(lines) == 1:
            return GitIgnoreSpec([])  # git ignores such a line, too
    return GitIgnoreSpec([pattern for line in lines for pattern in _compiled((line,)).patterns])


Patterns = tuple[tuple[int, "GitIgnoreSpec"], ...]
"""Patterns that apply in a folder, the innermost last: the length of the prefix that they are relative to, and them."""


class Rules:
    """What a scan of the folder `root` leaves out. Ignore files are read once, when they are needed."""

    def __init__(self, root: bytes, options: FolderOptions) -> None:
        self.root, self.options = root, options
        self._real_root = real(root)
        self._below = self._real_root.rstrip(b"/") + b"/"
        self._patterns: dict[bytes, Patterns] = {}

    def patterns(self, folder: bytes) -> Patterns:
        """The patterns that apply to what is directly in `folder`, a path relative to the root (b"": the root)."""
        known = self._patterns.get(folder)
        if known is None:
            if folder:
                known = self.patterns(folder.rpartition(b"/")[0])
            else:
                lines = tuple(_plain(pattern) for pattern in self.options.exclude)
                known = ((0, _compiled(lines)),) if lines else ()
            if lines := _ignore_file(os.path.join(self.root, folder, IGNORE_FILE)):
                known = (*known, (len(folder) + 1 if folder else 0, _compiled(lines)))
            self._patterns[folder] = known
        return known

    def skips(self, folder: bytes, name: bytes, is_folder: bool, patterns: Patterns) -> bool:
        """Whether what is called `name` in `folder` is left out. patterns: those of `folder`."""
        if name[0] == 46 and (not self.options.hidden or name.startswith(_APPLE_DOUBLE) or name == IGNORE_FILE):  # "."
            return True
        if is_folder:
            lower = name.lower()
            if lower in SKIPPED_FOLDERS or lower.startswith(_TRASH):
                return True
            if (folder or self.root.rstrip(b"/")).lower().endswith(_APPLE_LIBRARY) and lower not in _APPLE_ORIGINALS:
                return True
        return bool(patterns) and _matches(folder + b"/" + name if folder else name, is_folder, patterns)

    def leave_out(self, relpath: bytes, is_folder: bool) -> bool:
        """Whether what is at `relpath` below the root is left out, be it because of a folder around it."""
        folder = b""
        *folders, name = relpath.rstrip(b"/").split(b"/")
        for outer in folders:
            if self.skips(folder, outer, True, self.patterns(folder)):
                return True
            folder = folder + b"/" + outer if folder else outer
        if self.skips(folder, name, is_folder, self.patterns(folder)):
            return True
        return not self.options.follow_links and self.inside(os.path.join(self.root, relpath)) is None

    def holds_folder(self, path: bytes) -> bool:
        """Whether a scan finds the folder `path` under its real path."""
        inside = self.inside(path)
        return inside is not None and not (inside and self.leave_out(inside, True))

    def inside(self, path: bytes) -> bytes | None:
        """The path relative to the root of what `path` really is, without links. None if that is elsewhere."""
        there = real(path)
        if there == self._real_root:
            return b""
        return there[len(self._below) :] if there.startswith(self._below) else None


def _ignore_file(path: bytes) -> tuple[str, ...]:
    """The lines of an ignore file, none if there is no such file."""
    try:
        with open(path, "rb") as file:
            return tuple(os.fsdecode(line) for line in file.read(_MAX_BYTES).splitlines())
    except OSError:
        return ()


def _matches(relpath: bytes, is_folder: bool, patterns: Patterns) -> bool:
    """Whether patterns exclude a path. Those of an inner folder decide before those of an outer one."""
    text = os.fsdecode(relpath)
    for start, spec in reversed(patterns):
        below = text if not start else os.fsdecode(relpath[start:])
        if not below.isascii():
            below = unicodedata.normalize("NFC", below)  # macOS may store é as e and an accent
        include = spec.check_file(below + "/" if is_folder else below).include
        if include is not None:
            return include
    return False


def describe(options: FolderOptions) -> str:
    """The options as words of a command line; "" if all have their defaults."""
    words: Sequence[str] = [
        *(f"--exclude {pattern!r}" for pattern in options.exclude),
        *(["--hidden"] if options.hidden else []),
        *(["--follow-links"] if options.follow_links else []),
        *([f"--raw {options.raw}"] if options.raw else []),
    ]
    return " ".join(words)
