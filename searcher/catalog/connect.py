"""Opening the catalog's SQLite file: journal mode, read-only media, network file systems, clear errors."""

import os
import re
import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

from searcher.errors import SearcherError

CATALOG_NAME = "catalog.sqlite"
APPLICATION_ID = 0x53524348  # "SRCH": what `file` and `check` recognise
SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 60.0

# as the mount table names them
_NETWORK_TYPES = frozenset(
    """nfs nfs4 cifs smb2 smb3 smbfs afpfs afs ncpfs 9p webdav davfs glusterfs ceph lustre gpfs beegfs
    fuse.glusterfs fuse.sshfs fuse.rclone""".split()  # noqa: SIM905
)


class ReadOnlyError(SearcherError):
    """The library cannot be written to; searching it still works."""


def connect(folder: Path, *, write: bool = False) -> sqlite3.Connection:
    """Open `folder`/catalog.sqlite, in autocommit mode, usable from any one thread at a time.

    A reader sees each commit as soon as it is made. Where the folder or the medium is read-only it takes no
    lock (`immutable`). A writer creates the file, and chooses the journal: WAL, or a rollback journal on a
    network file system, where WAL's shared memory does not work. Raises SearcherError.
    """
    path = folder / CATALOG_NAME
    if write:
        return _connect_writer(path)
    if not path.exists():
        raise SearcherError(f"there is no library in {folder}: make one with `searcher index FOLDER`")
    wal = Path(f"{path}-wal")
    for mode in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
        if "immutable" in mode and wal.exists() and wal.stat().st_size:
            raise SearcherError(f"{path} is a copy made while it was written, and read-only: copy it again")
        connection = _open(path, mode)
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.DatabaseError as error:
            connection.close()
            if error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
                continue  # WAL wants to write its shared memory beside the file
            raise SearcherError(f"cannot read {path}: {error}") from error
        connection.execute("PRAGMA query_only = ON")
        return connection
    raise SearcherError(f"cannot read {path}")


def _connect_writer(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _open(path, "mode=rwc")
    except (OSError, sqlite3.OperationalError) as error:
        raise ReadOnlyError(f"cannot write to the library {path.parent}: {_reason(error)}") from error
    try:
        if not os.access(path, os.W_OK):
            raise ReadOnlyError(f"cannot write to the library {path.parent}: it is read-only")
        journal = "DELETE" if on_network(path.parent) else "WAL"
        if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != journal:
            connection.execute(f"PRAGMA journal_mode = {journal}")
        # WAL loses at most the last batches when the power fails, and is never damaged; it saves an fsync a
        # batch.
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'WAL' else 'FULL'}")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise ReadOnlyError(f"cannot write to the library {path.parent}: {error}") from error
        if isinstance(error, sqlite3.DatabaseError):
            raise SearcherError(f"{path} is not a catalog: {error}") from error
        raise
    return connection


def _open(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def check_version(connection: sqlite3.Connection, folder: Path) -> int:
    """The catalog's schema version (0: just made). Raises SearcherError for a newer or a foreign one."""
    version, application, tables = (
        int(connection.execute(sql).fetchone()[0])
        for sql in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables and application != APPLICATION_ID:
        raise SearcherError(f"{folder / CATALOG_NAME} is another program's database")
    if version > SCHEMA_VERSION:
        raise SearcherError(
            f"the library {folder} was written by a newer searcher (catalog version {version}, "
            f"this one reads up to {SCHEMA_VERSION}): upgrade searcher"
        )
    return version


def on_network(folder: Path) -> bool:
    """Whether `folder` lies on a network file system, as far as the system's mount table tells."""
    return _file_system(os.path.realpath(folder)) in _NETWORK_TYPES


def _file_system(path: str) -> str:
    best, kind = "", ""
    for mount, mount_kind in _mounts():
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, mount_kind
    return kind


def _mounts() -> list[tuple[str, str]]:
    if sys.platform == "linux":
        try:
            lines = Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()
        except OSError:
            return []
        rows = [line.split(" ") for line in lines]
        return [(_unescape(row[1]), row[2]) for row in rows if len(row) > 2]
    if sys.platform == "darwin":
        import subprocess

        listing = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False).stdout
        return re.findall(r" on (/.*?) \((\w+)", listing)
    return []


def _unescape(field: str) -> str:
    """Undo the octal escapes (\\040 for a space) of the mount table."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
