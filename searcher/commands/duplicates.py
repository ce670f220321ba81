"""`searcher duplicates`: lists photos that are copies of one another."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    json_option,
    library_option,
    note,
    plural,
    print_json,
    printable,
    quiet_option,
    reporting,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searcher.library import DuplicateGroup


@click.command()
@click.option(
    "--in",
    "folder",
    type=FilePath(),
    shell_complete=suggestions.indexed_folders,
    metavar="FOLDER",
    help="Compare only the photos in FOLDER.",
)
@click.option(
    "--sheet",
    type=FilePath(),
    metavar="FILE.jpg",
    help="Also draw the groups as a contact sheet, one row a group. Other files are never overwritten.",
)
@library_option
@json_option
@quiet_option
def command(folder: Path | None, sheet: Path | None, library_dir: Path | None, as_json: bool, quiet: bool) -> None:
    """List photos that are copies of one another: the same bytes, or resized, recompressed or cropped a little.

    The first photo of each group is the one to keep: the one with the most pixels, or else the sharpest. Nothing is
    deleted.
    """
    if sheet is not None:
        from searcher.drawing.saving import check_target

        check_target(sheet)

    from searcher.library import Library

    with Library.open(library_dir) as library, reporting("Comparing", quiet) as progress:
        groups = library.duplicates(folder, progress)

    if sheet is not None and groups:  # before the groups: after an error, stdout is empty
        draw_sheet(sheet, groups)
    if as_json:
        print_json([group.as_dict() for group in groups])
    else:
        show_groups(groups)
    if not groups:
        note("No duplicates were found.", quiet)
    elif not as_json:
        more = sum(len(group.others) for group in groups)
        note(f"{plural(len(groups), 'group')}, with {plural(more, 'photo')} besides those to keep.", quiet)
    if sheet is not None and groups:
        note(f"Contact sheet: {sheet.absolute()}", quiet)


def show_groups(groups: "Sequence[DuplicateGroup]") -> None:
    """Print a block of lines for each group: the photo to keep, then the others with their similarity."""
    for number, group in enumerate(groups):
        if number:
            click.echo()
        click.echo(f"{group.kind:<5}  keep   {printable(group.keep)}")
        for other in group.others:
            click.echo(f"       {click.style(f'{other.similarity:.3f}', fg='cyan')}  {printable(other.path)}")


def draw_sheet(path: Path, groups: "Sequence[DuplicateGroup]") -> None:
    """Draw a contact sheet with one row for each group, and save it at `path`."""
    from searcher.drawing.sheet import SheetCell, SheetRow, contact_sheet

    rows = []
    for group in groups:
        others = [SheetCell(other.path, f"{other.similarity:.3f}") for other in group.others]
        rows.append(
            SheetRow(f"{group.kind}: {plural(len(others) + 1, 'photo')}", [SheetCell(group.keep, "keep"), *others])
        )
    contact_sheet(rows, path)
