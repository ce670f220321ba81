import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from searcher.catalog import connect as connecting
from searcher.catalog import reader as reading
from searcher.catalog import schema
from searcher.catalog import writer as writing
from searcher.catalog.connect import CATALOG_NAME, SCHEMA_VERSION, ReadOnlyError, connect
from searcher.catalog.reader import Reader
from searcher.catalog.records import Content, ModelRow, Place, VectorFileRow
from searcher.catalog.writer import Writer
from searcher.errors import SearcherError
from tests.histogram_model import HistogramModel

CHECKOUT = Path(__file__).parents[1]
NOBODY = 65534


def content(number: int) -> Content:
    return Content(number.to_bytes(16, "big"), 40, 30, "PNG", taken_at="2023-06-01T12:00:00")


def vector(number: int) -> np.ndarray:
    row = np.zeros(HistogramModel.dim, np.float32)
    row[number % len(row)] = 1
    return row


def fill(writer: Writer, count: int, start: int = 0) -> int:
    """Commit `count` images with content and embedding under one root; returns the model's id."""
    with writer.transaction():
        root = writer.add_root(b"/photos", whole=True)
        model_id = writer.add_model(HistogramModel(), Path("/models/histogram"))  # type: ignore[arg-type]
        writer.use_model(model_id)
        for number in range(start, start + count):
            content_id = writer.add_content(content(number))
            writer.add_embedding(content_id, model_id, "float32", vector(number))
            writer.put_image(Place(root.id, b"%d.png" % number, 100, 200), content_id)
    return model_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library with a catalog of ten images."""
    with closing(Writer(tmp_path / "library")) as writer:
        fill(writer, 10)
    return tmp_path / "library"


def test_a_reader_returns_what_was_written(folder: Path) -> None:
    with closing(Reader(folder)) as reader:
        model = reader.model()
        assert model is not None
        assert (model.name, model.dim, model.noise_floor) == ("histogram", 64, None)
        assert reader.image_count() == reader.embedding_count(model.id) == 10
        assert reader.files(1) == {b"%d.png" % number: (100, 200, False) for number in range(10)}
        chunks = list(reader.vectors(model))
        assert np.concatenate([ids for ids, _ in chunks]).tolist() == list(range(1, 11))
        assert (np.concatenate([rows for _, rows in chunks]) == np.stack([vector(n) for n in range(10)])).all()
        photo = reader.photos([3])[3][0]
        assert (photo.root, photo.relpath, photo.taken_at) == (b"/photos", b"2.png", "2023-06-01T12:00:00")


def test_vectors_are_read_in_chunks_after_a_given_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "VECTOR_CHUNK", 3)
    with closing(Reader(folder)) as reader:
        model = reader.model()
        assert model is not None
        assert [ids.tolist() for ids, _ in reader.vectors(model, after=2)] == [[3, 4, 5], [6, 7, 8], [9, 10]]
        assert reader.embedding_count(model.id, after=2) == 8


def test_a_prefix_matches_a_folder_but_not_similar_names(folder: Path) -> None:
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        with writer.transaction():
            for name in (b"a/1.png", b"a/b/2.png", b"a.png", b"ab/3.png", b"a\xff/4.png"):
                writer.put_image(Place(1, name, 1, 1), None, "broken")
        assert set(reader.files(1, b"a/")) == {b"a/1.png", b"a/b/2.png"}
        assert set(reader.files(1, b"a\xff/")) == {b"a\xff/4.png"}


def test_a_reader_sees_committed_changes_only(folder: Path) -> None:
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        with writer.transaction():
            writer.put_image(Place(1, b"new.png", 1, 1), 1)
            assert reader.image_count() == 10
        assert reader.image_count() == 11


def test_a_snapshot_does_not_change_while_others_commit(folder: Path) -> None:
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        with reader.snapshot():
            assert reader.image_count() == 10
            fill(writer, 5, start=10)
            assert reader.image_count() == 10
        assert reader.image_count() == 15


def test_an_error_or_interrupt_rolls_back_the_transaction(folder: Path) -> None:
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error), writer.transaction():
                writer.put_image(Place(1, b"new.png", 1, 1), 1)
                raise error
        assert reader.image_count() == 10
        fill(writer, 1, start=10)
        assert reader.image_count() == 11


def test_ids_are_never_reused(folder: Path) -> None:
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        with writer.transaction():
            for number in range(10):
                assert writer.remove_image(1, b"%d.png" % number)
            assert writer.remove_orphans() == 10
        model_id = fill(writer, 1, start=50)
        assert reader.embedding_count(model_id) == 1
        assert list(reader.photos(range(20))) == [11]
        assert reader.photos([11])[11][0].image_id == 11


def test_an_image_is_either_indexed_or_failed(folder: Path) -> None:
    with closing(Writer(folder)) as writer:
        for content_id, error in ((None, None), (1, "broken")):
            with pytest.raises(IntegrityError), writer.transaction():
                writer.put_image(Place(1, b"new.png", 1, 1), content_id, error)


def test_swapped_images_keep_their_ids_and_tags(folder: Path) -> None:
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        with closing(sqlite3.connect(folder / CATALOG_NAME)) as other, other:
            other.execute("INSERT INTO labels (id, name) VALUES (1, 'Rex'), (2, 'dog')")
            other.execute("INSERT INTO tags VALUES (1, 1, 'user', NULL, NULL, '2026-01-01')")
            other.execute("INSERT INTO content_tags VALUES (1, 2, 'zero-shot', 0.7, 1, '2026-01-01')")
        first, second = writer.image_at(1, b"0.png"), writer.image_at(1, b"1.png")
        assert first and second
        with writer.transaction():
            writer.move_image(first, Place(1, b"1.png", 5, 6))
        assert writer.image_at(1, b"1.png") == first._replace(relpath=b"1.png")
        assert writer.image_at(1, b"0.png") == second._replace(relpath=b"0.png")
        assert reader.tags([1, 2]) == {1: ["Rex", "dog"]}
        with writer.transaction():
            writer.remove_image(1, b"1.png")
        assert reader.tags([1, 2]) == {}


def test_absorbing_a_root_works_with_any_file_names(folder: Path) -> None:
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        with writer.transaction():
            outer, inner = writer.add_root(b"/a", whole=True), writer.add_root(b"/a/b", whole=True)
            writer.put_image(Place(inner.id, b"\xff\xfe.png", 1, 1), 1)
            writer.put_image(Place(inner.id, b"both.png", 1, 1), 2)
            writer.put_image(Place(outer.id, b"b/both.png", 1, 1), 3)
            writer.absorb_root(inner, outer, b"b/")
        assert [root.path for root in reader.roots()] == [b"/a", b"/photos"]
        assert set(reader.files(outer.id)) == {b"b/\xff\xfe.png", b"b/both.png"}


def test_only_the_latest_vector_files_are_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "KEPT_VECTOR_FILES", 3)
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        assert not reader.has_vector_file(1)
        for number in range(1, 6):
            with writer.transaction():
                writer.add_vector_file(1, VectorFileRow(bytes([number]), number, number, 10))
        known = [number for number in range(1, 6) if reader.vector_file(bytes([number]), 1)]
        assert known == [3, 4, 5]


# opening


def test_a_folder_without_a_library_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match="no library"):
        Reader(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_catalog_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_NAME
    path.write_bytes(b"this is a text, not a database" * 100)
    for opener in (Reader, Writer):
        with pytest.raises(SearcherError):
            opener(tmp_path)
    assert path.read_bytes().startswith(b"this is a text")


def test_another_programs_database_is_refused_and_unchanged(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / CATALOG_NAME)) as other, other:
        other.execute("CREATE TABLE recipes (name)")
    for opener in (Reader, Writer):
        with pytest.raises(SearcherError, match="another program"):
            opener(tmp_path)
    with closing(sqlite3.connect(tmp_path / CATALOG_NAME)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


def test_a_newer_catalog_is_refused(folder: Path) -> None:
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as other, other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for opener in (Reader, Writer):
        with pytest.raises(SearcherError, match="newer searcher"):
            opener(folder)


def set_version(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    for module in (connecting, reading, schema, writing):
        monkeypatch.setattr(module, "SCHEMA_VERSION", version)


def test_opening_an_older_catalog_migrates_it_step_by_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_version(monkeypatch, SCHEMA_VERSION + 2)
    steps = {
        SCHEMA_VERSION: ["ALTER TABLE images ADD COLUMN stars INTEGER"],
        SCHEMA_VERSION + 1: ["UPDATE images SET stars = 5", "CREATE TABLE albums (id)"],
    }
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with closing(Reader(folder)) as reader:
        assert reader.image_count() == 10
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as other:
        assert other.execute("SELECT DISTINCT stars FROM images").fetchall() == [(5,)]
        assert other.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION + 2,)


def test_a_migrated_catalog_has_the_same_tables_as_a_new_one(tmp_path: Path) -> None:
    def tables(connection: sqlite3.Connection) -> set[tuple[str, str]]:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.split())) for name, sql in rows}

    with closing(Writer(tmp_path)) as writer:
        fresh = tables(writer._raw)
    added = ("content_tags", "tag_runs", "prompts", "examples", "sidecars")
    with closing(sqlite3.connect(tmp_path / CATALOG_NAME)) as other, other:
        for table in added:
            other.execute(f"DROP TABLE {table}")
        other.execute("DROP INDEX embeddings_model")
        other.execute("ALTER TABLE models DROP COLUMN retired")
        other.execute("PRAGMA user_version = 1")
    with closing(Writer(tmp_path)) as writer:
        assert tables(writer._raw) == fresh


def test_a_failed_migration_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_version(monkeypatch, SCHEMA_VERSION + 1)
    steps = {SCHEMA_VERSION: ["DELETE FROM images", "this is not SQL"]}
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with pytest.raises(sqlite3.OperationalError):
        Writer(folder)
    set_version(monkeypatch, SCHEMA_VERSION)
    with closing(Reader(folder)) as reader:
        assert reader.image_count() == 10


def test_an_empty_catalog_file_gets_its_tables(tmp_path: Path) -> None:
    (tmp_path / CATALOG_NAME).touch()  # as if a writer was killed before its first commit
    with closing(Reader(tmp_path)) as reader:
        assert reader.model() is None and reader.roots() == []


def test_the_last_close_removes_the_journal(folder: Path) -> None:
    writer, reader = Writer(folder), Reader(folder)
    fill(writer, 5, start=10)
    assert (folder / f"{CATALOG_NAME}-wal").exists()
    writer.close()
    reader.close()
    assert {path.name for path in folder.iterdir()} == {CATALOG_NAME, writing.LOCK_NAME}


WITHOUT_RIGHTS = f"""
import os, sys
from pathlib import Path
from searcher.errors import SearcherError
from searcher.catalog.reader import Reader
from searcher.catalog.writer import Writer
if os.getuid() == 0:  # root can write to read-only folders
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""


def as_nobody(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` on a library as a user who may not write there."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS + code, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )


@pytest.fixture
def read_only_copy(folder: Path) -> Path:
    """A copy of the library that other users can read but not write."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o055)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    for path in copy.iterdir():
        path.chmod(0o444)
    copy.chmod(0o555)
    return copy


READ = "print(Reader(Path(sys.argv[1])).image_count())"
WRITE = """
try:
    Writer(Path(sys.argv[1]))
except SearcherError as error:
    print(type(error).__name__, error)
"""


def test_a_read_only_copy_can_be_read_and_a_writer_gets_a_one_line_error(read_only_copy: Path) -> None:
    before = {path.name for path in read_only_copy.iterdir()}
    done = as_nobody(READ, read_only_copy)
    assert done.stdout == "10\n", done.stderr
    done = as_nobody(WRITE, read_only_copy)
    assert done.stdout.startswith("ReadOnlyError cannot write to the library"), done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert {path.name for path in read_only_copy.iterdir()} == before


def test_an_incomplete_read_only_copy_is_not_read_as_if_it_were_complete(folder: Path, read_only_copy: Path) -> None:
    with closing(Writer(folder)) as writer:
        fill(writer, 5, start=10)
        read_only_copy.chmod(0o755)
        wal = read_only_copy / f"{CATALOG_NAME}-wal"
        shutil.copy(folder / f"{CATALOG_NAME}-wal", wal)
        read_only_copy.chmod(0o555)
    done = as_nobody(READ, read_only_copy)
    assert "copy it again" in done.stderr or done.stdout == "15\n"
    assert done.stdout != "10\n"


def test_a_reader_without_write_permission_sees_new_commits(folder: Path, read_only_copy: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o644)
    with closing(Writer(folder)) as writer:
        fill(writer, 5, start=10)
        done = as_nobody(READ, folder)
        assert done.stdout == "15\n", done.stderr


# writers


def test_a_second_writer_waits_and_reports_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PATIENCE_S", 0.05)
    said: list[str] = []
    inside, order = threading.Event(), []

    def other() -> None:
        with closing(Writer(folder)) as writer, writer.transaction():
            inside.set()
            time.sleep(0.4)
            order.append("first")

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    with closing(Writer(folder, said.append)) as writer, writer.transaction():
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert len(said) == 1 and "waiting" in said[0]


def test_a_writer_that_waits_too_long_gets_a_one_line_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PATIENCE_S", 0.01)
    monkeypatch.setattr(writing, "LOCK_TIMEOUT_S", 0.05)
    with (
        closing(Writer(folder)) as first,
        closing(Writer(folder)) as second,
        first.transaction(),
        pytest.raises(SearcherError, match="too long"),
        second.transaction(),
    ):
        pass


def test_a_full_disk_is_a_one_line_error_and_rolls_back(folder: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from searcher.errors import SearcherError
from searcher.catalog.writer import Writer
from tests.test_catalog import fill
writer = Writer(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    fill(writer, 20_000, start=100)
except SearcherError as error:
    print("SearcherError", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )
    assert done.stdout.startswith("SearcherError cannot write to the library"), done.stderr
    with closing(Reader(folder)) as reader:
        assert reader.image_count() == 10
        assert reader.problems() == []


# network file systems


def test_network_file_systems_use_a_rollback_journal_and_local_ones_wal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def journal() -> str:
        with closing(connect(folder)) as connection:
            mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
            return mode

    assert journal() == "wal"
    monkeypatch.setattr(connecting, "on_network", lambda folder: True)
    with closing(Writer(folder)) as writer, closing(Reader(folder)) as reader:
        fill(writer, 5, start=10)
        assert journal() == "delete"
        assert reader.image_count() == 15
    monkeypatch.undo()
    Writer(folder).close()
    assert journal() == "wal"


def test_the_innermost_mount_determines_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [("/", "ext4"), ("/mnt", "nfs4"), ("/mnt/my disk", "ext4"), ("/mnt/my", "cifs")]
    monkeypatch.setattr(connecting, "_mounts", lambda: mounts)
    monkeypatch.setattr("os.path.realpath", str)
    kinds = {
        "/home/library": False,
        "/mnt": True,
        "/mnt/photos": True,
        "/mnt/my disk/photos": False,
        "/mnt/my/photos": True,
        "/mntx": False,
    }
    assert {path: connecting.on_network(Path(path)) for path in kinds} == kinds


def test_escapes_in_the_mount_table_are_decoded() -> None:
    assert connecting._unescape(r"/mnt/my\040disk\134") == "/mnt/my disk\\"


def test_the_mount_table_of_this_machine_can_be_read() -> None:
    if sys.platform in ("linux", "darwin"):
        assert "/" in [mount for mount, _ in connecting._mounts()]


def test_a_library_that_cannot_be_created_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReadOnlyError, match="cannot write"):
        Writer(tmp_path / "file" / "library")


# damage


def test_damage_inside_the_catalog_is_found(folder: Path) -> None:
    with closing(Reader(folder)) as reader:
        assert reader.problems() == []
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as other, other:
        other.execute("UPDATE embeddings SET vector = x'00' WHERE id = 3")
        other.execute("DELETE FROM contents WHERE id = 5")
    with closing(Reader(folder)) as reader:
        problems = " ".join(reader.problems())
    assert "wrong length" in problems and "rows that do not exist" in problems


def test_a_damaged_page_of_the_catalog_is_found(folder: Path) -> None:
    with closing(Writer(folder)) as writer:
        fill(writer, 500, start=10)
    path = folder / CATALOG_NAME
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2 // 4096 * 4096
    damaged[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(damaged)
    with closing(Reader(folder)) as reader:
        assert reader.problems()


def test_reading_a_damaged_catalog_is_a_one_line_error(folder: Path) -> None:
    with closing(Writer(folder)) as writer:
        model_id = fill(writer, 500, start=10)
    path = folder / CATALOG_NAME
    damaged = bytearray(path.read_bytes())
    for start in range(4096, len(damaged), 4096):
        if b"CREATE " not in damaged[start : start + 4096]:  # keep the schema readable
            damaged[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(damaged)
    with closing(Reader(folder)) as reader:
        uses = (
            reader.roots,
            reader.model,
            reader.image_count,
            lambda: reader.files(1),
            lambda: reader.photos([1]),
            lambda: list(reader.vectors(ModelRow(model_id, "", "", "", "", b"", 64, None))),
        )
        for use in uses:
            with pytest.raises(SearcherError, match="damaged"):
                use()
