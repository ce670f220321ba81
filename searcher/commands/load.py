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
from searcher.commands.scale_extra import needs_scale


@click.command()
@click.argument("source", metavar="DIR")
@click.option(
    "--to",
    metavar="URL",
    help="Load into a collection in Milvus: milvus://HOST:19530/NAME, or milvus:FILE.db/NAME for Milvus Lite.",
)
@library_option
@json_option
@quiet_option
def command(source: str, to: str | None, library_dir: Path | str | None, as_json: bool, quiet: bool) -> None:
    """Add what `searcher embed` wrote into DIR to a library. DIR is a folder, or a URI such as s3://bucket/folder.

    The photos are not read, and need not be on this machine. Those that the library has already are skipped, so you can
    run this command again at any time. If you press Ctrl-C, completed work is kept.

    DIR and the library must have the same model. A new library gets the model of DIR. If a file in DIR is damaged, the
    others are loaded, and the exit code is 1.

    With --to, the photos go into a collection on a Milvus server, which holds far more of them. Then name it with
    --library in the commands search, tag, tags and serve. Put a token into the environment variable
    SEARCHER_MILVUS_TOKEN.
    """
    if not source:
        raise click.UsageError("DIR is empty: name a folder, or . for the current one.")
    if to is not None:
        if library_dir is not None:
            raise click.UsageError("--to and --library exclude each other: choose one.")
        _load_into_milvus(source, to, as_json, quiet)
        return
    if isinstance(library_dir, str):
        raise click.UsageError("--library names a folder here: name a collection in Milvus with --to.")
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


def _load_into_milvus(source: str, to: str, as_json: bool, quiet: bool) -> None:
    with needs_scale("searcher load --to"):
        from searcher.scale.milvus.loading import load_folder
    with reporting("Loading", quiet) as progress:
        report = load_folder(source, to, progress)
    for file in report.damaged:
        note(file.error)
    counts = report.as_dict()
    if as_json:
        print_json(counts)
    elif not quiet:
        parts = [f"{counts[name]:,} {name}" for name in ("added", "replaced", "failed") if counts[name]]
        known = f", and {report.skipped:,} had been loaded before" if report.skipped else ""
        click.echo(
            f"{', '.join(parts) or 'No photos'} from {plural(report.shards, 'Parquet file')}{known} "
            f"({report.seconds:.1f} s)"
        )
    if report.damaged:
        raise click.exceptions.Exit(1)
