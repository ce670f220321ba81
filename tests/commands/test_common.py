"""Behaviour that all commands share: exit codes, one-line errors, JSON, and how paths are printed."""

import json
import os
import re
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.commands import main
from searcher.commands.common import plural, print_json, print_table, printable, reporting, show_bytes
from searcher.errors import SearcherError


def run(monkeypatch: pytest.MonkeyPatch, body: Callable[[], Any], *arguments: str) -> int:
    """Replace the command `status` by `body`, run it, and return the exit code."""
    module = types.ModuleType("searcher.commands.status")
    module.command = click.Command("status", callback=body)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "searcher.commands.status", module)
    with pytest.raises(SystemExit) as ended:
        main.main(args=["status", *arguments])
    return int(ended.value.code or 0)


def raising(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            SearcherError("No library here.\nStart with index."),
            1,
            "Error: No library here. Start with index.",
        ),
        (OSError(28, "No space left on device", b"/x/\xff.jpg"), 1, "Error: No space left on device: /x/"),
        (click.UsageError("An empty query."), 2, "Error: An empty query."),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_an_error_prints_one_line_on_stderr_and_sets_the_exit_code(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, raising(error)) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.strip().startswith(line)
    assert err.strip().count("\n") == 0


def test_ctrl_c_inside_the_import_of_a_native_module_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def body() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    assert run(monkeypatch, body) == 130
    assert capfd.readouterr().err.count("\n") == 1


def test_an_unexpected_exception_is_one_line_that_says_it_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, raising(ZeroDivisionError("by zero"))) == 1
    err = capfd.readouterr().err
    assert err.startswith("Error: internal error: ZeroDivisionError: by zero") and err.count("\n") == 1


def test_an_unknown_option_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, lambda: None, "--nonsense") == 2
    assert "--nonsense" in capfd.readouterr().err


def test_a_command_that_returns_exits_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, lambda: None) == 0


@given(st.binary(max_size=40) | st.text("a\x7f\x9b\u2028\u202e").map(str.encode))
def test_json_of_any_file_name_is_utf8_and_keeps_its_bytes(name: bytes) -> None:
    path = os.fsdecode(name)
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr(click, "echo", printed.append)
        print_json([path])
    assert not re.search("[\x7f-\x9f\u2028\u202e]", printed[0])
    document = printed[0].encode("utf-8")  # raises if a surrogate is left
    assert os.fsencode(json.loads(document)[0]) == name


@given(st.text(max_size=40))
def test_a_printed_path_is_one_line_without_control_characters(path: str) -> None:
    shown = printable(path)
    assert not set(shown) & {chr(code) for code in [*range(32), *range(127, 160)]}
    assert printable("/a/ü 東京 👨‍👩‍👧.jpg") == "/a/ü 東京 👨‍👩‍👧.jpg"
    assert printable("photo\u202egpj.exe \u2028 next") == "photo\\u202egpj.exe \\u2028 next"


def test_numbers_are_formatted_with_units_and_plurals() -> None:
    assert [show_bytes(n) for n in (0, 999, 1500, 25_000_000, 3e15)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "25.0 MB",
        "3000.0 TB",
    ]
    assert [plural(n, "photo") for n in (0, 1, 1200)] == ["0 photos", "1 photo", "1,200 photos"]


def test_no_progress_bar_is_shown_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting("Indexing", quiet=False) as progress:  # under pytest, stderr is not a terminal
        progress.advance(40, 100)
    assert capsys.readouterr().err == ""


def test_notices_are_escaped_lines_on_stderr_unless_quiet_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet, line in ((False, "a folder\\x1b[2J is missing\n"), (True, "")):
        with reporting("Indexing", quiet) as progress:
            progress.notice("a folder\x1b[2J is missing")
        assert capsys.readouterr().err == line


def test_the_progress_bar_shows_the_progress(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "terminal").open("w+", encoding="utf-8") as terminal:
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stderr", terminal)
        with reporting("Indexing", quiet=False) as progress:
            progress.advance(0, None)
            progress.advance(40, 100)
            with progress.phase("Arranging vectors") as phase:
                phase.advance(70, 500)
                phase.notice("this takes minutes")
                until = time.monotonic() + 30
                while "70/500" not in Path(terminal.name).read_text(encoding="utf-8") and time.monotonic() < until:
                    time.sleep(0.05)  # bars are drawn ten times a second
            progress.advance(50, 100)
        terminal.seek(0)
        shown = terminal.read()
    # a bar of its own, below that of the photos
    assert re.search("Indexing.*40/100.*Arranging vectors.*70/500", shown, re.DOTALL)
    assert re.search("Indexing.*50/100", shown) and "this takes minutes" in shown


def test_a_table_in_a_pipe_has_one_whole_row_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "size"), [("x" * 200, "1 MB"), ("y\x1b", "23 MB")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["name", "size"], ["x" * 200, "1", "MB"], ["y\\x1b", "23", "MB"]]
    print_table(("", "", ""), [("dog", "4", "████"), ("cat", "1", "█"), ("car", "0", "")], bars=True)
    assert capsys.readouterr().out.splitlines() == ["dog  4  ████", "cat  1  █", "car  0"]


@pytest.mark.parametrize("arguments", [["--debug", "status"], ["status", "--debug"]])
def test_debug_prints_the_traceback_and_keeps_the_exit_code(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    module = types.ModuleType("searcher.commands.status")
    module.command = click.Command("status", callback=raising(SearcherError("no library")))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "searcher.commands.status", module)
    with pytest.raises(SystemExit) as ended:
        main.main(args=arguments)
    err = capfd.readouterr().err
    assert ended.value.code == 1
    assert "Traceback" in err and err.endswith("Error: no library\n")


def every_command(group: click.Group, path: str = "searcher") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        child = group.get_command(click.Context(group), name)
        assert child is not None
        yield f"{path} {name}", child
        if isinstance(child, click.Group):
            yield from every_command(child, f"{path} {name}")


def test_every_command_accepts_debug() -> None:
    for path, child in every_command(main):
        assert any("--debug" in parameter.opts for parameter in child.params), path
