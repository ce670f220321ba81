"""`searcher tags`: lists the labels."""

from pathlib import Path

import click

from searcher.commands.common import json_option, library_option, note, print_json, quiet_option
from searcher.commands.labelled import SOURCE_NOTES, print_counts, sources_option

SHOWN_LABELS = 50


@click.command()
@click.option("--all", "show_all", is_flag=True, help=f"List all labels instead of only the first {SHOWN_LABELS}.")
@sources_option
@library_option
@json_option
@quiet_option
def command(
    show_all: bool, sources: tuple[str, ...], library_dir: Path | str | None, as_json: bool, quiet: bool
) -> None:
    """List the labels and the number of photos that have each. Copies of a photo count once.

    A label that photos have from several sources has a line for each source.
    """
    from searcher.filters import Filter
    from searcher.library import Library

    with Library.open(library_dir) as library:
        counts = library.label_counts(Filter(sources=sources))
    if as_json:
        print_json([count._asdict() for count in counts])
        return
    print_counts(
        [(count.label + SOURCE_NOTES.get(count.source, ""), count.photos) for count in counts],
        None if show_all else SHOWN_LABELS,
    )
    if not counts and sources:
        note("No photo has a label from this source.", quiet)
    elif not counts:
        note("No photo has a label yet. Start with: searcher tag --labels cat,dog,car", quiet)
