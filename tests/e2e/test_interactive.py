"""`searcher search -i`: at a terminal, and for scripts."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Program
from tests.keyboard import terminal
from tests.pictures import draw

SEARCH = [sys.executable, "-m", "searcher", "search", "-i"]
READY = r"search> $"


@pytest.fixture
def folder(program: Program, photos: Callable[..., Path]) -> Path:
    """An indexed folder with three photos, and `below/003.jpg`."""
    folder = photos(3)
    (folder / "below").mkdir()
    draw(folder / "below" / "003.jpg", 3)
    program.json("index", folder)
    return folder


def answers(program: Program, lines: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Let a script search for `lines`."""
    command = [*SEARCH, *map(str, options)]
    return subprocess.run(
        command, input=lines, capture_output=True, text=True, env=program.environment, cwd=program.home
    )


def test_a_person_searches_edits_and_leaves(program: Program, folder: Path) -> None:
    history = program.home / ".local" / "state" / "searcher" / "history"
    with terminal(SEARCH, program.environment, program.home) as shown:
        shown.expect("Describe photos")
        shown.expect(READY)
        shown.type("a dog's bowl --top 1\r")
        shown.expect(r"\n1 .*\.jpg\S*\r\n")
        shown.expect(READY)
        shown.type("a cat --nonsense\r")
        shown.expect("Error: No such option '--nonsense'")
        shown.expect(READY)
        shown.type("a line that is dropped")
        shown.expect("dropped")
        shown.interrupt()
        shown.expect(READY)
        shown.type("\x1b[A\x1b[A")  # two lines up
        shown.type("\x01--name 001.jpg \r")  # Ctrl-A: to the beginning of the line
        shown.expect(r"\n1 .*001\.jpg\S*\r\n")
        draw(folder / "new.jpg", 9)
        program.json("index", folder)
        shown.expect(READY)
        shown.type("a cat --name new.jpg\r")
        shown.expect(r"\n1 .*new\.jpg\S*\r\n")
        shown.expect(READY)
        shown.type("\x04")  # Ctrl-D
        assert shown.exit_code() == 0
    kept = history.read_text().splitlines()
    assert kept == [
        "a dog's bowl --top 1",
        "a cat --nonsense",
        "--name 001.jpg a dog's bowl --top 1",
        "a cat --name new.jpg",
    ]
    assert history.stat().st_mode & 0o777 == 0o600
    history.write_text("".join(f"line {number}\n" for number in range(1200)))
    history.chmod(0o644)
    with terminal([*SEARCH, "--in", str(folder / "below")], program.environment, program.home) as shown:
        shown.expect(READY)
        shown.type("\x1b[A")
        shown.expect("line 1199")
        shown.type("\x15a cat\r")  # Ctrl-U: without the line
        shown.expect(r"\n1 .*below/003\.jpg\S*\r\n")
        shown.expect(READY)
        shown.type("exit\r")
        assert shown.exit_code() == 0
    kept = history.read_text().splitlines()
    assert len(kept) == 1001
    assert kept[-2:] == ["line 1199", "a cat"]
    assert history.stat().st_mode & 0o777 == 0o600


def test_a_prompt_works_without_readline_and_without_a_place_for_history(program: Program, folder: Path) -> None:
    (program.home / ".local").write_text("not a folder")
    code = "import sys\nsys.modules['readline'] = None\nfrom searcher.commands import main\nmain()"
    with terminal([sys.executable, "-c", code, "search", "-i"], program.environment, program.home) as shown:
        shown.expect(READY)
        shown.type("a cat --top 1\r")
        shown.expect(r"\n1 .*\.jpg\S*\r\n")
        shown.expect(READY)
        shown.interrupt()
        shown.expect(READY)
        shown.type("quit\r")
        assert shown.exit_code() == 0
    with terminal(SEARCH, program.environment, program.home) as shown:
        shown.expect(READY)
        shown.type("a cat --top 1\r")
        shown.expect(r"\n1 .*\.jpg\S*\r\n")
        shown.expect(READY)
        shown.type("\x04")
        assert shown.exit_code() == 0


def test_a_script_gets_one_line_for_each_query(program: Program, folder: Path) -> None:
    done = answers(program, "a cat --top 2\n\n  \na cat --in /nowhere\n'a red car'", "--json", "--top", "1")
    cat, error, car = map(json.loads, done.stdout.splitlines())
    assert (len(cat), len(car)) == (2, 1)
    assert "/nowhere" in error["error"]
    assert f"Error: {error['error']}" in done.stderr.splitlines()
    assert done.returncode == 1
    assert program.json("search", "a cat", "--top", "2") == cat


def test_options_of_the_start_hold_for_all_lines_and_a_line_can_replace_them(program: Program, folder: Path) -> None:
    below = folder / "below"
    done = answers(program, f"a dog\na dog --in {folder} --top 9\nquit\na bird\n", "a cat", "--in", below, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.endswith("below/003.jpg") for line in lines[:2]] == [True, True]
    assert len(lines) == 2 + 4


MISTAKES = {
    "a dog --and deep snow": "“snow” is apart",
    "a dog --like -": "Standard input",
    "--top 3": "Say what to search for",
    "--like /nowhere.jpg": "/nowhere.jpg",
    "a dog --library /nowhere": "/nowhere",
    "a dog --top": "--top",
    "--like a\0b.jpg": "cannot read a",
    "--like \udcff.jpg": "\udcff.jpg",
}


def test_a_mistake_in_a_line_is_one_line_and_the_next_query_works(program: Program, folder: Path) -> None:
    lines = "".join(f"{line}\n" for line in MISTAKES) + "a cat --top 1\n"
    done = subprocess.run(
        SEARCH,
        input=lines.encode(errors="surrogateescape"),
        capture_output=True,
        env=program.environment,
        cwd=program.home,
    )
    shown = done.stderr.decode(errors="surrogateescape").splitlines()
    assert len(shown) == len(MISTAKES) + 1  # nothing seems to match a cat
    for line, says in zip(shown, MISTAKES.values(), strict=False):
        assert line.startswith("Error: ")
        assert says in line
    assert len(done.stdout.splitlines()) == 1
    assert done.returncode == 1


def test_without_a_library_the_prompt_does_not_start(program: Program) -> None:
    assert "searcher index" in program.fails("search", "-i", code=1)
