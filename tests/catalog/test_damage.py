"""Damaged catalogs, and which errors of SQLite become which errors of this program."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from searcher.catalog import Catalog, connect
from searcher.catalog.connect import CATALOG_NAME
from searcher.catalog.read.view import View
from searcher.catalog.rows import ModelRow
from searcher.errors import Busy, Damaged, SearcherError
from searcher.filters import Filter
from tests.catalog.filling import fill, image_count, other_program

MODEL = ModelRow(1, "", "", "", "", b"", 64)
USES: tuple[Callable[[View], object], ...] = (
    lambda view: view.files.roots(),
    lambda view: view.models.current(),
    lambda view: view.files.image_count(),
    lambda view: view.files.known(1),
    lambda view: view.files.failures(),
    lambda view: view.photos.of_embeddings([1]),
    lambda view: view.photos.tags([1]),
    lambda view: view.photos.browse(MODEL),
    lambda view: view.photos.timeline(),
    lambda view: list(view.embeddings.chunks(MODEL)),
    lambda view: view.embeddings.matching(Filter(("dog",)), 1),
    lambda view: view.tags.labels(),
    lambda view: view.tags.counts(),
    lambda view: view.tags.runs(),
    lambda view: view.sidecars.of([1], [b"/photos/0.xmp"]),
)


def problems(folder: Path) -> list[str]:
    with closing(Catalog(folder)) as catalog, catalog.read() as view:
        return view.problems()


def test_damage_inside_the_catalog_is_found(folder: Path) -> None:
    assert problems(folder) == []
    with other_program(folder) as other:
        other.execute("DELETE FROM contents WHERE id = 5")
    assert "references to rows that are gone: 2" in " ".join(problems(folder))


def test_reading_an_embedding_of_a_wrong_length_is_damage(folder: Path) -> None:
    with other_program(folder) as other:
        other.execute("UPDATE embeddings SET vector = x'00' WHERE id = 3")
    with closing(Catalog(folder)) as catalog, catalog.read() as view, pytest.raises(Damaged):
        list(view.embeddings.chunks(MODEL))
    with closing(Catalog(folder)) as catalog, catalog.read() as view:
        assert view.embeddings.of_wrong_length() == [3]
        (ids,) = (ids.tolist() for ids, _ in view.embeddings.chunks(MODEL, skip_wrong_length=True))
        assert 3 not in ids and len(ids) == view.embeddings.count(MODEL.id) - 1


def test_a_damaged_page_of_the_catalog_is_found(catalog: Catalog, folder: Path) -> None:
    fill(catalog, 500, start=10)
    catalog.close()
    path = folder / CATALOG_NAME
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2 // 4096 * 4096
    damaged[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(damaged)
    assert problems(folder)


def test_reading_a_damaged_catalog_is_a_one_line_error(catalog: Catalog, folder: Path) -> None:
    fill(catalog, 500, start=10)
    catalog.close()
    path = folder / CATALOG_NAME
    damaged = bytearray(path.read_bytes())
    for start in range(4096, len(damaged), 4096):
        if b"CREATE " not in damaged[start : start + 4096]:  # keep the schema readable
            damaged[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(damaged)
    for use in USES:
        with pytest.raises(Damaged, match="damaged"), catalog.read() as view:
            use(view)
    with pytest.raises(Damaged, match="damaged"):
        fill(catalog, 1, start=1000)


def test_each_damaged_page_is_harmless_or_a_one_line_error(catalog: Catalog, folder: Path) -> None:
    fill(catalog, 100, start=10)
    with catalog.write() as change:
        labels = change.tags.add_labels({"dog": "animal", "cat": "animal"})
        change.tags.put_results([1, 2], labels.values(), [(1, labels["dog"], "zero-shot", 0.7)], 1)
        change.tags.start_run("key", "{}", "conditions")
    catalog.close()
    path = folder / CATALOG_NAME
    whole = path.read_bytes()
    pages = [start for start in range(4096, len(whole), 4096) if b"CREATE " not in whole[start : start + 4096]]
    failed = set()
    for page in pages:
        for garbage in (b"\xa5" * 4096, bytes(4096)):
            path.write_bytes(whole[:page] + garbage + whole[page + 4096 :])
            with closing(Catalog(folder)) as hurt:
                for use in (*USES, View.problems):
                    try:
                        with hurt.read() as view:
                            use(view)
                    except Damaged as error:
                        failed.add(page)
                        assert len(str(error).splitlines()) == 1
    assert len(failed) > len(pages) // 2


def test_a_schema_that_cannot_be_decoded_is_damage(catalog: Catalog, folder: Path) -> None:
    catalog.close()
    path = folder / CATALOG_NAME
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE roots", b"CRE\x86TE T\xa5BLE roots"))
    with pytest.raises(Damaged), catalog.read():
        pass
    with pytest.raises(Damaged), catalog.write():
        pass


def test_text_that_cannot_be_decoded_is_damage(catalog: Catalog, folder: Path) -> None:
    with other_program(folder) as other:
        other.execute("INSERT INTO labels (name) VALUES (CAST(x'ff' AS TEXT))")
    with pytest.raises(Damaged), catalog.read() as view:
        view.tags.labels()


# errors that are not damage


def test_a_locked_catalog_is_busy_and_not_damaged(
    catalog: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connect, "on_network", lambda folder: True)
    fill(catalog, 5, start=10)
    assert image_count(catalog) == 15
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy, match="in use"):
            image_count(catalog)
        with pytest.raises(Busy, match="in use"), catalog.read() as view:
            view.problems()
        with pytest.raises(Busy, match="in use"):
            fill(catalog, 5, start=15)
        with closing(Catalog(folder)) as second:
            with pytest.raises(Busy, match="in use"):
                image_count(second)
            with pytest.raises(Busy, match="in use"):
                fill(second, 5, start=15)
    assert image_count(catalog) == 15
    fill(catalog, 5, start=15)
    assert image_count(catalog) == 20


def test_the_writers_of_another_program_are_busy_and_not_damaged(
    catalog: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match="in use"):
            fill(catalog, 5, start=10)
        assert image_count(catalog) == 10


def test_a_wrong_statement_is_a_bug_and_not_an_error_of_the_library(catalog: Catalog) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), catalog.read() as view:
        view._rows("SELECT * FROM recipes")
    with pytest.raises(sqlite3.ProgrammingError), catalog.read() as view:
        view._rows("SELECT ?, ?", 1)
    with pytest.raises(DBAPIError, match="no such table"), catalog.write() as change:
        change.tags._execute("SELECT * FROM recipes")
    with pytest.raises(sqlite3.ProgrammingError), catalog.write() as change:
        change.view._rows("SELECT ?, ?", 1)
    with pytest.raises(sqlite3.ProgrammingError), catalog.write():
        raise sqlite3.ProgrammingError("a bug")
    with pytest.raises(ValueError), catalog.read():
        raise ValueError("a bug")
    assert image_count(catalog) == 10


def test_a_view_cannot_write(catalog: Catalog) -> None:
    with pytest.raises((sqlite3.Error, SearcherError)), catalog.read() as view:
        view._rows("DELETE FROM images")
    assert image_count(catalog) == 10
