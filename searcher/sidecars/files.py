# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH108, PTH118
"""Finds, reads and replaces sidecar files."""

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from searcher.photos.suffixes import PHOTO_SUFFIXES, RAW_WITH_SIDECAR_SUFFIXES
from searcher.sidecars.errors import RefusedError

_TEMPORARY_PREFIX, _TEMPORARY_SUFFIX = ".searcher-", ".tmp"

MAX_BYTES = 16 * 2**20
"""Largest sidecar that is read. A darktable sidecar with hundreds of drawn masks has a few megabytes."""

_SIDECAR_SUFFIXES = tuple(bytes(letters) for letters in product(b".", b"xX", b"mM", b"pP"))


def sidecar_path(photo: bytes, adobe: bool = False) -> bytes:
    """The path of a photo's sidecar, or the path for a new one.

    An existing sidecar keeps its name: `photo.jpg.xmp`, or else `photo.xmp`, with the suffix in any letter case. A
    new one is `photo.jpg.xmp`, the name that digiKam, darktable and Immich use. With `adobe`, `photo.xmp` is
    preferred, because Lightroom and Camera Raw look for that, and only for raw files.

    `photo.xmp` can be ambiguous. If there is a raw file of that name, it belongs to the raw file. If there is another
    photo of that name, it may belong to either. In both cases this photo uses `photo.jpg.xmp`. With `adobe`, a raw
    file does not count as another photo: Lightroom treats the raw file and its JPEG as one photo, so it shows the
    JPEG's tags on the raw file.
    """
    suffix = os.fsencode(Path(os.fsdecode(photo)).suffix)
    stem = photo.removesuffix(suffix)
    full, short = _existing(photo), _existing(stem)
    if (short or adobe) and _shared(stem, suffix.lower(), adobe):
        return full or photo + b".xmp"
    if adobe:
        return short or full or stem + b".xmp"
    return full or short or photo + b".xmp"


@dataclass(frozen=True, slots=True)
class SidecarFile:
    """A sidecar file as it was when it was read.

    path: the real path, with all links resolved. linked: whether the sidecar is a link to it. data: its content, or
    None if there is no such file. status: its status, or None.
    """

    path: Path
    linked: bool
    data: bytes | None
    status: os.stat_result | None

    @classmethod
    def read(cls, path: bytes) -> "SidecarFile":
        """Read a file. Raises OSError, ValueError, or RefusedError if it is not a file that may be a sidecar."""
        real, linked = _resolve(path)
        # O_NONBLOCK: without it, opening a FIFO that has no writer blocks forever.
        flags = os.O_RDONLY | _flag("O_NONBLOCK") | _flag("O_BINARY") | _flag("O_NOFOLLOW")
        try:
            descriptor = os.open(real, flags)
        except FileNotFoundError:
            return cls(real, linked, None, None)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError("not a regular file")
            data = file.read(MAX_BYTES + 1)
        check_size(data)
        if not data:
            raise RefusedError("empty file")
        return cls(real, linked, data, status)

    def check_writable(self) -> None:
        """Raises RefusedError if the file is read-only."""
        if self.status is not None and (not self.status.st_mode & 0o222 or not os.access(self.path, os.W_OK)):
            raise RefusedError("the file is read-only")

    def replace(self, data: bytes) -> None:
        """Replace the file atomically, with the same permissions. Creates it if there was none.

        Raises OSError, or RefusedError if another program changed the file since it was read.
        """
        temporary = self.path.with_name(f"{_TEMPORARY_PREFIX}{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flag("O_BINARY"), 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _try_lock(descriptor)  # so that `remove_leftovers` of another process sees that it is in use
                if self.status is not None:
                    with suppress(OSError, AttributeError):  # not permitted, or on Windows
                        os.chown(temporary, self.status.st_uid, self.status.st_gid)
                    temporary.chmod(stat.S_IMODE(self.status.st_mode))
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            self._check_unchanged()
            temporary.replace(self.path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def delete(self) -> None:
        """Delete the file. Raises OSError, or RefusedError if another program changed the file since it was read."""
        self._check_unchanged()
        self.path.unlink()

    def _check_unchanged(self) -> None:
        try:
            now = self.path.lstat()
        except FileNotFoundError:
            same = self.status is None
        else:
            same = self.status is not None and _version(now) == _version(self.status)
        if not same:
            raise RefusedError("another program changed the file; run the command again")


def remove_leftovers(folder: bytes) -> None:
    """Remove the temporary files in a folder that a killed process left behind. Those in use stay."""
    try:
        with os.scandir(folder) as listed:
            names = [entry.name for entry in listed if _is_temporary(entry.name)]
    except OSError:
        return  # the folder is gone, or cannot be listed: nothing can be removed there
    for name in names:
        path = os.path.join(folder, name)
        with suppress(OSError):  # another process was faster, or the folder is read-only
            descriptor = os.open(path, os.O_RDWR | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK"))
            try:
                if _try_lock(descriptor):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _is_temporary(name: bytes) -> bool:
    return name.startswith(_TEMPORARY_PREFIX.encode()) and name.endswith(_TEMPORARY_SUFFIX.encode())


def _try_lock(descriptor: int) -> bool:
    """Lock a file without waiting. False if another process holds the lock, or if there are no locks here."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def check_size(data: bytes) -> None:
    """Raises RefusedError if a sidecar with this content is too large to be read."""
    if len(data) > MAX_BYTES:
        raise RefusedError(f"too large: more than {MAX_BYTES >> 20} MiB")


def _existing(stem: bytes) -> bytes | None:
    return next((stem + suffix for suffix in _SIDECAR_SUFFIXES if os.path.lexists(stem + suffix)), None)


def _shared(stem: bytes, suffix: bytes, adobe: bool) -> bool:
    """Whether `photo.xmp` might also be the sidecar of another photo."""
    if suffix in RAW_WITH_SIDECAR_SUFFIXES:
        return False
    others = PHOTO_SUFFIXES if adobe else PHOTO_SUFFIXES | RAW_WITH_SIDECAR_SUFFIXES
    # Single lookups, because listing a large folder once per photo would be much slower.
    return any(os.path.lexists(stem + case) for each in others - {suffix} for case in (each, each.upper()))


def _resolve(path: bytes) -> tuple[Path, bool]:
    """The real path of a sidecar, and whether the sidecar is a link.

    A link could lead to any file of the user, so it is followed only to an existing .xmp file.
    """
    if not os.path.islink(path):  # noqa: PTH114
        folder, name = os.path.split(path)
        return Path(os.fsdecode(os.path.realpath(folder))) / os.fsdecode(name), False
    try:
        target = os.path.realpath(path, strict=True)
    except FileNotFoundError:
        raise RefusedError("it is a link to a file that does not exist; delete the link or restore the file") from None
    if not target.lower().endswith(b".xmp"):
        raise RefusedError(f"it is a link to a file that is not an .xmp file: {os.fsdecode(target)}")
    return Path(os.fsdecode(target)), True


def _flag(name: str) -> int:
    """A flag of os.open, or 0 where the system does not have it."""
    flag: int = getattr(os, name, 0)
    return flag


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
