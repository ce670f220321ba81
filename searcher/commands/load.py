"""`searcher load`: takes in what `searcher embed` wrote."""

from pathlib import Path

import click

from searcher.commands.common import (
    json_option,
    library_option,
    note,
    plural,
    print_json,
    quiet_option,
    reporting,
)


@click.command()
@click.argument("source", metavar="DIR")
@library_option
@json_option
@quiet_option
def command(source: str, library_dir: Path | None, as_json: bool, quiet: bool) -> None:
    """Add what `searcher embed` wrote into DIR to a library. DIR is a folder, or a URI such as s3://bucket/folder.

    The photos are not read, and need not be on this machine. Those that the library has already are skipped, so you can
    run this command again at any time. If you press Ctrl-C, completed work is kept.

    DIR and the library must have the same model. A new library gets the model of DIR. If a file in DIR is damaged, the
    others are loaded, and the exit code is 1.
    """
    if not source:
        raise click.UsageError("DIR is empty: name a folder, or . for the current one.")
    from searcher.library import Library

    with Library.open(library_dir, create=True) as library, reporting("Loading", quiet) as progress:
        report = library.load(source, progress)
    for file in report.damaged:
        note(file.error)
    counts = report.as_dict()
    if as_json:
        print_json(counts)
    elif not quiet:
        parts = [f"{counts[name]:,} {name}" for name in ("added", "changed", "unchanged", "failed") if counts[name]]
        click.echo(
            f"{', '.join(parts) or 'No photos'} from {plural(report.shards, 'Parquet file')} ({report.seconds:.1f} s)"
        )
        if report.failed:
            click.echo("List the failed photos with: searcher status --failed")
    if report.damaged:
        raise click.exceptions.Exit(1)
