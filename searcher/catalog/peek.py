"""A look at a catalog for whoever cannot wait: a shell that completes a word."""

import os
from contextlib import closing, suppress
from pathlib import Path

from searcher.catalog.connect import CATALOG_NAME, SQLITE_ERRORS, check_version, connect_reader
from searcher.errors import SearcherError

WAIT_S = 0.1


def peek_labels(folder: Path) -> list[str]:
    """The names of the labels in the catalog of `folder`. Empty if it cannot be read at once."""
    return [str(name) for name in _column(folder, "SELECT name FROM labels ORDER BY name")]


def peek_roots(folder: Path) -> list[str]:
    """The paths of the indexed folders. Empty if the catalog cannot be read at once."""
    return [os.fsdecode(path) for path in _column(folder, "SELECT path FROM roots ORDER BY path")]


def _column(folder: Path, sql: str) -> list[str | bytes]:
    """One column. Nothing is migrated: an older catalog has these columns too, or is passed over."""
    if not (folder / CATALOG_NAME).is_file():
        return []
    with suppress(SearcherError, OSError, *SQLITE_ERRORS), closing(connect_reader(folder, wait=WAIT_S)) as connection:
        check_version(connection, folder)
        return [row[0] for row in connection.execute(sql)]
    return []
