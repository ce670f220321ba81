"""`searcher check`: checks the library for errors."""

from pathlib import Path

import click

from searcher.commands.common import json_option, library_option, plural, print_json, printable, reporting


@click.command()
@click.option("--repair", is_flag=True, help="Build the FAISS files again, and remove damaged embeddings.")
@click.option("--photos", is_flag=True, help="Also read all photos, and list those that are not what was indexed.")
@library_option
@json_option
def command(repair: bool, photos: bool, library_dir: Path | str | None, as_json: bool) -> None:
    """Check the catalog and the vector index, and whether they match.

    With --photos, photos are found that a disk or a program has damaged or changed although their size and time are
    the same.

    Exits with code 1 if a problem remains.
    """
    from searcher.library import Library

    with Library.open(library_dir) as library, reporting("Checking", quiet=not photos) as progress:
        report = library.check(repair=repair, photos=photos, progress=progress)
    if as_json:
        print_json(report.as_dict())
    else:
        for problem in report.problems:
            click.echo(printable(problem))
        for problem in report.repaired:
            click.echo(f"repaired: {printable(problem)}")
        if report.photos is not None:
            skipped = report.photos.skipped
            rest = f", {skipped:,} missing or changed since they were indexed" if skipped else ""
            click.echo(f"{plural(report.photos.compared, 'photo')} compared{rest}")
        click.echo("The library has no problems." if report.ok else "The library has problems.")
        if report.advice is not None:
            click.echo(report.advice)
    if not report.ok:
        raise click.exceptions.Exit(1)
