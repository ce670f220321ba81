"""`searcher check`: is the library sound?"""

from pathlib import Path

import click

from searcher.commands.common import json_option, library_option, print_json, show_path


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be derived again (the index, from the catalog).")
@library_option
@json_option
def command(repair: bool, library_dir: Path | None, as_json: bool) -> None:
    """Check the catalog, the vector index and how they fit together.

    Ends with 1 when a problem is left.
    """
    from searcher.library import Library

    with Library.open(library_dir) as library:
        report = library.check(repair=repair)
    if as_json:
        print_json(report.as_dict())
    else:
        for problem in report.problems:
            click.echo(show_path(problem))
        for problem in report.repaired:
            click.echo(f"mended: {show_path(problem)}")
        click.echo("The library is sound." if report.ok else "The library has problems.")
    if not report.ok:
        raise click.exceptions.Exit(1)
