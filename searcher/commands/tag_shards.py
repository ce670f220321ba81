"""`searcher tag --parquet`: its options, and how it labels the photos in the files that `searcher embed` wrote."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from searcher.commands import suggestions
from searcher.commands.common import Command, note, plural, reporting
from searcher.commands.labelled import print_photos, print_report
from searcher.commands.scale_extra import needs_scale
from searcher.errors import Failure, SearcherError

if TYPE_CHECKING:
    from searcher.library import Question

SHOWN_FAILURES = 5


def shards_options(command: Command) -> Command:
    """Add the options --parquet, --engine, --address and --model to a command."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--parquet",
            shell_complete=suggestions.folders_of_disk,
            metavar="DIR",
            help="Label the photos in the Parquet files in DIR, a path or a URI, instead of a library.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            help="With --parquet: work on this machine (local, the default), or on a Ray cluster.",
        ),
        click.option(
            "--address", help="With --engine ray: the cluster, or `auto`.  [default: start Ray on this machine]"
        ),
        click.option(
            "--model",
            metavar="NAME|DIR",
            shell_complete=suggestions.models_or_folders,
            help="With --parquet: where the model is that made the files, if it has moved.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def refuse(options: Mapping[str, object]) -> None:
    """Raise a UsageError if one of these options was given: name → value."""
    if used := next((name for name, value in options.items() if value), None):
        raise click.UsageError(f"--parquet cannot be combined with {used}.")


def tag_shards(
    where: str,
    question: "Question",
    model: str | None,
    engine: str | None,
    address: str | None,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> None:
    """Label the photos, and print the counts or the photos. Raises SearcherError if a shard could not be tagged."""
    if address is not None and engine != "ray":
        raise click.UsageError("--address needs --engine ray.")
    if not where:
        raise click.UsageError("--parquet is empty: name a folder, or . for the current one.")
    with needs_scale("searcher tag --parquet"):
        from searcher.scale.engine import Cluster
        from searcher.scale.tagging import tag_shards as tag
        from searcher.scale.tagging import tagged_photos

        cluster = Cluster(address) if engine == "ray" else None
        with reporting("Tagging", quiet) as progress:
            report = tag(where, question, model, cluster, progress)
    if as_json or as_csv:
        print_photos(tagged_photos(where, {failure.path for failure in report.failures}), as_json, as_csv)
    elif not quiet:
        print_report(report.tags)
    for failure in report.failures[1:SHOWN_FAILURES]:
        note(_told(failure), quiet)
    if report.failures:
        count = plural(len(report.failures), "shard")
        raise SearcherError(f"{count} could not be tagged: {_told(report.failures[0])}")


def _told(failure: Failure) -> str:
    """A file and its error. Some errors begin with the path."""
    return failure.error if failure.error.startswith(failure.path) else f"{failure.path}: {failure.error}"
