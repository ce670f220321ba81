"""`searcher forget`: take a folder out of the library."""

from pathlib import Path

import click

from searcher.commands.common import json_option, library_option, plural, print_json, quiet_option, show_path


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@library_option
@json_option
@quiet_option
def command(folder: Path, library_dir: Path | None, as_json: bool, quiet: bool) -> None:
    """Take FOLDER and all that is known of its photos out of the library. The photos stay where they are."""
    from searcher.library import Library

    with Library.open(library_dir) as library:
        count = library.forget(folder)
    if as_json:
        print_json({"forgotten": count})
    elif not quiet:
        click.echo(f"Forgot {plural(count, 'photo')} of {show_path(str(folder))}.")
