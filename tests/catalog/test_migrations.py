"""How catalogs of older versions become the present one."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy

from searcher.catalog import Catalog, connect, migrations, schema
from searcher.catalog import catalog as catalogs
from searcher.catalog.connect import APPLICATION_ID, CATALOG_NAME, SCHEMA_VERSION
from searcher.catalog.migrations import MIGRATIONS, m001_initial
from searcher.catalog.write import transaction
from searcher.errors import SearcherError
from searcher.photos.rules import FolderOptions
from tests.catalog.filling import fill, image_count, other_program, vector


class Structure(NamedTuple):
    """What a table is, apart from the text that made it."""

    columns: list[tuple[object, ...]]
    foreign_keys: set[tuple[object, ...]]
    indexes: set[tuple[object, ...]]
    without_rowid: bool
    autoincrement: bool
    checks: int


def structures(connection: sqlite3.Connection) -> dict[str, Structure]:
    """The structure of every table."""
    tables = dict(connection.execute("SELECT name, upper(sql) FROM sqlite_master WHERE type = 'table'"))
    return {
        name: Structure(
            columns=connection.execute(f"PRAGMA table_xinfo({name})").fetchall(),
            # without the number that SQLite gives to a key
            foreign_keys={tuple(row[1:]) for row in connection.execute(f"PRAGMA foreign_key_list({name})")},
            indexes=set(indexes(connection, name)),
            without_rowid="WITHOUT ROWID" in sql,
            autoincrement="AUTOINCREMENT" in sql,
            checks=sql.count("CHECK"),
        )
        for name, sql in tables.items()
        if not name.startswith("sqlite_")
    }


def indexes(connection: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    for _, name, unique, origin, partial in connection.execute(f"PRAGMA index_list({table})").fetchall():
        columns = tuple(connection.execute(f"PRAGMA index_xinfo({name})"))
        # SQLite numbers the indexes of primary keys and unique columns as it comes to them
        yield name if origin == "c" else None, unique, origin, partial, columns


def described() -> dict[str, Structure]:
    """The structure that `schema.metadata` describes."""
    engine = sqlalchemy.create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        return structures(raw)


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    """A library of version 1 with one image that has a tag and an embedding."""
    with other_program(tmp_path) as other:
        for statement in m001_initial.STATEMENTS:
            other.execute(statement)
        other.execute("INSERT INTO roots VALUES (1, x'2f70', 1)")
        other.execute("INSERT INTO contents VALUES (1, x'00', 40, 30, 'PNG', '2023-06-01T12:00:00', NULL, NULL, NULL)")
        other.execute("INSERT INTO images VALUES (1, 1, x'61', 100, 200, 1, NULL)")
        other.execute("INSERT INTO models VALUES (1, 'digest', 'old', 'old', '1', x'2f', 64, NULL, 0.25, 1)")
        other.execute("INSERT INTO embeddings VALUES (1, 1, 1, 'float32', ?)", (vector(5).astype("<f2").tobytes(),))
        other.execute("UPDATE library SET model_id = 1")
        other.execute("INSERT INTO labels VALUES (1, 'Rex', NULL)")
        other.execute("INSERT INTO tags VALUES (1, 1, 'user', NULL, NULL, '2026-01-01')")
        other.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        other.execute("PRAGMA user_version = 1")
    return tmp_path


def test_a_new_catalog_has_the_described_structure(folder: Path) -> None:
    with other_program(folder) as other:
        assert structures(other) == described()
        assert other.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert other.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_catalog_of_version_1_gets_the_described_structure(first_version: Path) -> None:
    with closing(Catalog(first_version)) as catalog, catalog.write():
        pass
    with other_program(first_version) as other:
        assert structures(other) == described()
        assert other.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_catalog_of_version_1_keeps_its_photos_when_a_reader_opens_it(first_version: Path) -> None:
    with closing(Catalog(first_version)) as catalog:
        with catalog.read() as view:
            model = view.models.current()
            assert model is not None and model.name == "old"
            assert [photo.path for photo in view.photos.of_embeddings([1])[1]] == ["/p/a"]
            assert [tag.label for tag in view.photos.tags([1])[1]] == ["Rex"]
            ((ids, vectors),) = view.embeddings.chunks(model)
            assert ids.tolist() == [1] and (vectors == vector(5)).all()
            assert view.problems() == []
            # its photos behind links would be removed otherwise
            assert [root.options for root in view.files.roots()] == [FolderOptions(follow_links=True)]
        fill(catalog, 3)
        assert image_count(catalog) == 4


def test_there_is_a_migration_for_each_version() -> None:
    assert len(MIGRATIONS) == SCHEMA_VERSION


def use_migrations(monkeypatch: pytest.MonkeyPatch, more: Sequence[Sequence[str]]) -> None:
    """Act as a later searcher, with migrations that this one does not have."""
    for module in (connect, catalogs, transaction):
        monkeypatch.setattr(module, "SCHEMA_VERSION", SCHEMA_VERSION + len(more))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, *more))


def test_opening_an_older_catalog_migrates_it_step_by_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        ["ALTER TABLE images ADD COLUMN stars INTEGER"],
        ["UPDATE images SET stars = 5", "CREATE TABLE albums (id)"],
    ]
    use_migrations(monkeypatch, steps)
    with closing(Catalog(folder)) as catalog:
        assert image_count(catalog) == 10
    with other_program(folder) as other:
        assert other.execute("SELECT DISTINCT stars FROM images").fetchall() == [(5,)]
        assert other.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION + 2,)


def test_a_failed_migration_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_migrations(monkeypatch, [["CREATE TABLE albums (id)", "DELETE FROM images"], ["this is not SQL"]])
    with closing(Catalog(folder)) as catalog:
        with pytest.raises(sqlite3.OperationalError), catalog.write():
            pass
        with pytest.raises(sqlite3.OperationalError), catalog.read():
            pass
    monkeypatch.undo()
    with closing(Catalog(folder)) as catalog:
        assert image_count(catalog) == 10
    with other_program(folder) as other:
        assert structures(other) == described()
        assert other.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_newer_catalog_is_refused(folder: Path) -> None:
    with other_program(folder) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (folder / CATALOG_NAME).read_bytes()
    with closing(Catalog(folder)) as catalog:
        with pytest.raises(SearcherError, match="newer searcher"), catalog.read():
            pass
        with pytest.raises(SearcherError, match="newer searcher"), catalog.write():
            pass
    assert (folder / CATALOG_NAME).read_bytes() == before
