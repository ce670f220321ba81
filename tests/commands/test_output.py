"""The forms in which hits are printed, and what the options of the output refuse."""

import csv
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from searcher import Hit
from searcher.commands import main
from searcher.commands.duplicates import print_groups
from searcher.commands.hits import COLUMNS, print_csv, print_paths, show_hits
from searcher.commands.opening import open_file, viewer
from searcher.commands.output_options import Output
from searcher.commands.terminal import NoPictures, Previews, bar, file_uri, linked, shows_links
from searcher.errors import SearcherError
from searcher.search.duplicates import DuplicateGroup, DuplicatePhoto

FILE_NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name).map(lambda name: b"/" + name)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Calling it makes stdout a terminal without a name. (Before the test, pytest would replace it again.)"""
    for name in ("TERM", "VTE_VERSION", "FORCE_HYPERLINK", "NO_COLOR", "TMUX", "STY", "TERM_PROGRAM", "LC_TERMINAL"):
        monkeypatch.delenv(name, raising=False)
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as stdout:  # noqa: PTH123 (a descriptor)
        yield lambda: monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.undo()
    os.close(ours)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--csv"], "--json and --csv are two forms of the output"),
        (["--csv", "--paths"], "--csv and --paths are two forms"),
        (["--json", "--null", "--paths"], "--json and --null are two forms"),
        (["--preview", "--null"], "leave out --preview or --null"),
        (["--sheet", "found.gif"], "ends in .jpg, .jpeg, .png, .webp or .html, not 'found.gif'"),
        (["--sheet", ""], "the path is empty"),
    ],
)
def test_options_that_contradict_one_another_are_wrong_usage(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["search", "a cat", *arguments])
    assert done.exit_code == 2
    assert message in done.output
    if arguments[0] != "--preview":
        assert CliRunner().invoke(main, ["duplicates", *arguments]).exit_code == 2


@given(st.lists(FILE_NAMES, max_size=5))
def test_null_separates_the_bytes_of_all_paths(names: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[bytes] = []
        patch.setattr(click, "echo", lambda text, nl: printed.append(text))
        print_paths([os.fsdecode(name) for name in names], null=True)
    assert printed[0].split(b"\0") == [*names, b""]


@given(st.lists(FILE_NAMES, max_size=5))
def test_each_path_is_one_line(names: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr(click, "echo", printed.append)
        print_paths([os.fsdecode(name) for name in names], null=False)
    lines = [os.fsencode(line) for line in printed]
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert all(line == name for line, name in zip(lines, names, strict=True) if b"\n" not in name and b"\r" not in name)


@given(FILE_NAMES, st.text("ab,;\"'\n", max_size=9))
def test_csv_can_be_read_again_with_the_bytes_of_each_path(name: bytes, label: str) -> None:
    path = os.fsdecode(name)
    hit = Hit(1, 7, path, ("/a.jpg", "/b,c.jpg"), 0.25, None, None, ("dog", label))
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr(click, "echo", printed.append)
        print_csv(COLUMNS, [hit.as_dict()])
    header, row = csv.reader(io.StringIO(printed[0], newline=""))
    assert tuple(header) == COLUMNS == tuple(hit.as_dict())
    assert row == ["1", "7", path, "/a.jpg;/b,c.jpg", "0.25", "", "", f"dog;{label}"]
    assert os.fsencode(row[2]) == name


@given(FILE_NAMES)
def test_a_link_holds_the_bytes_of_its_path_in_printable_ascii(name: bytes) -> None:
    uri = file_uri(os.fsdecode(name))
    assert uri.isascii() and uri.isprintable() and " " not in uri
    assert uri.startswith("file://")
    assert unquote_to_bytes(urlsplit(uri).path) == name


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "4801"}, False),
        ({"TERM": "xterm-256color", "FORCE_HYPERLINK": "0"}, False),
        ({"TERM": "linux", "FORCE_HYPERLINK": "1"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "eterm-color"}, False),
        ({}, False),
    ],
)
def test_paths_are_links_in_terminals_that_can(
    environment: dict[str, str], shown: bool, terminal: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert shows_links() is shown
    assert linked("/a b.jpg", "a b.jpg").endswith("/a%20b.jpg\x1b\\a b.jpg\x1b]8;;\x1b\\") is shown


def test_a_pipe_gets_no_links_and_no_bars(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_HYPERLINK", "1")
    show_hits([Hit(1, 1, "/a.jpg", (), 0.3, 0.794, None, ())])
    assert capsys.readouterr().out == "1   79%  /a.jpg\n"
    with pytest.raises(NoPictures, match="does not go to a terminal"):
        Previews()


def test_a_bar_is_as_long_as_the_relevance(monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], None]) -> None:
    terminal()
    assert [bar(share) for share in (0, 0.01, 0.5, 0.794, 1)] == ["     ", "     ", "██▌  ", "████ ", "█████"]
    monkeypatch.setenv("TERM", "linux")
    assert [bar(share) for share in (0, 0.5, 0.794, 1)] == [".....", "##...", "####.", "#####"]
    monkeypatch.delenv("TERM")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert bar(1) == "#####"


def test_a_dumb_terminal_shows_no_pictures(monkeypatch: pytest.MonkeyPatch, terminal: Callable[[], None]) -> None:
    terminal()
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(NoPictures, match="this terminal shows no pictures"):
        Previews()


def fake_viewer(folder: Path, script: str) -> None:
    program = folder / ("open" if sys.platform == "darwin" else "xdg-open")
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("name", ["plain.jpg", "-rf $(touch hacked); `touch hacked` '\" & %20\n.jpg", "caf\udce9.jpg"])
def test_the_viewer_gets_exactly_the_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_viewer(tmp_path, 'printf "%s|" "$#" "$1" > given')
    open_file(f"/photos/{name}")
    assert (tmp_path / "given").read_bytes() == b"1|" + os.fsencode(f"/photos/{name}") + b"|"
    assert not (tmp_path / "hacked").exists()


def test_without_a_viewer_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(main, ["search", "a cat", "--open"], standalone_mode=False)
    assert isinstance(done.exception, SearcherError) and "--open needs the program" in str(done.exception)
    assert done.output == ""
    fake_viewer(tmp_path, "exit 3")
    assert Path(viewer()).parent == tmp_path
    with pytest.raises(SearcherError, match=r"cannot open /photos/a\.jpg: the system has no viewer for it"):
        open_file("/photos/a.jpg")


def test_duplicates_as_paths_are_the_photos_besides_those_to_keep_and_as_csv_all_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    others = (DuplicatePhoto(2, "/b.jpg", 0.97), DuplicatePhoto(3, "/c,d.jpg", 0.91))
    groups = [
        DuplicateGroup("near", 1, "/a.jpg", others),
        DuplicateGroup("exact", 4, "/e.jpg", (DuplicatePhoto(5, "/f.jpg", 1.0),)),
    ]
    print_groups(groups, Output("null"))
    assert capsys.readouterr().out == "/b.jpg\0/c,d.jpg\0/f.jpg\0"
    print_groups(groups[:1], Output("csv"))
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "group,kind,keep,path,similarity"
    assert rows == ["1,near,1,/a.jpg,1.0", "1,near,0,/b.jpg,0.97", '1,near,0,"/c,d.jpg",0.91']
