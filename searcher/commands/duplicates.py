"""`searcher duplicates`: lists photos that are copies of one another."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    library_option,
    note,
    plural,
    print_json,
    printable,
    quiet_option,
    reporting,
)
from searcher.commands.hits import print_csv, print_paths
from searcher.commands.output_options import Output, check_output, finish_output, output_options
from searcher.commands.terminal import linked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searcher.library import DuplicateGroup

COLUMNS = ("group", "kind", "keep", "path", "similarity")
"""Of --csv: one row for each photo. keep: 1 for the photo to keep, else 0."""


@click.command()
@click.option(
    "--in",
    "folder",
    type=FilePath(),
    shell_complete=suggestions.indexed_folders,
    metavar="FOLDER",
    help="Compare only the photos in FOLDER.",
)
@output_options("sheet", "paths", "null", "as_csv", "as_json")
@library_option
@quiet_option
def command(folder: Path | None, output: Output, library_dir: Path | str | None, quiet: bool) -> None:
    """List photos that are copies of one another: the same bytes, or resized, recompressed or cropped a little.

    The first photo of each group is the one to keep: the one with the most pixels, or else the sharpest. Nothing is
    deleted. --paths and --null print the other photos, without those to keep.
    """
    check_output(output)

    from searcher.library import Library

    with Library.open(library_dir) as library, reporting("Comparing", quiet) as progress:
        groups = library.duplicates(folder, progress)

    if output.sheet is not None and groups:  # before the groups: after an error, stdout is empty
        draw_sheet(output.sheet, groups)
    print_groups(groups, output)
    if not groups:
        note("No duplicates were found.", quiet)
    elif output.form == "list":
        more = sum(len(group.others) for group in groups)
        note(f"{plural(len(groups), 'group')}, with {plural(more, 'photo')} besides those to keep.", quiet)
    if groups:
        finish_output(output, groups[0].keep, quiet)


def print_groups(groups: "Sequence[DuplicateGroup]", output: Output) -> None:
    """Print groups in the form that the options ask for."""
    if output.form == "json":
        print_json([group.as_dict() for group in groups])
    elif output.form == "csv":
        print_csv(COLUMNS, [row for number, group in enumerate(groups, start=1) for row in _rows(number, group)])
    elif output.form == "list":
        show_groups(groups)
    else:
        print_paths([other.path for group in groups for other in group.others], null=output.form == "null")


def _rows(number: int, group: "DuplicateGroup") -> "list[dict[str, object]]":
    photos = [(1, group.keep, 1.0), *((0, other.path, other.similarity) for other in group.others)]
    return [dict(zip(COLUMNS, (number, group.kind, *photo), strict=True)) for photo in photos]


def show_groups(groups: "Sequence[DuplicateGroup]") -> None:
    """Print a block of lines for each group: the photo to keep, then the others with their similarity."""
    for number, group in enumerate(groups):
        if number:
            click.echo()
        click.echo(f"{group.kind:<5}  keep   {linked(group.keep, printable(group.keep))}")
        for other in group.others:
            similarity = click.style(f"{other.similarity:.3f}", fg="cyan")
            click.echo(f"       {similarity}  {linked(other.path, printable(other.path))}")


def draw_sheet(path: Path, groups: "Sequence[DuplicateGroup]") -> None:
    """Draw a contact sheet with one row for each group, and save it at `path`."""
    from searcher.drawing.page import save_sheet
    from searcher.drawing.sheet import SheetCell, SheetRow

    rows = []
    for group in groups:
        others = [SheetCell(other.path, f"{other.similarity:.3f}") for other in group.others]
        rows.append(
            SheetRow(f"{group.kind}: {plural(len(others) + 1, 'photo')}", [SheetCell(group.keep, "keep"), *others])
        )
    save_sheet(rows, path)
