"""`searcher forget`: removes a folder from the library."""

from pathlib import Path

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    Terminal,
    json_option,
    library_option,
    plural,
    print_json,
    printable,
    quiet_option,
)


@click.command()
@click.argument("folder", type=FilePath(), shell_complete=suggestions.indexed_folders)
@library_option
@json_option
@quiet_option
def command(folder: Path, library_dir: Path | str | None, as_json: bool, quiet: bool) -> None:
    """Remove FOLDER and all data about its photos from the library. The photos are not deleted."""
    from searcher.library import Library

    with Library.open(library_dir) as library:
        count = library.forget(folder, Terminal(quiet))
    if as_json:
        print_json({"forgotten": count})
    elif not quiet:
        click.echo(f"Removed {plural(count, 'photo')} in {printable(str(folder))} from the library.")
