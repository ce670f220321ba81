"""What the commands share: options, progress, JSON, and how paths and numbers are printed."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Progress = Callable[[int, int | None], None]

library_option = click.option(
    "--library",
    "library_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The library (default: $SEARCHER_LIBRARY, ./index_data in a checkout, else your data folder).",
)
model_option = click.option(
    "--model",
    metavar="NAME|DIR",
    help="The model to use: a name from `searcher models list`, or a model folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks; errors only.")


def print_json(document: Any, indent: int | None = 2) -> None:
    """Print one JSON document as UTF-8; a byte that is not UTF-8 becomes its surrogate's escape (\\udcXX).

    Without `indent` it is one line.
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent, default=str)
    click.echo(re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text))


def note(message: str, quiet: bool = False) -> None:
    """A remark for the person at the terminal, on stderr."""
    if not quiet:
        click.secho(message, err=True, fg="yellow")


def show_path(path: str) -> str:
    """A path for the screen: whatever would move the cursor or break the line is shown escaped."""
    return re.sub("[\x00-\x1f\x7f-\x9f]", lambda match: f"\\x{ord(match[0]):02x}", path)


def show_bytes(count: float) -> str:
    """1536 → '1.5 kB' (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    """plural(1, 'photo') → '1 photo'; plural(1200, 'photo') → '1,200 photos'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar with the time left on stderr, as a callable (done, total); None where nobody looks at it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def update(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield update
