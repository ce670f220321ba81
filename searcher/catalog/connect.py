"""Open the catalog's SQLite file: journal mode, read-only media, network file systems, plain errors."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from searcher.catalog.functions import register
from searcher.errors import Busy, Damaged, NotFound, SearcherError

CATALOG_NAME = "catalog.sqlite"
APPLICATION_ID = 0x53524348  # "SRCH": `file` and `check` recognise the catalog by it
SCHEMA_VERSION = 8
BUSY_TIMEOUT_S = 60.0

# names in the mount table
_NETWORK_TYPES = frozenset(
    """nfs nfs4 cifs smb2 smb3 smbfs afpfs afs ncpfs 9p webdav davfs glusterfs ceph lustre gpfs beegfs
    fuse.glusterfs fuse.sshfs fuse.rclone""".split()  # noqa: SIM905
)
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the message about a damaged schema can be undecodable
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
FULL_BELOW = 1 << 18  # bytes: with less space than this, a disk is full
_DISK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_PROTOCOL")


class ReadOnlyError(SearcherError):
    """The library cannot be written to. Searches still work."""


def connect_reader(folder: Path, wait: float | None = None) -> sqlite3.Connection:
    """Open `folder`/catalog.sqlite for reading, in autocommit mode. `wait` is how many seconds it waits for a lock
    (default: BUSY_TIMEOUT_S).

    If the folder or the medium is read-only, no lock is taken (`immutable`). Raises NotFound if there is no catalog,
    SearcherError if it cannot be read.
    """
    path = folder / CATALOG_NAME
    if not path.exists():
        raise NotFound(f"there is no library in {folder}: make one with `searcher index FOLDER`")
    wal, reason = Path(f"{path}-wal"), None
    for mode in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
        if "immutable" in mode and wal.exists() and wal.stat().st_size:
            raise SearcherError(
                f"{path} was copied while searcher was writing to it, and it is read-only: copy the library again"
            )
        connection = None
        try:
            connection = _open(path, mode, wait)
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except SQLITE_ERRORS as error:
            if connection is not None:
                connection.close()
            reason = plain_error(error, folder, "read")
            if _name(error).startswith(_DISK):
                continue  # WAL needs to write its shared memory beside the file: read-only, or the disk is full
            raise reason from error
        connection.execute("PRAGMA query_only = ON")
        return connection
    raise reason or SearcherError(f"cannot read {path}")


def connect_writer(folder: Path) -> sqlite3.Connection:
    """Open or create `folder`/catalog.sqlite for writing, in autocommit mode.

    The journal is WAL, or a rollback journal on a network file system, where the shared memory of WAL does not
    work. Raises ReadOnlyError if the folder cannot be written to, Damaged if the file is not a catalog.
    """
    path = folder / CATALOG_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = _open(path, "mode=rwc")
    except (OSError, sqlite3.OperationalError) as error:
        raise ReadOnlyError(f"cannot write to the library {folder}: {_reason(error, folder)}") from error
    try:
        if not os.access(path, os.W_OK):
            raise ReadOnlyError(f"cannot write to the library {folder}: it is read-only")
        journal = "DELETE" if on_network(folder) else "WAL"
        if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != journal:
            connection.execute(f"PRAGMA journal_mode = {journal}")
        # With WAL, a power failure loses at most the last batches and never damages the file. It saves one fsync
        # per batch.
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'WAL' else 'FULL'}")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError) and not _name(error).startswith(_BUSY):
            raise ReadOnlyError(f"cannot write to the library {folder}: {_reason(error, folder)}") from error
        if isinstance(error, SQLITE_ERRORS):
            raise plain_error(error, folder, "write to") from error
        raise
    return connection


def _open(path: Path, mode: str, wait: float | None = None) -> sqlite3.Connection:
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{mode}"
    timeout = BUSY_TIMEOUT_S if wait is None else wait
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout, check_same_thread=False)
    register(connection)
    return connection


def _name(error: Exception) -> str:
    """SQLite's name of an error, "" for one that does not come from SQLite itself."""
    return getattr(error, "sqlite_errorname", None) or ""


def plain_error(error: Exception, folder: Path, action: str) -> Exception:
    """The SearcherError that explains an error of SQLite, or `error` itself if it is a bug of this program.

    action: "read" or "write to".
    """
    name = _name(error)
    if name.startswith(_BUSY):
        return Busy(f"the library {folder} is in use by another program: try again later")
    # catalogs hold no text that is not UTF-8
    undecodable = isinstance(error, UnicodeDecodeError) or (not name and "decode to UTF-8" in str(error))
    if name.startswith(_DAMAGED) or undecodable:
        return Damaged(f"the catalog in {folder} is damaged ({error}): restore it from a backup, or index again")
    if name.startswith(_DISK):
        return SearcherError(f"cannot {action} the library {folder}: {_reason(error, folder)}")
    return error


def _reason(error: Exception, folder: Path) -> str:
    """What an error of the disk says. SQLite often reports a full disk as an I/O error."""
    with suppress(OSError):
        if _name(error) == "SQLITE_FULL" or shutil.disk_usage(folder).free < FULL_BELOW:
            return "the disk is full; free some space, and run the command again"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@contextmanager
def plain_errors(folder: Path, action: str) -> Iterator[None]:
    """Turn an error of SQLite in the block into the SearcherError that explains it: see `plain_error`."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", error)  # an error of SQLAlchemy holds the one of SQLite
        if isinstance(cause, SQLITE_ERRORS) and (plain := plain_error(cause, folder, action)) is not cause:
            raise plain from error
        raise


def file_number(folder: Path) -> int | None:
    """The inode of the catalog in `folder`, None if there is none. It identifies the file as long as it is open."""
    try:
        return (folder / CATALOG_NAME).stat().st_ino
    except OSError:
        return None


def check_version(connection: sqlite3.Connection, folder: Path) -> int:
    """The schema version of the catalog, 0 if it was just made. Raises SearcherError if it is newer or foreign."""
    version, application, tables = (
        int(connection.execute(sql).fetchone()[0])
        for sql in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables and application != APPLICATION_ID:
        raise SearcherError(f"{folder / CATALOG_NAME} is the database of another program")
    if version > SCHEMA_VERSION:
        raise SearcherError(
            f"the library {folder} was written by a newer searcher (catalog version {version}, "
            f"this one reads up to {SCHEMA_VERSION}): upgrade searcher"
        )
    return version


def on_network(folder: Path) -> bool:
    """Whether `folder` is on a network file system, according to the mount table."""
    import psutil

    path, best, kind = os.path.realpath(folder), "", ""
    for part in psutil.disk_partitions(all=True):
        inside = path == part.mountpoint or path.startswith(part.mountpoint.rstrip("/") + "/")
        if inside and len(part.mountpoint) >= len(best):
            best, kind = part.mountpoint, part.fstype
    return kind in _NETWORK_TYPES
