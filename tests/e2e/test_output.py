"""How hits look in a real terminal, and in a pipe."""

import csv
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import Program
from tests.terminals import SIXEL, Shown, run_in_terminal

LINK = re.compile(r"\x1b]8;;(file://[^\x1b]*)\x1b\\(.*?)\x1b]8;;\x1b\\")


def in_terminal(program: Program, *arguments: str, answer: bytes | None = None, **environment: str) -> Shown:
    hidden = {"NO_COLOR", "TMUX", "STY", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "FORCE_HYPERLINK"}
    own = {key: value for key, value in program.environment.items() if key not in hidden}
    return run_in_terminal([sys.executable, "-m", "searcher", *arguments], own | environment, answer)


def test_a_terminal_shows_links_bars_and_thumbnails_and_a_pipe_shows_none(
    program: Program, photos: Callable[..., Path]
) -> None:
    folder = photos(2)
    os.rename(os.fsencode(folder / "001.jpg"), os.fsencode(folder / "a b") + b"\xe9.jpg")  # noqa: PTH104
    assert program("index", folder).returncode == 0

    shown = in_terminal(program, "search", "a red wall", "--preview", answer=SIXEL, TERM="xterm-256color")
    assert shown.code == 0 and shown.bytes.count(b"\x1bP0;0;0q") == 2
    lines = [line for line in shown.text.splitlines() if "photos/" in line]
    links = [found for line in lines if (found := LINK.search(line)) is not None]
    assert len(links) == 2
    assert {link[1].rpartition("/")[2] for link in links} == {"000.jpg", "a%20b%E9.jpg"}
    assert all("\x1b[2m" in link[2] for link in links)
    assert all(re.search(r"\d%", line) for line in lines)

    piped = program("search", "a red wall", "--preview", TERM="xterm-kitty", KITTY_WINDOW_ID="1", FORCE_HYPERLINK="1")
    assert "\x1b" not in piped.stdout
    assert all(re.fullmatch(r"\d  +\d+%  /.*\.jpg", line) for line in piped.stdout.splitlines())
    assert piped.stderr.startswith("No previews: the output does not go to a terminal.\n")

    shown = in_terminal(program, "search", "--name", "*", "--preview", TERM="xterm-kitty")
    assert shown.bytes.count(b"\x1b_Ga=T,f=100,q=2") == 2
    assert b"\x1b[c" not in shown.bytes  # a terminal that is known is not asked


def test_other_programs_get_paths_and_tables_and_the_viewer_gets_the_first_hit_or_the_sheet(
    program: Program, photos: Callable[..., Path], tmp_path: Path
) -> None:
    folder = photos(2)
    os.rename(os.fsencode(folder / "001.jpg"), os.fsencode(folder / "b") + b"\xe9.jpg")  # noqa: PTH104
    assert program("index", folder).returncode == 0
    opened, page = tmp_path / "opened", tmp_path / "found.html"
    (tmp_path / "bin").mkdir()
    for name in ("xdg-open", "open"):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nprintf "%s" "$1" > {opened}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"

    done = program("search", "--name", "*", "--paths", "--open", PATH=path)
    paths = os.fsencode(done.stdout).splitlines()
    assert set(paths) == {os.fsencode(folder / "000.jpg"), os.fsencode(folder) + b"/b\xe9.jpg"}
    assert opened.read_bytes() == paths[0]

    done = program("search", "--name", "*", "--csv", "--open", "--sheet", page, PATH=path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [os.fsencode(row["path"]) for row in rows] == paths
    assert [list(row) for row in rows] == [[*hit] for hit in program.json("search", "--name", "*")]
    assert opened.read_text() == str(page)
    assert page.read_text(encoding="utf-8").count("<img ") == 2
