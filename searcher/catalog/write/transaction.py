"""Writer: the writing connection of a catalog. Transaction: one change of it, in parts by subject."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, ExceptionContext, create_engine, event
from sqlalchemy.pool import StaticPool

from searcher.catalog.connect import SCHEMA_VERSION, check_version, connect_writer, plain_errors
from searcher.catalog.migrations import upgrade
from searcher.catalog.read.view import View
from searcher.catalog.write.backup import BackupChanges
from searcher.catalog.write.embeddings import EmbeddingChanges
from searcher.catalog.write.files import FileChanges
from searcher.catalog.write.metadata import MetadataChanges
from searcher.catalog.write.models import ModelChanges
from searcher.catalog.write.sidecars import SidecarChanges
from searcher.catalog.write.tags import TagChanges


class Transaction:
    """One change of the catalog, in parts by subject. `view` reads what this transaction has changed so far."""

    def __init__(self, connection: Connection, view: View) -> None:
        self.view = view
        self.files = FileChanges(connection)
        self.metadata = MetadataChanges(connection)
        self.models = ModelChanges(connection)
        self.embeddings = EmbeddingChanges(connection)
        self.tags = TagChanges(connection)
        self.sidecars = SidecarChanges(connection)
        self.backup = BackupChanges(connection)


class Writer:
    """The connection that writes. Its owner holds the writer's lock whenever it is used."""

    def __init__(self, folder: Path) -> None:
        """Open or create the catalog in `folder`, and migrate it if it is older. Raises SearcherError."""
        self._folder = folder
        self._raw = connect_writer(folder)
        try:
            with plain_errors(folder, "write to"):
                version = check_version(self._raw, folder)
                if version < SCHEMA_VERSION:
                    upgrade(self._raw, version)
                engine = create_engine("sqlite://", creator=lambda: self._raw, poolclass=StaticPool)
                event.listen(engine, "handle_error", _keep_open)
                self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with suppress(sqlite3.Error):
            self._connection.close()
        self._raw.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it is committed, or nothing after an error."""
        with plain_errors(self._folder, "write to"):
            try:
                self._raw.execute("BEGIN IMMEDIATE")
                yield Transaction(self._connection, View(self._raw, self._folder))
                self._raw.execute("COMMIT")
            except BaseException:
                if self._raw.in_transaction:
                    self._raw.execute("ROLLBACK")
                raise


def _keep_open(context: ExceptionContext) -> None:
    """Leave the connection open after Ctrl-C, for the rollback.

    SQLAlchemy would close it. As long as a traceback refers to a statement, SQLite does not complete the close, and
    the open transaction would lock all writers out.
    """
    context.is_disconnect = False
