"""Shared by the commands: options, progress on the terminal, and how JSON, tables, texts and numbers are printed."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from searcher.commands import suggestions
from searcher.filters.uri import is_uri
from searcher.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from searcher.library import Hit

Command = TypeVar("Command", bound=Callable[..., Any])

PIPE_WIDTH = 10_000  # characters of a table's line that does not go to a terminal

# Line separators, and characters that turn the direction of what follows, inside a regular expression.
_MISLEADING = "\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069"


class FilePath(click.Path):
    """A path of a file or folder, as a Path. An empty text is refused: it would mean the current folder."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) == "" or value == b"":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


class PathOrUri(FilePath):
    """As FilePath. A URI, such as s3://bucket/folder, stays as it is written: a Path would have one slash."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if isinstance(value, str) and is_uri(value) else super().convert(value, param, ctx)


class LibraryPlace(FilePath):
    """As FilePath. The address of a library in Milvus stays as it is written."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from searcher.library import is_address

        return value if isinstance(value, str) and is_address(value) else super().convert(value, param, ctx)


library_option = click.option(
    "--library",
    "library_dir",
    type=LibraryPlace(),
    shell_complete=suggestions.folders_of_disk,
    metavar="DIR",
    help="Library folder, or address of a Milvus collection (default: $SEARCHER_LIBRARY, or ./index_data in a "
    "checkout, or your user data folder).",
)
model_option = click.option(
    "--model",
    metavar="NAME|DIR",
    shell_complete=suggestions.models_or_folders,
    help="A name from `searcher models list`, or a folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print no progress and no messages except errors.")


def print_json(document: Any, indent: int | None = 2) -> None:
    """Print one JSON document as UTF-8. A byte that is not valid UTF-8 becomes an escaped surrogate (\\udcXX).

    If `indent` is None, the document is one line.
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent, default=str)
    click.echo(re.sub(f"[\x7f-\x9f{_MISLEADING}\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text))


def note(message: str, quiet: bool = False) -> None:
    """Print a message for the user on stderr, with control characters escaped."""
    if not quiet:
        click.secho(printable(message), err=True, fg="yellow")


def printable(text: str) -> str:
    """Escape control characters in a path or a message: it stays on its line, and reads in the order of its letters."""
    return re.sub(f"[\x00-\x1f\x7f-\x9f{_MISLEADING}]", _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def show_bytes(count: float) -> str:
    """Format a number of bytes with powers of 1000: show_bytes(1536) → '1.5 kB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def why_missing(folder: str) -> str:
    """A remark about an indexed folder that is not there."""
    uri = is_uri(folder)
    return click.style("  (not on this machine)" if uri else "  (missing)", fg="yellow")


def hit_number(hit: "Hit") -> str:
    """The relevance of a hit in per cent, or its score if it has none."""
    return f"{hit.score:.3f}" if hit.relevance is None else f"{hit.relevance:>4.0%}"


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: plural(1, 'photo') → '1 photo', plural(1200, 'photo') → '1,200 photos'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, bars: bool = False) -> None:
    """Print a table. The first column is aligned to the left, the others to the right.

    bars: the last column is a bar. Without any column names there is no header. On a terminal that is too narrow the
    first column is folded. A pipe gets each row on one line.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=any(columns))
    for number, column in enumerate(columns):
        is_bar = bars and number == len(columns) - 1
        widest = max(len(cell) for cell in (column, *(row[number] for row in rows)))
        table.add_column(
            column,
            justify="left" if number == 0 or is_bar else "right",
            style="cyan" if is_bar else None,
            no_wrap=number > 0,
            overflow="fold",
            min_width=widest if number else None,
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(highlight=False, width=width, color_system="auto" if width is None else None)
    with console.capture() as printed:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


class Terminal(Progress):
    """Shows progress as a bar with the remaining time, and notices as lines, on stderr.

    No bar is shown if `quiet` is set or stderr is not a terminal. No notices are shown if `quiet` is set.
    """

    def __init__(self, quiet: bool, bar: "tuple[Bar, TaskID] | None" = None) -> None:
        self.quiet, self._bar = quiet, bar

    def advance(self, done: int, total: int | None) -> None:
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, completed=done, total=total)

    def notice(self, message: str) -> None:
        note(message, self.quiet)


@contextmanager
def reporting(title: str, quiet: bool) -> Iterator[Terminal]:
    """What long work reports to, for as long as the block runs."""
    if quiet or not sys.stderr.isatty():
        yield Terminal(quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Terminal(quiet, (bar, bar.add_task(title, total=None)))
