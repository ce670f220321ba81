"""Temporary files of killed processes are removed. Those that another process writes are not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from searcher.sidecars import remove_leftovers, update_sidecar

LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def locked_by_a_process(folder: Path) -> Iterator[Path]:
    """A temporary file that another process holds a lock on, until that process is killed at the end."""
    path = folder / ".searcher-0123456789abcdef.tmp"
    path.write_bytes(b"half")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline() == b"locked\n"
        yield path
        process.kill()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    with locked_by_a_process(tmp_path) as path:
        yield path


def test_an_abandoned_temporary_file_is_removed_and_a_locked_one_stays(tmp_path: Path, locked: Path) -> None:
    (tmp_path / ".searcher-fedcba9876543210.tmp").write_bytes(b"half")
    remove_leftovers(bytes(tmp_path))
    assert [*tmp_path.iterdir()] == [locked]
    assert locked.read_bytes() == b"half"


def test_the_file_of_a_process_that_was_killed_is_removed(tmp_path: Path) -> None:
    with locked_by_a_process(tmp_path) as path:
        pass
    assert path.exists()
    remove_leftovers(bytes(tmp_path))
    assert not [*tmp_path.iterdir()]


def test_other_files_and_links_stay(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    (folder / ".searcher-link.tmp").symlink_to(tmp_path / "mine.txt")
    (folder / ".searcher-folder.tmp").mkdir()
    for name in (".searcher-notes.txt", "searcher-1.tmp", "photo.jpg.xmp", ".hidden.tmp"):
        (folder / name).write_text("mine")
    before = sorted(folder.iterdir())
    remove_leftovers(bytes(folder))
    assert sorted(folder.iterdir()) == before
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_pipe_does_not_block_and_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".searcher-pipe.tmp")
    remove_leftovers(bytes(tmp_path))
    remove_leftovers(bytes(tmp_path / "absent"))


def test_a_sidecar_is_locked_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; from searcher.sidecars import remove_leftovers; remove_leftovers(sys.argv[1].encode())"
    sync = os.fsync

    def meanwhile(descriptor: int) -> None:
        subprocess.run([sys.executable, "-c", code, tmp_path], check=True, cwd=Path(__file__).parents[2])
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    update_sidecar(bytes(tmp_path / "photo.jpg.xmp"), [("animal", "dog")])
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg.xmp"]
