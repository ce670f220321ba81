"""How the hits of a search are printed and drawn."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import hit_number, note, plural, print_json, printable
from searcher.commands.interactive import current_session
from searcher.commands.output_options import Output
from searcher.commands.terminal import NoPictures, Previews, bar, linked
from searcher.filters.uri import is_uri

if TYPE_CHECKING:
    from searcher.library import Hit, Library

COLUMNS = ("rank", "id", "path", "copies", "score", "relevance", "taken_at", "tags")
"""Of --csv: the fields of a hit, as in --json."""


def print_hits(
    library: "Library",
    hits: "Sequence[Hit]",
    output: Output,
    *,
    dates: bool = False,
    numbers: bool = True,
    quiet: bool = False,
) -> None:
    """Print hits in the form that the options ask for. dates, numbers: what the lines of the list hold."""
    if output.form == "json":
        print_json([hit.as_dict() for hit in hits], indent=None if current_session() else 2)
    elif output.form == "csv":
        print_csv(COLUMNS, [hit.as_dict() for hit in hits])
    elif output.form == "list":
        previews = _previews(library, quiet) if output.preview else None
        show_hits(hits, dates, numbers, previews)
    else:
        print_paths([hit.path for hit in hits], null=output.form == "null")


def show_hits(
    hits: "Sequence[Hit]",
    dates: bool = False,
    numbers: bool = True,
    preview: "Callable[[Hit], bytes] | None" = None,
) -> None:
    """Print one line per hit: its rank, its relevance or else its score, the date, and the path.

    Also the number of other paths with the same photo. On a terminal, the path is a link, the relevance is also a bar,
    and hits that do not seem to match are dimmed. preview: the bytes that show a photo in the terminal, below its line.
    """
    from searcher.models.relevance import FITS

    width = len(str(len(hits)))
    bars = sys.stdout.isatty() and any(hit.relevance is not None for hit in hits)
    for hit in hits:
        folder, slash, name = printable(hit.path).rpartition("/")
        copies = click.style(f"  (+ {plural(len(hit.copies), 'other path')})", dim=True) if hit.copies else ""
        unlikely = (hit.relevance is not None and hit.relevance < FITS) or None  # False would print a code
        path = linked(hit.path, click.style(folder + slash, dim=True) + click.style(name, dim=unlikely))
        shown = f"{hit_number(hit)} {bar(hit.relevance or 0)}" if bars else hit_number(hit)
        number = click.style(shown, fg="cyan", dim=unlikely) + "  " if numbers else ""
        date = f"{(hit.taken_at or 'no date')[:10]:<10}  " if dates else ""
        click.echo(f"{hit.rank:>{width}}  {number}{date}{path}{copies}")
        if preview is not None:
            click.echo(preview(hit))  # the line break ends the last line of the picture


def print_paths(paths: Sequence[str], null: bool) -> None:
    """Print paths as their bytes on disk, one a line or each with a NUL after it, and nothing else.

    On lines, a line break in a name is escaped. On a terminal, so are all control characters.
    """
    if null:
        click.echo(b"".join(os.fsencode(path) + b"\0" for path in paths), nl=False)
        return
    for path in paths:
        click.echo(printable(path) if sys.stdout.isatty() else path.replace("\r", "\\x0d").replace("\n", "\\x0a"))


def print_csv(columns: Sequence[str], rows: "Sequence[dict[str, object]]") -> None:
    """Print a table as CSV with a header. A list is one cell, joined by ";", and None is an empty one."""
    lines = [_csv_line(columns)]
    for row in rows:
        cells = (row[column] for column in columns)
        lines.append(_csv_line([";".join(cell) if isinstance(cell, list) else cell for cell in cells]))
    click.echo("\n".join(map(printable, lines) if sys.stdout.isatty() else lines))


def _csv_line(cells: "Sequence[object]") -> str:
    import csv

    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # with this end, it also quotes a \r
    return text.getvalue().removesuffix("\r\n")


def _previews(library: "Library", quiet: bool) -> "Callable[[Hit], bytes] | None":
    """What shows the photo of a hit in the terminal. None, with a message, if the terminal shows no pictures."""
    from searcher.errors import NotFound

    try:
        previews = Previews()
    except NoPictures as error:
        note(str(error), quiet)
        return None

    def preview(hit: "Hit") -> bytes:
        try:
            return previews.bytes_of(library.thumbnail(hit.id, previews.size))
        except NotFound as error:
            return os.fsencode(printable(f"   no preview: {error}"))

    return preview


def draw_sheet(path: Path, title: str, hits: "Sequence[Hit]", library: "Library") -> None:
    """Draw a contact sheet of the hits, and save it at `path`."""
    from searcher.drawing.page import save_sheet
    from searcher.drawing.sheet import SheetCell, SheetRow
    from searcher.errors import NotFound

    def picture(hit: "Hit") -> bytes | None:
        """What the library has of a photo whose file is not on this machine."""
        if not is_uri(hit.path):
            return None
        try:
            return library.thumbnail(hit.id, 512)
        except NotFound:
            return None

    cells = [SheetCell(hit.path, hit_number(hit).strip(), picture(hit)) for hit in hits]
    save_sheet([SheetRow(title, cells)], path)
