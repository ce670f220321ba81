"""Tests how the program starts, how it ends, and how it reports errors."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Program
from tests.pictures import draw

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["search", "--help"], ["search", ""]])
def test_all_three_ways_to_start_the_program_give_the_same_output(program: Program, arguments: list[str]) -> None:
    ways = [
        [sys.executable, str(CHECKOUT / "cli.py")],
        [sys.executable, "-m", "searcher"],
        [str(Path(sys.executable).with_name("searcher"))],
    ]
    runs = [
        subprocess.run(way + arguments, capture_output=True, env=program.environment, cwd=program.home) for way in ways
    ]
    outcomes = {(run.returncode, run.stdout, run.stderr) for run in runs}
    assert len(outcomes) == 1, outcomes


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["search", "a cat"], 1, "searcher index"),
        (["search", "--like", "/nowhere.jpg"], 1, "searcher index"),
        (["status"], 1, "searcher index"),
        (["check"], 1, "searcher index"),
        (["index"], 1, "searcher index"),
        (["forget", "/nowhere"], 1, "searcher index"),
        (["index", "/nowhere"], 1, "/nowhere"),
        (["search", ""], 2, "search for"),
        (["search", "  "], 2, "search for"),
        (["search"], 2, "search for"),
        (["search", "--like", "cat.jpg", "--min-relevance", "0.5"], 2, "description"),
        (["search", "a cat", "--top", "-1"], 2, "--top"),
        (["search", "a cat", "--nonsense"], 2, "--nonsense"),
        (["nonsense"], 2, "nonsense"),
        (["forget"], 2, "FOLDER"),
    ],
)
def test_a_mistake_without_a_library_is_one_line_and_creates_no_files(
    program: Program, arguments: list[str], code: int, says: str
) -> None:
    assert says in program.fails(*arguments, code=code)
    assert list(program.home.iterdir()) == []


def test_a_mistake_with_a_library_is_one_line_and_changes_nothing(
    program: Program, photos: Callable[..., Path]
) -> None:
    folder = photos(3)
    program.json("index", folder)
    assert "/nowhere.jpg" in program.fails("search", "--like", "/nowhere.jpg", code=1)
    assert "nosuch" in program.fails("index", folder, "--model", "nosuch", code=1)
    assert "nosuch" in program.fails("search", "a cat", "--model", "nosuch", code=1)
    assert "/nowhere" in program.fails("index", "/nowhere", code=1)
    assert "/nowhere" in program.fails("forget", "/nowhere", code=1)
    note = program.home / "note.jpg"
    note.write_text("not a picture")
    assert "note.jpg" in program.fails("search", "--like", note, code=1)
    assert program.json("status")["images"] == 3


def test_an_unknown_model_is_refused_before_a_library_is_created(program: Program, photos: Callable[..., Path]) -> None:
    folder = photos(1)
    assert "nosuch" in program.fails("index", folder, "--model", "nosuch", code=1)
    assert list(program.home.iterdir()) == []


def test_an_empty_folder_is_not_an_error(program: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = program("index", tmp_path / "empty")
    assert (done.returncode, done.stdout) == (0, "No photos found.\n")
    assert program.json("search", "a cat") == []
    done = program("search", "a cat")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No photos" in done.stderr


def test_a_damaged_catalog_is_refused(program: Program) -> None:
    library = program.home / "library"
    library.mkdir()
    (library / "catalog.sqlite").write_bytes(b"this is not a database" * 100)
    assert str(library) in program.fails("search", "a cat", code=1)
    assert str(library) in program.fails("status", code=1)


def test_json_errors_leave_stdout_empty(program: Program) -> None:
    program.fails("search", "a cat", "--json", code=1)
    program.fails("status", "--json", code=1)


def test_a_sheet_that_cannot_be_written_leaves_stdout_empty(program: Program, photos: Callable[..., Path]) -> None:
    program.json("index", photos(3))
    program.fails("search", "a cat", "--json", "--sheet", f"{'x' * 300}.jpg", code=1)


def test_the_library_option_overrides_the_environment_variable(program: Program, photos: Callable[..., Path]) -> None:
    other = program.home / "other"
    program.json("index", photos(2), "--library", other)
    assert program.json("status", "--library", other)["library"] == str(other)
    program.fails("status", code=1)


def test_quiet_prints_no_messages(program: Program, photos: Callable[..., Path]) -> None:
    folder = photos(2)
    done = program("index", folder, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = program("search", "qwertz uiop", "--quiet")
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


def at_a_terminal(program: Program, *arguments: str) -> tuple[str, str]:
    """Run the program with a terminal as stderr. Returns what it printed on stdout and on the terminal."""
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "searcher", *arguments],
        env=program.environment | {"TERM": "xterm-256color", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=end,
    )
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):  # reading raises OSError when the process has closed the terminal
        while chunk := os.read(terminal, 4096):
            shown += chunk
    os.close(terminal)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    return out.decode(), shown.decode()


def test_a_terminal_shows_progress_with_the_remaining_time(program: Program, photos: Callable[..., Path]) -> None:
    folder = photos(100)
    out, shown = at_a_terminal(program, "index", str(folder), "--json")
    assert json.loads(out)["added"] == 100
    assert "100/100" in shown
    assert re.search(r"\d:\d\d:\d\d", shown)
    draw(folder / "more.jpg", 1000)
    assert at_a_terminal(program, "index", str(folder), "--quiet") == ("", "")


def test_a_closed_output_pipe_is_not_an_error(program: Program, photos: Callable[..., Path]) -> None:
    program.json("index", photos(20))
    for tail in ([], ["--json"]):
        search = subprocess.Popen(
            [sys.executable, "-m", "searcher", "search", "blue", "--top", "20", "-q", *tail],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=program.environment,
        )
        assert search.stdout and search.stderr
        search.stdout.close()
        assert search.stderr.read() == b""
        assert search.wait(60) == 0


def images_in(library: Path) -> int:
    """Count the images with SQLite. Opening a Library takes so long on a busy machine that the run could be over."""
    try:
        with closing(sqlite3.connect(f"file:{library / 'catalog.sqlite'}?mode=ro", uri=True)) as catalog:
            return int(catalog.execute("SELECT count(*) FROM images").fetchone()[0])
    except sqlite3.OperationalError:  # there is no catalog yet
        return 0


@pytest.mark.slow
def test_ctrl_c_keeps_completed_work_and_the_next_run_continues(program: Program, photos: Callable[..., Path]) -> None:
    folder = photos(800)
    index = subprocess.Popen(
        [sys.executable, "-m", "searcher", "index", str(folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=program.environment,
        # A shell makes its background jobs ignore Ctrl-C, and their child processes inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while images_in(program.home / "library") == 0 and index.poll() is None:
        time.sleep(0.01)
    assert index.poll() is None, "the run ended before it could be interrupted"
    os.kill(index.pid, signal.SIGINT)
    out, err = index.communicate(timeout=60)
    assert index.returncode == 130, (out, err)
    assert out == b""
    assert err.decode().strip().startswith("Interrupted") and err.count(b"\n") == 1

    done = program.json("status")["images"]
    assert 0 < done < 800
    assert program.json("check")["ok"]
    report = program.json("index", folder)
    assert (report["added"], report["unchanged"], report["failed"]) == (800 - done, done, 0)


def test_the_program_works_without_a_terminal_and_without_a_locale(
    program: Program, photos: Callable[..., Path]
) -> None:
    folder = photos(2, "bücher")
    bare: dict[str, Any] = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = program("index", os.fsencode(folder), **bare)
    assert done.returncode == 0, done.stderr
    done = program("search", "blue", **bare)
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout


def test_roots_lists_the_folders_and_moves_them(program: Program, photos: Callable[..., Path], tmp_path: Path) -> None:
    folder = photos(3)
    program.json("index", folder, "--exclude", "*.png", "--hidden")
    expected: dict[str, Any] = {"missing": False, "images": 3, "failed": 0, "whole": True}
    expected |= {"exclude": ["*.png"], "hidden": True, "follow_links": False, "raw": None}
    assert program.json("roots") == [{"path": str(folder)} | expected]
    assert program("roots").stdout == f"{folder}  3 photos, --exclude '*.png' --hidden\n"
    new = tmp_path / "moved"
    folder.rename(new)
    assert program("roots").stdout.endswith("(missing)\n")
    assert "no indexed folder" in program.fails("roots", "move", tmp_path / "typo", new, code=1)
    assert program.json("roots", "move", folder, new) == [{"old": str(folder), "new": str(new)}]
    assert program.json("index")["unchanged"] == 3
    assert "name the folder" in program.fails("index", "--hidden", code=2)
    assert program("check", "--photos").stdout == "3 photos compared\nThe library has no problems.\n"
    status = (new / "001.jpg").stat()
    (new / "001.jpg").write_bytes(bytes(status.st_size))
    os.utime(new / "001.jpg", ns=(status.st_mtime_ns, status.st_mtime_ns))
    done = program("check", "--photos", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["photos"]["changed"] == [str(new / "001.jpg")]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_watch_follows_a_folder_and_ends_cleanly(program: Program, photos: Callable[..., Path], how: int) -> None:
    folder = photos(3)
    process = subprocess.Popen(
        [sys.executable, "-m", "searcher", "watch", folder, "--json"],
        env=program.environment,
        cwd=program.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["added"] == 3
    assert json.loads(process.stdout.readline())["unchanged"] == 3
    draw(folder / "new.jpg", 77)
    assert json.loads(process.stdout.readline())["added"] == 1
    assert any(hit["path"] == str(folder / "new.jpg") for hit in program.json("search", "a cat"))
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "Stopped. Completed work is kept.\n")
    assert program.json("index")["unchanged"] == 4


def test_export_and_restore_say_what_they_did(program: Program, photos: Callable[..., Path]) -> None:
    folder = photos(3)
    program.json("index", folder)
    program("teach", "Rex", folder / "001.jpg")
    counts = {"roots": 1, "tags": 0, "waiting": 0, "taught": 1}
    assert program.json("export", "backup.json") == counts
    assert "written to backup.json" in program("export", "backup.json").stdout
    assert "no such file" in program.fails("restore", "typo.json", code=1)
    other = ("--library", program.home / "other")
    assert program("restore", "backup.json", *other).stdout == "0 tags, 1 taught label and 1 folder restored\n"
    assert program.json("index", *other)["added"] == 3
    assert program.json("status", *other)["images"] == 3
