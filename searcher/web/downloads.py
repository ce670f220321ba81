"""Many photos as one zip file, which is made while it is sent. It is never in memory or on disk as a whole."""

import io
import os
import secrets
import stat
import threading
import time
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from searcher.errors import NotFound, SearcherError
from searcher.filters.uri import is_uri
from searcher.library import Library
from searcher.web.texts import shown

MOST_KEYS = 100
KEY_SECONDS = 600.0
"""How long a download can begin after it was asked for."""
CHUNK = 1 << 18  # bytes read at a time
LONGEST_NAME = 200  # bytes of a name in the archive, with room for a number
MISSING_NAME = "not included.txt"
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{name}{number}" for name in ("COM", "LPT") for number in range(1, 10))}


class Wanted(NamedTuple):
    """Photos that a download is to have. until: by the monotonic clock."""

    library: Library
    ids: tuple[int, ...]
    until: float


class Downloads:
    """What was asked for, under keys that nobody can guess. Safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[str, Wanted] = {}

    def add(self, library: Library, ids: Sequence[int]) -> str:
        """The key of a new download. The oldest ones are forgotten."""
        key, now = secrets.token_urlsafe(18), time.monotonic()
        with self._lock:
            self._wanted = {key: wanted for key, wanted in self._wanted.items() if wanted.until > now}
            while len(self._wanted) >= MOST_KEYS:
                del self._wanted[next(iter(self._wanted))]
            self._wanted[key] = Wanted(library, tuple(dict.fromkeys(ids)), now + KEY_SECONDS)
        return key

    def get(self, key: str) -> Wanted:
        """What a download is to have. Raises NotFound."""
        with self._lock:
            wanted = self._wanted.get(key)
        if wanted is None or wanted.until <= time.monotonic():
            raise NotFound("the download is gone: ask for it again")
        return wanted


def zip_photos(library: Library, ids: Sequence[int]) -> Iterator[bytes]:
    """The parts of a zip file with photos, without compression. What cannot be read is listed in a text file in it.

    Of several files with the same content, the first that is there is taken.
    """
    target, missing, names = _Target(), list[str](), Names()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for id, files in _files(library, ids):
            source = _open_first(library, id, files)
            if isinstance(source, str):
                missing.append(f"{shown(files[0])}: {source}")
                continue
            with source.file:
                try:
                    yield from _add(archive, target, source, names.new(files[0]))
                except OSError as error:  # what has been sent cannot be taken back
                    missing.append(f"{shown(files[0])}: only a part of it could be read ({error.strerror or error})")
        if missing:
            archive.writestr(names.new(MISSING_NAME), "\n".join(["Not included:", *missing, ""]))
    yield target.take()


def _files(library: Library, ids: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
    """The id of each photo with its paths: its own, then those of its copies."""
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        photos = {photo.id: photo for photo in library.with_copies(some)}
        by_content: dict[int, list[str]] = {}
        for photo in photos.values():
            by_content.setdefault(photo.content_id, []).append(photo.path)
        for id in some:
            if id in photos:
                own = photos[id].path
                yield id, [own, *(path for path in by_content[photos[id].content_id] if path != own)]


class _Source(NamedTuple):
    """An open file, its size in bytes, and when it was modified, in seconds since 1970."""

    file: IO[bytes]
    size: int
    modified: float


def _open_first(library: Library, id: int, paths: Sequence[str]) -> _Source | str:
    """The first file of a photo that can be opened, or the reason why the first cannot."""
    if all(map(is_uri, paths)):
        try:
            data = library.content(id)
        except SearcherError as error:
            return str(error)
        return _Source(io.BytesIO(data), len(data), time.time())
    reason = ""
    for path in paths:
        try:
            # without waiting: a pipe may be there now
            number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            reason = reason or error.strerror or str(error)
            continue
        file = os.fdopen(number, "rb")
        status = os.fstat(number)
        if stat.S_ISREG(status.st_mode):
            return _Source(file, status.st_size, status.st_mtime)
        file.close()
        reason = reason or "it is no file"
    return reason


def _add(archive: zipfile.ZipFile, target: "_Target", source: _Source, name: str) -> Iterator[bytes]:
    year, *rest = time.localtime(source.modified)[:6]
    entry = zipfile.ZipInfo(name, (min(max(year, 1980), 2107), *rest))  # type: ignore[arg-type]
    entry.external_attr = 0o644 << 16
    entry.file_size = source.size  # decides whether 64-bit sizes are needed
    with archive.open(entry, "w", force_zip64=source.size > 1 << 30) as part:
        while chunk := source.file.read(CHUNK):
            part.write(chunk)
            yield target.take()


class _Target(io.RawIOBase):
    """Where the archive is written to: parts that are taken away at once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class Names:
    """Names of files that are unique, whatever a file system makes of case and accents, and allowed on each."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, path: str) -> str:
        """A name for a file, like that of `path`."""
        stem, suffix = os.path.splitext(_safe(os.path.basename(path)))  # noqa: PTH119, PTH122
        name, number = f"{stem}{suffix}", 1
        while _same(name) in self._taken:
            number += 1
            name = f"{stem} ({number}){suffix}"
        self._taken.add(_same(name))
        return name


def _safe(name: str) -> str:
    """A name that every system allows."""
    kept = "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in shown(name))
    kept = unicodedata.normalize("NFC", kept).rstrip(". ") or "photo"
    if kept.partition(".")[0].rstrip().upper() in _RESERVED:
        kept = f"_{kept}"
    stem, suffix = os.path.splitext(kept)  # noqa: PTH122
    room = LONGEST_NAME - len(suffix.encode())
    return stem.encode()[: max(room, 1)].decode(errors="ignore") + suffix if len(kept.encode()) > LONGEST_NAME else kept


def _same(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
