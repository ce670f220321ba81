"""Catalog: the one way to a library's SQLite file. It hands out read views and write transactions."""

import errno
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog.connect import (
    CATALOG_NAME,
    SCHEMA_VERSION,
    ReadOnlyError,
    check_version,
    connect_reader,
    file_number,
    plain_errors,
)
from searcher.catalog.read.view import View
from searcher.errors import Busy, SearcherError
from searcher.progress import SILENT, Progress

if TYPE_CHECKING:
    from filelock import FileLock

    from searcher.catalog.write.transaction import Transaction, Writer

LOCK_NAME = "writer.lock"
PATIENCE_S = 0.5  # a wait for another writer that needs no message
LOCK_TIMEOUT_S = 600.0
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
KEPT_CONNECTIONS = 16  # idle connections for reading


class Catalog:
    """The catalog of the library in `folder`. Create it once per library. All methods are safe to call from threads.

    Nothing is opened before it is used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._file_locks: dict[str, FileLock] = {}
        self._writer: Writer | None = None
        self._opened: int | None = None  # the catalog's inode when it was first opened
        self._watching = threading.Lock()
        self._watcher: sqlite3.Connection | None = None  # only asked whether others have committed
        self._watch = ""  # begins each revision of this watcher

    @property
    def exists(self) -> bool:
        """Whether there is a catalog yet."""
        return (self.folder / CATALOG_NAME).exists()

    def close(self) -> None:
        """Close all connections. If no other process has the catalog open, its journal is merged and removed."""
        with self._mutex:
            idle, self._idle = self._idle, []
            writer, self._writer = self._writer, None
            self._opened = None
        with self._watching:
            if self._watcher is not None:
                idle.append(self._watcher)
                self._watcher = None
        for connection in idle:
            connection.close()
        if writer is not None:
            writer.close()

    def revision(self) -> str:
        """A text that is another one after each commit that changed something, of this or another process.

        Raises as `read` does.
        """
        with self._watching:
            if self._watcher is None:
                self._watcher = self._reading_connection()
                wal = self._watcher.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
                self._watch = secrets.token_hex(4) if wal else ""
            else:
                self._check_file()
            with plain_errors(self.folder, "read"):
                if not self._watch:  # with a rollback journal, SQLite would wait for a commit under way
                    state = (self.folder / CATALOG_NAME).stat()
                    return f"{state.st_ino:x}-{state.st_size:x}-{state.st_mtime_ns:x}"
                # SQLite counts the commits of all other connections, and nothing is committed by this one
                (number,) = self._watcher.execute("PRAGMA data_version").fetchone()
        return f"{self._watch}-{number}"

    @contextmanager
    def read(self) -> Iterator[View]:
        """One committed state of the catalog. Close it before anything long: encoding, streaming, drawing.

        Raises NotFound if there is no catalog, SearcherError if it cannot be read, or if it was deleted after this
        object opened it.
        """
        connection = self._reading_connection()
        try:
            with plain_errors(self.folder, "read"):
                connection.execute("BEGIN")
                yield View(connection, self.folder)
        finally:
            self._give_back(connection)

    @contextmanager
    def write(self, progress: Progress = SILENT) -> "Iterator[Transaction]":
        """One transaction under the writer's lock. All of it is committed, or nothing after an error or Ctrl-C.

        `progress` gets a notice if another writer must be waited for. Creates the library if there is none. Raises
        ReadOnlyError if it cannot be written to, Busy after LOCK_TIMEOUT_S, SearcherError for example when the disk
        is full.
        """
        with self.lock(progress):
            if self._writer is None:
                from searcher.catalog.write.transaction import Writer

                self._writer = Writer(self.folder)
                self._remember_file()
            try:
                with self._writer.transaction() as transaction:
                    yield transaction
                self._check_file()
            except Exception:
                raise
            except BaseException:  # Ctrl-C can leave SQLAlchemy's connection in any state
                self._writer.close()
                self._writer = None
                raise

    @contextmanager
    def lock(self, progress: Progress = SILENT, name: str = LOCK_NAME, *, wait: bool = True) -> Iterator[None]:
        """Hold the writer's lock: only one thread of one process writes the catalog at a time. `name`: another lock.

        A thread may take the lock again while it holds it. Raises as `write` does, and without `wait` Busy at once.
        """
        from filelock import FileLock, Timeout

        with self._mutex:
            lock = self._file_locks.setdefault(name, FileLock(self.folder / name))
        self._check_file()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=PATIENCE_S if wait else 0)
            except Timeout:
                if not wait:
                    raise
                progress.notice(f"another searcher is writing to {self.folder}; waiting for it")
                lock.acquire(timeout=LOCK_TIMEOUT_S)
        except Timeout:
            raise Busy(f"another searcher has been writing to {self.folder} for too long: try again later") from None
        except (OSError, NotImplementedError) as error:
            if isinstance(error, NotImplementedError) or error.errno in _WITHOUT_LOCKS:
                raise ReadOnlyError(
                    f"cannot write to the library {self.folder}: its disk or network share has no file locks; "
                    "put the library on a local disk (--library DIR)"
                ) from error
            raise ReadOnlyError(f"cannot write to the library {self.folder}: {error.strerror or error}") from error
        try:
            yield
        finally:
            lock.release()

    def _remember_file(self) -> None:
        with self._mutex:
            if self._opened is None:
                self._opened = file_number(self.folder)

    def _check_file(self) -> None:
        """Raises SearcherError if the catalog was deleted or replaced: what is written to it then would be lost."""
        opened = self._opened
        if opened is not None and file_number(self.folder) != opened:
            raise SearcherError(
                f"the library {self.folder} was deleted or replaced while searcher was using it: run the command again"
            )

    def _reading_connection(self) -> sqlite3.Connection:
        self._check_file()
        with self._mutex:
            if self._idle:
                return self._idle.pop()
        connection = connect_reader(self.folder)
        try:
            with plain_errors(self.folder, "read"):
                older = check_version(connection, self.folder) < SCHEMA_VERSION
            if not older:
                self._remember_file()
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        with self.write():  # opening the writer migrates the catalog
            pass
        return connect_reader(self.folder)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")  # nothing was written
            with self._mutex:
                if len(self._idle) < KEPT_CONNECTIONS:
                    self._idle.append(connection)
                    return
        connection.close()
