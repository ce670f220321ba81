"""`searcher completion`: real shells complete a line that a person types."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Program
from tests.keyboard import terminal
from tests.programs import needs

LABELS = ["golden retriever", 'Anna\'s "dog"', "place: Köln", "a,b $HOME *", "狗"]
STARTS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": 'bind "set enable-bracketed-paste off"; PS1="rea""dy> "; eval "$(searcher completion bash)"',
    "zsh": 'PS1="rea""dy> "; autoload -U compinit; compinit -D -u; eval "$(searcher completion zsh)"',
    "fish": 'function fish_prompt; echo -n "rea""dy> "; end; searcher completion fish | source',
}


@pytest.fixture
def library(program: Program, photos: Callable[..., Path], tmp_path: Path) -> Program:
    """A library of a folder with a space in its name, with LABELS. `searcher` and `show` are on the path."""
    folder = photos(1, "my photos")
    program.json("index", folder)
    program.json("tag", folder / "000.jpg", *(word for label in LABELS for word in ("--add", label)))
    programs = tmp_path / "bin"
    programs.mkdir()
    searcher = programs / "searcher"
    searcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m searcher "$@"\n')
    show = programs / "show"
    show.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'import sys; print(sys.argv[1:])' \"$@\"\n")
    for file in (searcher, show):
        file.chmod(0o755)
    program.environment.update(PATH=f"{programs}:{program.environment['PATH']}", LC_ALL="C.UTF-8")
    return program


def offers(program: Program, line: str, shell: str = "fish", library: Path | None = None) -> list[str]:
    """What a shell is told about a line. Nothing may be printed on stderr."""
    chosen = {} if library is None else {"SEARCHER_LIBRARY": str(library)}
    done = program(cwd=program.home, _SEARCHER_COMPLETE=shell, COMP_LINE=line, **chosen)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def completed(program: Program, shell: str, lines: list[str]) -> list[str]:
    """The arguments that a shell passes for each of `lines`, after its last word was completed with the Tab key."""
    needs(shell)
    found = []
    with terminal(STARTS[shell], program.environment, program.home) as shown:
        shown.type(SETUP[shell] + "\r")
        shown.expect(r"ready> ")
        for line in lines:
            # `show` instead of `searcher` prints the words that the shell makes of the line
            shown.type(f"{line}\t")
            shown.type("\x01show \r")
            found.append(shown.expect(r"[\n\r](\['.*'\])\r")[1])
    return found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_and_quotes(library: Program, shell: str) -> None:
    folder = str(library.home.parent / "my photos")
    lines = {
        "searcher dupl": ["searcher", "duplicates"],
        "searcher search --orient": ["searcher", "search", "--orientation"],
        "searcher search --tag gol": ["searcher", "search", "--tag", "golden retriever"],
        "searcher search --tag=gol": ["searcher", "search", "--tag=golden retriever"],
        "searcher search --tag Ann": ["searcher", "search", "--tag", LABELS[1]],
        "searcher search --tag place:": ["searcher", "search", "--tag", LABELS[2]],
        "searcher search --not-tag a,": ["searcher", "search", "--not-tag", LABELS[3]],
        "searcher teach 狗": ["searcher", "teach", "狗"],
        f"searcher forget {folder[:-6].replace(' ', chr(92) + ' ')}": ["searcher", "forget", folder],
        "searcher models info buil": ["searcher", "models", "info", "builtin"],
    }

    assert completed(library, shell, list(lines)) == [str(words) for words in lines.values()]


def test_bash_completes_inside_quotes_and_file_names(library: Program) -> None:
    (library.home / "a cat.jpg").touch()
    lines = {
        'searcher search --tag "gol': ["searcher", "search", "--tag", "golden retriever"],
        "searcher search --tag 'Ann": ["searcher", "search", "--tag", LABELS[1]],
        'searcher search --tag "a,b': ["searcher", "search", "--tag", LABELS[3]],
        "searcher search --like a": ["searcher", "search", "--like", "a cat.jpg"],
        "searcher tag --labels 'golden retriever,place": [
            *("searcher", "tag", "--labels", "golden retriever,place: Köln")
        ],
        "searcher tag --labels @coc": ["searcher", "tag", "--labels", "@coco"],
    }
    assert completed(library, "bash", list(lines)) == [str(words) for words in lines.values()]


def test_offers_depend_on_what_was_typed_before(library: Program, photos: Callable[..., Path]) -> None:
    other = library.home / "other"
    library.json("index", photos(1, "others"), "--library", other)
    assert offers(library, "searcher search --tag ") == [f"plain,{label}" for label in sorted(LABELS)]
    assert offers(library, f"searcher search --library {other} --tag ") == []
    assert offers(library, f"searcher forget --library {other} ")[0].endswith("/others")
    assert [line.split("\t")[0] for line in offers(library, "searcher models ")][:2] == ["plain,bench", "plain,default"]
    assert offers(library, "searcher search --sort ") == ["plain,time", "plain,relevance"]
    assert offers(library, "searcher search --sheet ") == ["file,"]
    assert "--and" in "".join(offers(library, 'searcher search "a dog\'s bowl" --'))
    assert offers(library, "searcher search a ") == []


def test_a_library_that_cannot_be_read_is_no_error(library: Program, tmp_path: Path) -> None:
    line = "searcher search --tag "
    catalog = library.home / "library" / "catalog.sqlite"
    for folder in (tmp_path / "nowhere", tmp_path / "bin" / "show"):
        assert offers(library, line, library=folder) == []
    code = f"import sqlite3\nc = sqlite3.connect({str(catalog)!r})\nc.execute('PRAGMA journal_mode=DELETE')\n"
    code += "c.execute('BEGIN EXCLUSIVE')\nprint('locked', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None
        locker.stdout.readline()
        assert offers(library, line) == []
        locker.kill()
    catalog.write_bytes(b"not a catalog")
    assert offers(library, line) == []
    assert offers(library, line, shell="nonsense") == []


def test_completion_loads_nothing_heavy(library: Program) -> None:
    code = "import sys\nfrom searcher.commands import main\ntry:\n    main()\nfinally:\n    print(*sys.modules)"
    for line in ("searcher se", "searcher search --tag gol", "searcher search --model b", "searcher forget /"):
        environment = library.environment | {"_SEARCHER_COMPLETE": "bash", "COMP_LINE": line}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
        assert not loaded & {"onnxruntime", "faiss", "sqlalchemy", "PIL", "rich", "tokenizers", "torch"}


def test_an_unknown_shell_is_wrong_usage(program: Program) -> None:
    assert "nonsense" in program.fails("completion", "nonsense", code=2)
