"""`searcher search -i`: reads queries, one per line, and keeps the library and its model open."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from searcher.commands.common import note, print_json
from searcher.commands.explaining import caused_by_interrupt, explained
from searcher.commands.reading import words_of

if TYPE_CHECKING:
    from searcher.library import Library

log = logging.getLogger(__name__)

PROMPT = "search> "
ENDS = ("exit", "quit")
HISTORY_LINES = 1000
LONGEST_KEPT = 2000  # characters of a line in the history
_NOT_KEPT = ("words", "interactive")  # parameters of the start that do not hold for each line


class Session:
    """The library that the prompt holds open, and how it was named."""

    def __init__(self, library: "Library", folder: Path | str | None, model: str | None) -> None:
        self.library, self.folder, self.model = library, folder, model


@contextmanager
def opened(folder: Path | str | None, model: str | None) -> "Iterator[Library]":
    """The library for one search: the one that the prompt holds open, or else its own."""
    from searcher.library import Library

    session = current_session()
    if session is not None and (session.folder, session.model) == (folder, model):
        yield session.library
        return
    with Library.open(folder, model=model) as library:
        yield library


def current_session() -> Session | None:
    """The session whose line is being run. None for a single search."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.find_object(Session)


def run(start: click.Context) -> None:
    """Search for each line of standard input, until it ends. `start` is the context of `searcher search -i`.

    Exits with code 1 if a search failed and nobody was at a terminal to see it.
    """
    folder, model, quiet = (start.params[name] for name in ("library_dir", "model", "quiet"))
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a path need not be UTF-8
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    failed = False
    with opened(folder, model) as library:
        if library.has_model:
            _ = library.model  # opened now, so that the first search is as fast as the others
        session = Session(library, folder, model)
        if start.params["words"]:
            failed |= not _search(start, session, list(start.params["words"]))
        if at_terminal:
            note("Describe photos, with the options of `searcher search`. Ctrl-D or `exit` ends.", quiet)
        for line in _lines_of_terminal() if at_terminal else sys.stdin or ():
            if line.strip() in ENDS:
                break
            words = words_of(line.replace("\0", " "))
            if words:
                failed |= not _search(start, session, words)
    if failed and not at_terminal:
        start.exit(1)


def _search(start: click.Context, session: Session, words: list[str]) -> bool:
    """Run one line. An error is one line on stderr, and with --json also an object on stdout. Whether it succeeded."""
    kept = {
        name: value
        for name, value in start.params.items()
        if start.get_parameter_source(name) is ParameterSource.COMMANDLINE and name not in _NOT_KEPT
    }
    as_json = start.params["as_json"]
    try:
        line = start.command.make_context(
            start.info_name, list(words), parent=start.parent, default_map=kept, obj=session
        )
        as_json = line.params["as_json"]
        with line:
            _check(line, words)
            start.command.invoke(line)
    except click.exceptions.Exit:  # after --help
        return True
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if caused_by_interrupt(error):
            if not sys.stdin.isatty():
                raise
            note("\nInterrupted." if sys.stderr.isatty() else "Interrupted.")
            return False
        log.debug("this line failed", exc_info=error)
        message, _ = explained(error)
        click.echo(f"Error: {message}", err=True)
        if as_json:
            print_json({"error": message}, indent=None)
        return False
    return True


def _check(line: click.Context, words: list[str]) -> None:
    """Raise UsageError for what a single search allows, but a line does not. Ignores another -i."""
    line.params["interactive"] = False
    if "-" in line.params["likes"]:
        raise click.UsageError("Standard input holds the queries: give --like a file.", line)
    described = list(line.params["words"])
    places = range(len(words) - len(described) + 1)
    if not any([word for word in words[place:] if word != "--"][: len(described)] == described for place in places):
        raise click.UsageError(
            f"“{described[-1]}” is apart from the other words of the description. Put quotes around the words that "
            'belong to one option, for example: a dog --and "deep snow".',
            line,
        )


def _lines_of_terminal() -> Iterator[str]:
    """The lines that a person types, with editing and history if Python has readline. Ctrl-C drops a line."""
    edits = sys.stdout.isatty()  # else Python would write the prompt to stdout
    history = _History() if edits else None
    while True:
        try:
            if edits:
                line = input(PROMPT)
            else:
                click.echo(PROMPT, nl=False, err=True)
                line = sys.stdin.readline()
                if not line:
                    raise EOFError
        except EOFError:
            click.echo(err=True)  # end the line of the prompt
            return
        except KeyboardInterrupt:
            click.echo(err=True)
            continue
        if history is not None:
            history.add(line)
        yield line


class _History:
    """The last lines that were typed, in a file that only the user can read.

    Our own file, and not readline's: each line is in it at once, several prompts can add lines, and the two libraries
    that Python calls readline have different formats. Without readline, or if the file cannot be written, there is no
    history.
    """

    def __init__(self) -> None:
        self._readline = _readline()
        self._file: Path | None = None
        self._last = ""
        if self._readline is None:
            return
        import platformdirs

        file = Path(platformdirs.user_state_dir("searcher", appauthor=False)) / "history"
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
            kept = [line for line in lines if "\0" not in line][-HISTORY_LINES:]
            if len(lines) > len(kept):
                partial = file.with_name(f".history.{os.getpid()}")
                _append(partial, kept)
                partial.replace(file)
            else:
                _append(file, [])
            self._file = file
            for line in kept:
                self._readline.add_history(line)
            self._last = kept[-1] if kept else ""

    def add(self, line: str) -> None:
        """Keep a line, unless it is blank, very long, the end, or the same as the last one."""
        line = line.strip()
        if self._readline is None or line in ("", self._last, *ENDS) or len(line) > LONGEST_KEPT or "\0" in line:
            return
        self._last = line
        self._readline.add_history(line)
        if self._file is not None:
            with suppress(OSError):
                _append(self._file, [line])


def _append(file: Path, lines: list[str]) -> None:
    """Add lines to a file that only the user can read, whatever its mode was."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as target:
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        target.write("".join(f"{line}\n" for line in lines))


def _readline() -> ModuleType | None:
    """Python's readline, which `input` uses once it is imported. None where it is missing."""
    try:
        import readline
    except ImportError:
        return None
    if hasattr(readline, "set_auto_history"):
        readline.set_auto_history(False)
    return readline
