"""`searcher roots`: lists the indexed folders, and moves them."""

from pathlib import Path

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    json_option,
    library_option,
    plural,
    print_json,
    printable,
    reporting,
    why_missing,
)


@click.group(invoke_without_command=True)
@library_option
@json_option
@click.pass_context
def command(context: click.Context, library_dir: Path | str | None, as_json: bool) -> None:
    """List the indexed folders, with their options and the number of photos in them.

    To say that a folder is now at another path, use `searcher roots move`.
    """
    if context.invoked_subcommand is not None:
        return
    from searcher.library import Library, describe_options

    with Library.open(library_dir) as library:
        folders = library.folders()
    if as_json:
        print_json([folder.as_dict() for folder in folders])
        return
    if not folders:
        click.echo("No folder is indexed. Add one with: searcher index FOLDER")
    for folder in folders:
        parts = [plural(folder.images, "photo")]
        parts += [f"{folder.failed:,} failed"] if folder.failed else []
        parts += [] if folder.whole else ["single files only"]
        parts += [describe_options(folder.options)] if describe_options(folder.options) else []
        missing = why_missing(folder.path) if folder.missing else ""
        click.echo(f"{printable(folder.path)}  {printable(', '.join(parts))}{missing}")


@command.command("move")
@click.argument("old", type=FilePath(), shell_complete=suggestions.indexed_folders)
@click.argument("new", type=FilePath(), shell_complete=suggestions.folders_of_disk)
@library_option
@json_option
def move_command(old: Path, new: Path, library_dir: Path | str | None, as_json: bool) -> None:
    """Say that the indexed folder OLD, or all indexed folders below it, are now at NEW.

    Use it after a mount point has changed or a folder was renamed. No photo is embedded again. A sample of the photos
    is compared with what was indexed, and if they differ, nothing is changed.
    """
    from searcher.library import Library

    with Library.open(library_dir) as library, reporting("Comparing", quiet=False) as progress:
        moved = library.move_folder(old, new, progress)
    if as_json:
        print_json([{"old": was, "new": now} for was, now in moved])
        return
    for was, now in moved:
        click.echo(f"{printable(was)} is now {printable(now)}")
