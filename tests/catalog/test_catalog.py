"""Opening and closing a catalog, read-only media, and the lock of writers."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from searcher.catalog import Catalog
from searcher.catalog import catalog as catalogs
from searcher.catalog.catalog import LOCK_NAME
from searcher.catalog.connect import CATALOG_NAME, ReadOnlyError, plain_error
from searcher.catalog.rows import Place
from searcher.errors import Busy, NotFound, SearcherError
from tests.catalog.filling import fill, image_count, other_program
from tests.watcher import Watcher

CHECKOUT = Path(__file__).parents[2]
NOBODY = 65534


def fails_to_open(folder: Path, match: str | None = None) -> None:
    """Neither a view nor a transaction of the catalog in `folder` can be opened."""
    with closing(Catalog(folder)) as catalog:
        with pytest.raises(SearcherError, match=match), catalog.read():
            pass
        with pytest.raises(SearcherError, match=match), catalog.write():
            pass


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in another process, with the library as its argument."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    return subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, env=environment)


# opening


def test_nothing_is_opened_or_made_before_it_is_used(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "library")
    assert not catalog.exists
    catalog.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_library_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no library"), Catalog(tmp_path).read():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_catalog_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_NAME
    path.write_bytes(b"this is a text, not a database" * 100)
    fails_to_open(tmp_path)
    assert path.read_bytes().startswith(b"this is a text")


def test_a_folder_in_the_place_of_the_catalog_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / CATALOG_NAME).mkdir()
    fails_to_open(tmp_path, "cannot")


def test_another_programs_database_is_refused_and_unchanged(tmp_path: Path) -> None:
    with other_program(tmp_path) as other:
        other.execute("CREATE TABLE recipes (name)")
    fails_to_open(tmp_path, "another program")
    with other_program(tmp_path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


def test_an_empty_catalog_file_gets_its_tables(tmp_path: Path) -> None:
    (tmp_path / CATALOG_NAME).touch()  # as if a writer was killed before its first commit
    with closing(Catalog(tmp_path)) as catalog, catalog.read() as view:
        assert view.models.current() is None and view.files.roots() == []


def test_a_library_that_cannot_be_created_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReadOnlyError, match="cannot write"), Catalog(tmp_path / "file" / "library").write():
        pass


def test_the_last_close_removes_the_journal(catalog: Catalog, folder: Path) -> None:
    fill(catalog, 5, start=10)
    assert image_count(catalog) == 15
    assert (folder / f"{CATALOG_NAME}-wal").exists()
    catalog.close()
    assert {path.name for path in folder.iterdir()} == {CATALOG_NAME, LOCK_NAME}


def test_a_closed_catalog_opens_again_when_it_is_used(catalog: Catalog) -> None:
    catalog.close()
    fill(catalog, 5, start=10)
    catalog.close()
    assert image_count(catalog) == 15


# deleted and full disks


def test_a_deleted_library_is_an_error_and_is_not_made_again(catalog: Catalog, folder: Path) -> None:
    fill(catalog, 5, start=10)
    shutil.rmtree(folder)
    for use in (catalog.read, catalog.write, catalog.lock):
        with pytest.raises(SearcherError, match="deleted or replaced"), use():
            pass
    assert not folder.exists()


def test_a_replaced_library_is_an_error_until_it_is_opened_again(catalog: Catalog, folder: Path) -> None:
    fill(catalog, 5, start=10)
    folder.rename(folder.with_name("old"))
    with closing(Catalog(folder)) as other:
        fill(other, 3)
    with pytest.raises(SearcherError, match="deleted or replaced"), catalog.write():
        pass
    catalog.close()
    assert image_count(catalog) == 3


def test_an_error_of_a_full_disk_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    assert "disk I/O error" in str(plain_error(failed, folder, "write to"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**30, 2**30, 0))
    assert "the disk is full" in str(plain_error(failed, folder, "write to"))


# read-only media

WITHOUT_RIGHTS = f"""
import os, sys
from pathlib import Path
import filelock, psutil  # before the rights are gone: Python itself may be out of reach then
from searcher.catalog import Catalog
from searcher.catalog.write.transaction import Writer
from searcher.errors import SearcherError
if os.getuid() == 0:  # root can write to read-only folders
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
catalog = Catalog(Path(sys.argv[1]))
try:
"""
READ = """
    with catalog.read() as view:
        print(view.files.image_count())
except SearcherError as error:
    print(type(error).__name__, error)
"""
WRITE = """
    with catalog.write():
        print("can write")
except SearcherError as error:
    print(type(error).__name__, error)
"""


def as_nobody(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run READ or WRITE on a library as a user who may not write there."""
    return run(WITHOUT_RIGHTS + code, folder)


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


def test_a_read_only_copy_can_be_read_and_a_writer_gets_a_one_line_error(read_only_copy: Path) -> None:
    before = {path.name for path in read_only_copy.iterdir()}
    done = as_nobody(READ, read_only_copy)
    assert done.stdout == "10\n", done.stderr
    done = as_nobody(WRITE, read_only_copy)
    assert done.stdout.startswith("ReadOnlyError cannot write to the library"), done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert {path.name for path in read_only_copy.iterdir()} == before


def test_an_incomplete_read_only_copy_is_not_read_as_if_it_were_complete(
    catalog: Catalog, folder: Path, read_only_copy: Path
) -> None:
    fill(catalog, 5, start=10)
    read_only_copy.chmod(0o755)
    wal = read_only_copy / f"{CATALOG_NAME}-wal"
    shutil.copy(folder / f"{CATALOG_NAME}-wal", wal)
    read_only_copy.chmod(0o555)
    done = as_nobody(READ, read_only_copy)
    assert "copy the library again" in done.stdout or done.stdout == "15\n", done.stderr
    assert done.stdout != "10\n"


def test_a_reader_without_write_permission_sees_new_commits(
    catalog: Catalog, folder: Path, read_only_copy: Path
) -> None:
    for path in folder.iterdir():
        path.chmod(0o644)
    fill(catalog, 5, start=10)
    done = as_nobody(READ, folder)
    assert done.stdout == "15\n", done.stderr


def test_a_catalog_without_read_permission_is_a_one_line_error(read_only_copy: Path) -> None:
    (read_only_copy / CATALOG_NAME).chmod(0)
    done = as_nobody(READ, read_only_copy)
    assert done.stdout.startswith("SearcherError cannot read"), done.stderr
    assert len(done.stdout.splitlines()) == 1


# writers


def test_a_second_writer_waits_and_reports_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "PATIENCE_S", 0.05)
    watcher = Watcher()
    inside, order = threading.Event(), []

    def other() -> None:
        with closing(Catalog(folder)) as catalog, catalog.write():
            inside.set()
            time.sleep(0.4)
            order.append("first")

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    with closing(Catalog(folder)) as catalog, catalog.write(watcher):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert len(watcher.notices) == 1 and "waiting" in watcher.notices[0]


def test_a_writer_that_waits_too_long_gets_a_one_line_error(
    catalog: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogs, "PATIENCE_S", 0.01)
    monkeypatch.setattr(catalogs, "LOCK_TIMEOUT_S", 0.05)
    with (
        closing(Catalog(folder)) as second,
        catalog.write(),
        pytest.raises(Busy, match="too long"),
        second.write(),
    ):
        pass


def test_threads_that_share_a_catalog_write_one_after_the_other(catalog: Catalog) -> None:
    def write(thread: int) -> None:
        for number in range(10):
            with catalog.write() as change:
                before = change.view.files.image_count()
                change.files.put_image(Place(1, b"%d-%d.png" % (thread, number), 1, 1), 1)
                assert change.view.files.image_count() == before + 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert image_count(catalog) == 50


def test_a_thread_can_write_while_it_holds_the_lock(catalog: Catalog) -> None:
    with catalog.lock():
        fill(catalog, 5, start=10)
        assert image_count(catalog) == 15


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from searcher.catalog import Catalog
from searcher.errors import SearcherError
from tests.catalog.filling import fill
catalog = Catalog(Path(sys.argv[1]))
if catalog.exists:
    fill(catalog, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    fill(catalog, 20_000, start=100)
except SearcherError as error:
    print("SearcherError", error)
"""


def test_a_full_disk_is_a_one_line_error_and_rolls_back(folder: Path) -> None:
    done = run(FULL_DISK.format(limit=400_000), folder)
    assert done.stdout.startswith("SearcherError cannot write to the library"), done.stderr
    with closing(Catalog(folder)) as catalog, catalog.read() as view:
        assert view.files.image_count() == 10
        assert view.problems() == []


@pytest.mark.parametrize("limit", [0, 4096, 20_000, 60_000])
def test_a_disk_that_is_full_before_the_tables_are_made_is_a_one_line_error(tmp_path: Path, limit: int) -> None:
    done = run(FULL_DISK.format(limit=limit), tmp_path)
    assert done.stdout.startswith("SearcherError cannot write to the library"), done.stderr
    with closing(Catalog(tmp_path)) as catalog:
        fill(catalog, 1)
        assert image_count(catalog) == 1
