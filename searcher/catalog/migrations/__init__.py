"""How the tables came to be: one file per version, never changed once it was released.

A new catalog runs all of them, an older one those that it lacks.
"""

import sqlite3
from collections.abc import Sequence

from searcher.catalog.connect import APPLICATION_ID
from searcher.catalog.migrations import (
    m001_initial,
    m002_tags,
    m003_mounts,
    m004_metadata,
    m005_folders,
    m006_relevance,
    m007_sources,
    m008_vector_parts,
)

MIGRATIONS: tuple[Sequence[str], ...] = (
    m001_initial.STATEMENTS,
    m002_tags.STATEMENTS,
    m003_mounts.STATEMENTS,
    m004_metadata.STATEMENTS,
    m005_folders.STATEMENTS,
    m006_relevance.STATEMENTS,
    m007_sources.STATEMENTS,
    m008_vector_parts.STATEMENTS,
)
"""The statements that lead from each version to the next one, beginning with an empty file (version 0)."""


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring the catalog from `version` (0: empty) to the latest one, in one transaction. The caller holds the lock."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself after some errors, such as a full disk
            connection.execute("ROLLBACK")
        raise
