"""Open the catalog's SQLite file. Handles journal modes, read-only media and network file systems."""

import os
import re
import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

from searcher.errors import SearcherError

CATALOG_NAME = "catalog.sqlite"
APPLICATION_ID = 0x53524348  # "SRCH": identifies the file as a catalog, also for `file`
SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 60.0

# file system types as named in the mount table
_NETWORK_TYPES = frozenset(
    """nfs nfs4 cifs smb2 smb3 smbfs afpfs afs ncpfs 9p webdav davfs glusterfs ceph lustre gpfs beegfs
    fuse.glusterfs fuse.sshfs fuse.rclone""".split()  # noqa: SIM905
)


class ReadOnlyError(SearcherError):
    """The library cannot be written to. Searching it still works."""


def connect(folder: Path, *, write: bool = False) -> sqlite3.Connection:
    """Open `folder`/catalog.sqlite in autocommit mode. Any thread may use the connection, but only one at a time.

    A reader sees each commit as soon as it is made. If the folder or the medium is read-only, the reader takes no
    lock (`immutable`). A writer creates the file if it does not exist. It also sets the journal mode: WAL, or a
    rollback journal on a network file system, where WAL's shared memory does not work.

    Raises ReadOnlyError if the library cannot be written to, and SearcherError if there is no library or the file
    cannot be read.
    """
    path = folder / CATALOG_NAME
    if write:
        return _connect_writer(path)
    if not path.exists():
        raise SearcherError(f"there is no library in {folder}: create one with `searcher index FOLDER`")
    wal = Path(f"{path}-wal")
    for mode in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
        if "immutable" in mode and wal.exists() and wal.stat().st_size:
            raise SearcherError(f"{path} is a read-only copy that was made during a write: copy it again")
        connection = _open(path, mode)
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.DatabaseError as error:
            connection.close()
            if error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
                continue  # in WAL mode, SQLite needs to write its shared memory next to the file
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
        # With WAL, NORMAL saves one fsync per batch. A power failure can lose the last batches, but it cannot damage
        # the file.
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
    """Return the catalog's schema version, or 0 if the catalog was only just created.

    Raises SearcherError if the file belongs to another program or was written by a newer version.
    """
    version, application, tables = (
        int(connection.execute(sql).fetchone()[0])
        for sql in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables and application != APPLICATION_ID:
        raise SearcherError(f"{folder / CATALOG_NAME} is another program's database: use another folder")
    if version > SCHEMA_VERSION:
        raise SearcherError(
            f"the library {folder} was written by a newer searcher (catalog version {version}, "
            f"this version reads up to {SCHEMA_VERSION}): upgrade searcher"
        )
    return version


def on_network(folder: Path) -> bool:
    """Return whether `folder` is on a network file system according to the system's mount table."""
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
    """Decode the octal escapes of the mount table, such as \\040 for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
