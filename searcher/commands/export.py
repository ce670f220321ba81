"""`searcher export`: writes what a person has typed to a file."""

from pathlib import Path

import click

from searcher.commands.common import (
    FilePath,
    json_option,
    library_option,
    plural,
    print_json,
    printable,
    quiet_option,
)


@click.command()
@click.argument("file", type=FilePath(dir_okay=False))
@library_option
@json_option
@quiet_option
def command(file: Path, library_dir: Path | str | None, as_json: bool, quiet: bool) -> None:
    """Write labels given by hand, taught labels, and the indexed folders with their options to FILE, as JSON.

    Everything else can be made again from the photos. An earlier export in FILE is replaced.
    """
    from searcher.library import Library

    with Library.open(library_dir) as library:
        report = library.export(file)
    if as_json:
        print_json(report.as_dict())
    elif not quiet:
        click.echo(
            f"{plural(report.tags, 'tag')}, {plural(report.labels, 'taught label')} and "
            f"{plural(report.roots, 'folder')} written to {printable(str(file))}"
        )
