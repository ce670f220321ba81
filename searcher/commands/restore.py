"""`searcher restore`: adds what `searcher export` wrote to a library."""

from pathlib import Path

import click

from searcher.commands.common import (
    FilePath,
    Terminal,
    json_option,
    library_option,
    note,
    plural,
    print_json,
    quiet_option,
)


@click.command()
@click.argument("file", type=FilePath(dir_okay=False))
@library_option
@json_option
@quiet_option
def command(file: Path, library_dir: Path | str | None, as_json: bool, quiet: bool) -> None:
    """Add the labels given by hand, taught labels and folders in FILE to the library. What is there already stays.

    After that, `searcher index` embeds the photos of the folders. Tags wait until their photos are found.
    """
    from searcher.library import Library

    with Library.open(library_dir, create=True) as library:
        report = library.restore(file, Terminal(quiet))
    for line in report.notices:
        note(line, quiet)
    if as_json:
        print_json(report.as_dict())
        return
    if quiet:
        return
    click.echo(
        f"{plural(report.tags, 'tag')}, {plural(report.labels, 'taught label')} and "
        f"{plural(report.roots, 'folder')} restored"
    )
    if report.waiting:
        click.echo(
            f"{plural(report.waiting, 'tag')} for photos that are not indexed yet. Index them with: searcher index"
        )
