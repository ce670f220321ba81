"""Catalogs on network file systems, where the shared memory of WAL does not work."""

import os
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from searcher.catalog import Catalog, connect
from searcher.catalog.connect import on_network
from searcher.catalog.rows import Place
from searcher.errors import SearcherError
from tests.catalog.filling import fill, image_count, other_program


def journal(folder: Path) -> str:
    with other_program(folder) as other:
        mode: str = other.execute("PRAGMA journal_mode").fetchone()[0]
        return mode


def test_network_file_systems_use_a_rollback_journal_and_local_ones_wal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert journal(folder) == "wal"
    monkeypatch.setattr(connect, "on_network", lambda folder: True)
    with closing(Catalog(folder)) as catalog:
        fill(catalog, 5, start=10)
        assert journal(folder) == "delete"
        assert image_count(catalog) == 15
    monkeypatch.undo()
    with closing(Catalog(folder)) as catalog, catalog.write():
        pass
    assert journal(folder) == "wal"


def test_the_innermost_mount_determines_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [("/", "ext4"), ("/mnt", "nfs4"), ("/mnt/my disk", "ext4"), ("/mnt/my", "cifs")]
    parts = [SimpleNamespace(mountpoint=mountpoint, fstype=kind) for mountpoint, kind in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)
    monkeypatch.setattr("os.path.realpath", str)
    kinds = {
        "/home/library": False,
        "/mnt": True,
        "/mnt/photos": True,
        "/mnt/my disk/photos": False,
        "/mnt/my/photos": True,
        "/mntx": False,
    }
    assert {path: on_network(Path(path)) for path in kinds} == kinds


def test_a_later_mount_at_the_same_place_hides_the_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [SimpleNamespace(mountpoint="/mnt", fstype=kind) for kind in ("autofs", "nfs4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)
    monkeypatch.setattr("os.path.realpath", str)
    assert on_network(Path("/mnt/photos"))


def test_the_mount_table_of_this_machine_can_be_read(tmp_path: Path) -> None:
    assert os.path.realpath("/") in [part.mountpoint for part in psutil.disk_partitions(all=True)]
    assert on_network(tmp_path) in (True, False)


@pytest.fixture
def network_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library with a rollback journal and ten images."""
    monkeypatch.setattr(connect, "on_network", lambda folder: True)
    with closing(Catalog(tmp_path / "network")) as catalog:
        fill(catalog, 10)
    assert journal(tmp_path / "network") == "delete"
    return tmp_path / "network"


def test_a_transaction_with_a_rollback_journal_reads_its_changes_and_commits_at_once(network_folder: Path) -> None:
    with closing(Catalog(network_folder)) as catalog:
        assert image_count(catalog) == 10
        started = time.monotonic()
        for number in range(5):
            with catalog.write() as change:
                change.files.put_image(Place(1, b"new%d.png" % number, 1, 1), 1)
                assert change.view.files.image_count() == 11 + number
                assert len(change.view.photos.of_contents([1])) == 2 + number
        assert time.monotonic() - started < connect.BUSY_TIMEOUT_S / 2
        assert image_count(catalog) == 15


def test_threads_read_a_rollback_journal_catalog_while_another_thread_commits(network_folder: Path) -> None:
    errors: list[Exception] = []
    done = threading.Event()

    def read(catalog: Catalog) -> None:
        try:
            while not done.is_set():
                with catalog.read() as view:
                    model = view.models.current()
                    assert model is not None
                    assert view.files.image_count() == view.embeddings.count(model.id)
                time.sleep(0.001)
        except Exception as error:
            errors.append(error)

    with closing(Catalog(network_folder)) as catalog:
        threads = [threading.Thread(target=read, args=(catalog,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for start in range(10, 30, 2):
                fill(catalog, 2, start)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert errors == []
        assert image_count(catalog) == 30


def test_a_commit_that_a_reader_holds_up_for_too_long_is_busy_and_leaves_nothing(
    network_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    with closing(Catalog(network_folder)) as catalog:
        with catalog.read() as view:
            assert view.files.image_count() == 10
            with pytest.raises(SearcherError, match="in use"):
                fill(catalog, 5, start=10)
        assert image_count(catalog) == 10
        fill(catalog, 5, start=10)
        assert image_count(catalog) == 15


def test_the_revision_of_a_rollback_journal_catalog_changes_with_each_commit(network_folder: Path) -> None:
    with closing(Catalog(network_folder)) as catalog:
        fill(catalog, 1)
        seen = {catalog.revision()}
        assert catalog.revision() in seen
        fill(catalog, 1, 50)
        assert catalog.revision() not in seen
