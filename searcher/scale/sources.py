# Paths are bytes here, because names need not be UTF-8 and pathlib does not know bytes.
# ruff: noqa: PTH118
"""What is in the sources that the user named: photo files, tar files (WebDataset shards) and Parquet files.

A folder stands for the photos in it, by the rules of `searcher index`. A folder without photos stands for the Parquet
and tar files in it.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow.fs as pafs

from searcher.errors import InvalidInput, NotFound
from searcher.indexer.places import existing
from searcher.indexer.report import lines_about
from searcher.photos.choice import Kind, PassedOver, choose
from searcher.photos.own import is_own_picture
from searcher.photos.rules import Raw, Rules
from searcher.photos.scan import DEFAULT_OPTIONS, FoundFile, LinkOut, Unreadable, scan, stored_time
from searcher.photos.suffixes import READ_SUFFIXES, suffix_of
from searcher.progress import Progress
from searcher.scale.files import first_line, is_local, location, prefix_of, shown
from searcher.scale.pieces import FileAt, is_parquet, is_tar

_RULES = Rules(b"/", DEFAULT_OPTIONS)  # of names alone: no ignore file is read


@dataclass(slots=True)
class Found:
    """photos, archives: files by the source that they are in. notices: lines for the user."""

    photos: dict[str, list[FileAt]] = field(default_factory=dict)
    archives: dict[str, list[FileAt]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def find(sources: Sequence[str], inside: Sequence[bytes], progress: Progress) -> Found:
    """List the sources. Each file comes once, in the order of the sources and of its path.

    inside: folders that are left out, because shards are written there. Raises NotFound for a source that is not there,
    InvalidInput for one that cannot be listed.
    """
    found, seen = Found(), set[bytes]()
    passed_over: Counter[Kind] = Counter()
    for source in sources:
        if is_local(source):
            name = location(source)[1] if "://" in source else source
            (path,) = existing([name], None)
            photos, archives = _local(path, found.notices, passed_over)
        else:
            photos, archives = _remote(source, passed_over)
        for kept, files in ((found.photos, photos), (found.archives, archives)):
            new = [file for file in files if file.path not in seen and not file.path.startswith(tuple(inside))]
            seen.update(file.path for file in new)
            kept.setdefault(source, []).extend(sorted(new))
        progress.advance(len(seen), None)
    found.notices += lines_about(passed_over, 0)
    return found


def _local(path: bytes, notices: list[str], passed_over: Counter[Kind]) -> tuple[list[FileAt], list[FileAt]]:
    """The photos and the archives that a path of this machine stands for."""
    if not os.path.isdir(path):  # noqa: PTH112
        status = os.stat(path)  # noqa: PTH116
        file = FileAt(path, status.st_size, stored_time(status))
        return ([], [file]) if is_tar(path) or is_parquet(path) else ([file], [])
    photos: list[FileAt] = []
    links = 0
    try:
        for entry in choose(scan(path)):
            if isinstance(entry, PassedOver):
                passed_over[entry.kind] += 1
            elif isinstance(entry, FoundFile):
                photo = FileAt(os.path.join(path, entry.relpath), entry.size, entry.mtime_ns)
                if not is_own_picture(Path(os.fsdecode(photo.path))):
                    photos.append(photo)
            elif isinstance(entry, Unreadable):
                reason = entry.error.strerror or str(entry.error)
                where = os.path.join(path, entry.relpath)
                if suffix_of(entry.relpath) in READ_SUFFIXES:
                    photos.append(FileAt(where, None, None, reason))
                else:
                    notices.append(f"{os.fsdecode(where)}: {reason}")
            links += isinstance(entry, LinkOut)
    except OSError as error:
        raise InvalidInput(f"{os.fsdecode(path)} cannot be read: {first_line(error)}") from error
    if links:
        notices.append(f"{os.fsdecode(path)}: {links:,} links lead out of the folder and are not followed")
    return photos, [] if photos else list(_archives_below(path))


def _archives_below(folder: bytes) -> Iterator[FileAt]:
    for inner, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _RULES.skips(b"", name, True, ())]
        for name in names:
            if (is_tar(name) or is_parquet(name)) and not name.startswith((b".", b"_")):
                path = os.path.join(inner, name)
                status = os.stat(path)  # noqa: PTH116
                yield FileAt(path, status.st_size, stored_time(status))


def _remote(source: str, passed_over: Counter[Kind]) -> tuple[list[FileAt], list[FileAt]]:
    """The photos and the archives that a URI stands for."""
    files, base = location(source)
    prefix = prefix_of(source)
    try:
        info = files.get_file_info(base)
        if info.type == pafs.FileType.File:
            file = _file(prefix, info)
            return ([], [file]) if is_tar(file.path) or is_parquet(file.path) else ([file], [])
        listed = files.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{shown(source)} cannot be read: {first_line(error)}") from error
    if not listed and info.type == pafs.FileType.NotFound:
        raise NotFound(f"there is no file or folder {shown(source)}")
    start = prefix.encode() + base.rstrip("/").encode() + b"/"
    below = sorted(_file(prefix, info) for info in listed if info.is_file)
    plain = [file for file in below if not _left_out(file.path.removeprefix(start))]
    photos = list(_chosen(plain, passed_over))
    return photos, [] if photos else [file for file in plain if is_tar(file.path) or is_parquet(file.path)]


def _file(prefix: str, info: pafs.FileInfo) -> FileAt:
    return FileAt(f"{prefix}{info.path}".encode(), info.size, info.mtime_ns)


def _left_out(relpath: bytes) -> bool:
    """Whether an index run leaves out a file because of its name, or that of a folder around it."""
    *folders, name = relpath.split(b"/")
    skipped = any(_RULES.skips(b"", folder, True, ()) for folder in folders if folder)
    return skipped or not name or _RULES.skips(b"", name, False, ()) or name.startswith(b"_")


def _chosen(files: Iterable[FileAt], passed_over: Counter[Kind]) -> Iterator[FileAt]:
    """Those files that are photos to embed."""
    photos = {file.path: file for file in files if suffix_of(file.path) in READ_SUFFIXES}
    by_folder = sorted(photos, key=lambda path: path.rpartition(b"/")[::2])
    for entry in choose(FoundFile(path, photos[path].size or 0, 0) for path in by_folder):
        if isinstance(entry, PassedOver):
            passed_over[entry.kind] += 1
        elif isinstance(entry, FoundFile):
            yield photos[entry.relpath]


def is_read(name: bytes) -> bool:
    """Whether a file of this name, in an archive, is a photo that can be read."""
    return _has_reader(suffix_of(name)) and not _left_out(name.removeprefix(b"./"))


@cache
def _has_reader(suffix: bytes) -> bool:
    """Whether files with this suffix are read, and what reads them is installed."""
    if suffix not in READ_SUFFIXES:
        return False
    return not isinstance(next(choose([FoundFile(b"x" + suffix, 0, 0)], Raw.ALL)), PassedOver)
