"""What every command does alike: exit codes, one line for an error, JSON, what is printed of a path."""

import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.commands import main
from searcher.commands.common import plural, print_json, progress_bar, show_bytes, show_path
from searcher.errors import SearcherError


def run(monkeypatch: pytest.MonkeyPatch, body: Callable[[], Any], *arguments: str) -> int:
    """The exit code of a process whose command `status` does `body`."""
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
            SearcherError("No library here.\nBegin with index."),
            1,
            "Error: No library here. Begin with index.",
        ),
        (OSError(28, "No space left on device", b"/x/\xff.jpg"), 1, "Error: No space left on device: /x/"),
        (click.UsageError("An empty query."), 2, "Error: An empty query."),
        (KeyboardInterrupt(), 130, "Interrupted;"),
    ],
)
def test_an_error_is_one_line_on_stderr_and_its_exit_code(
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


def test_a_bug_is_not_dressed_up_as_an_error_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, raising(ZeroDivisionError()))


def test_an_unknown_option_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, lambda: None, "--nonsense") == 2
    assert "--nonsense" in capfd.readouterr().err


def test_a_command_that_returns_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, lambda: None) == 0


@given(st.binary(max_size=40))
def test_json_of_any_file_name_is_utf8_and_gives_back_its_bytes(name: bytes) -> None:
    path = os.fsdecode(name)
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr(click, "echo", printed.append)
        print_json([path])
    document = printed[0].encode("utf-8")  # raises where a surrogate is left
    assert os.fsencode(json.loads(document)[0]) == name


@given(st.text(max_size=40))
def test_a_path_on_the_screen_is_one_line_without_control_characters(path: str) -> None:
    shown = show_path(path)
    assert not set(shown) & {chr(code) for code in [*range(32), *range(127, 160)]}
    assert show_path("/a/ü 東京.jpg") == "/a/ü 東京.jpg"


def test_numbers_read_well() -> None:
    assert [show_bytes(n) for n in (0, 999, 1500, 25_000_000, 3e15)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "25.0 MB",
        "3000.0 TB",
    ]
    assert [plural(n, "photo") for n in (0, 1, 1200)] == ["0 photos", "1 photo", "1,200 photos"]


def test_no_bar_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Indexing", quiet=False) as progress:
        assert progress is None  # under pytest stderr is no terminal
    assert capsys.readouterr().err == ""


def test_the_bar_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "terminal").open("w+", encoding="utf-8") as terminal:
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress_bar("Indexing", quiet=False) as progress:
            assert progress is not None
            progress(0, None)
            progress(40, 100)
        terminal.seek(0)
        assert "40/100" in terminal.read()
