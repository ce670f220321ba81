"""`searcher embed`: embeds photos into Parquet files, on this machine or on a cluster."""

import click

from searcher.commands.common import (
    json_option,
    model_option,
    note,
    plural,
    print_json,
    printable,
    quiet_option,
    reporting,
)
from searcher.commands.scale_extra import needs_scale


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", required=True, metavar="DIR", help="Write the Parquet files to this folder: a path or a URI.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="local: this machine, without Ray. ray: a Ray cluster, or Ray on this machine.",
)
@click.option("--address", help="The Ray cluster to use, or `auto`.  [default: start Ray on this machine]")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Number of Ray workers.  [default: one for four cores]",
)
@click.option(
    "--gpus", type=click.IntRange(min=1), help="Start this number of workers, with a GPU each, in place of --workers."
)
@click.option("--thumbnails", is_flag=True, help="Add a column with a WebP thumbnail of 256 pixels.")
@click.option(
    "--shard-size",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Photos per file. A tar file becomes one file, whatever its size.",
)
@model_option
@json_option
@quiet_option
def command(
    sources: tuple[str, ...],
    out: str,
    engine: str,
    address: str | None,
    workers: int | None,
    gpus: int | None,
    thumbnails: bool,
    shard_size: int,
    model: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Embed the photos of SOURCE into Parquet files, called shards, for collections of millions of photos.

    \b
    SOURCE can be:
    - a photo file, or a folder of photos
    - a Parquet file with a column of image files
    - a WebDataset shard: a .tar or .tar.gz file of image files
    - a folder of Parquet or tar files
    - the same as a URI, such as s3://bucket/folder or gs://bucket/folder

    pandas, DuckDB and other programs read the shards. `searcher load` takes them into a library.

    You can run this command again at any time. It embeds only what no shard contains yet. If you press Ctrl-C, finished
    shards are kept. A photo that cannot be read becomes a row with an error.
    """
    if engine == "local" and (address, workers, gpus) != (None, None, None):
        raise click.UsageError("--address, --workers and --gpus need --engine ray.")
    if workers is not None and gpus is not None:
        raise click.UsageError("Use either --workers or --gpus, not both.")
    if not all(sources) or not out:
        raise click.UsageError("A path is empty: name a folder, or . for the current one.")
    with needs_scale("searcher embed"):
        from searcher.scale.embed import embed
        from searcher.scale.engine import Cluster

        cluster = Cluster(address, workers, gpus or 0) if engine == "ray" else None
        with reporting("Embedding", quiet) as progress:
            report = embed(
                sources,
                out,
                model=model,
                thumbnails=thumbnails,
                photos_a_shard=shard_size,
                cluster=cluster,
                progress=progress,
            )
    for line in report.notices:
        note(line, quiet)
    if as_json:
        print_json(report.as_dict())
    elif not quiet:
        click.echo(printable(_line(report.as_dict())))
        if report.failed:
            click.echo("The column `error` of the shards says why photos failed.")


def _line(counts: dict[str, float]) -> str:
    """The report on one line."""
    photos, seconds = int(counts["photos"]), counts["seconds"]
    skipped = plural(int(counts["skipped"]), "shard")
    if not photos and not counts["shards"]:
        return f"Nothing to embed: {skipped} skipped." if counts["skipped"] else "No photos found."
    parts = [f"{plural(int(counts['embedded']), 'photo')} embedded"]
    parts += [f"{int(counts['failed']):,} failed"] if counts["failed"] else []
    parts += [f"{plural(int(counts['shards']), 'shard')} written"]
    parts += [f"{skipped} skipped"] if counts["skipped"] else []
    rate = photos / seconds if seconds else 0
    speed = plural(round(rate), "photo") if rate >= 1 else f"{rate:.2f} photos"
    return f"{', '.join(parts)} ({seconds:.1f} s, {speed} per second)"
