"""`searcher check`: checks the library for errors."""

from pathlib import Path

import click

from searcher.commands.common import json_option, library_option, print_json, printable


@click.command()
@click.option("--repair", is_flag=True, help="Build the FAISS file again, and remove damaged embeddings.")
@library_option
@json_option
def command(repair: bool, library_dir: Path | None, as_json: bool) -> None:
    """Check the catalog and the vector index, and whether they match.

    Exits with code 1 if a problem remains.
    """
    from searcher.library import Library

    with Library.open(library_dir) as library:
        report = library.check(repair=repair)
    if as_json:
        print_json(report.as_dict())
    else:
        for problem in report.problems:
            click.echo(printable(problem))
        for problem in report.repaired:
            click.echo(f"repaired: {printable(problem)}")
        click.echo("The library has no problems." if report.ok else "The library has problems.")
        if report.advice is not None:
            click.echo(report.advice)
    if not report.ok:
        raise click.exceptions.Exit(1)
