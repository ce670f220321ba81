"""`searcher classify`: labels photos that need not be in a library."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import FilePath, Terminal, library_option, model_option, note, plural, quiet_option
from searcher.commands.labelled import (
    check_question,
    csv_option,
    json_lines_option,
    print_photos,
    question_options,
)
from searcher.errors import NotFound, SearcherError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from searcher.library import Classified


@click.command()
@click.argument("photos", nargs=-1, required=True, type=FilePath())
@question_options
@model_option
@library_option
@json_lines_option
@csv_option
@quiet_option
def command(
    photos: tuple[Path, ...],
    labels: str | None,
    one: bool,
    top: int | None,
    min_relevance: float | None,
    model: str | None,
    library_dir: Path | str | None,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> None:
    """Print the labels of PHOTOS. They need not be in a library.

    If there is a library, its model is used by default, and --labels can include labels that you taught it.
    """
    if as_json and as_csv:
        raise click.UsageError("Use either --json or --csv, not both.")
    if labels is None:
        raise click.UsageError("Give the labels, for example: searcher classify photo.jpg --labels cat,dog,car.")

    check_question(one, min_relevance)

    from searcher.library import Library

    question = Library.ask(labels, one=one, top=top, min_relevance=min_relevance)
    for photo in photos:
        if not photo.is_file():
            raise NotFound(
                f"no such file: {photo}" if not photo.is_dir() else f"{photo} is a folder; name photo files instead"
            )
    with Library.open(library_dir, create=True) as library:
        found = library.classify(question, photos, model=model, progress=Terminal(quiet))
        print_photos(_readable(found, len(photos)), as_json, as_csv)


def _readable(photos: "Iterable[Classified]", count: int) -> "Iterator[Classified]":
    """Yield the photos that could be read, and report the others. Raises SearcherError if none could be read."""
    failed = 0
    for photo in photos:
        if photo.error is None:
            yield photo
            continue
        failed += 1
        if failed == count:
            raise SearcherError(f"cannot read {photo.path}: {photo.error}")
        note(f"{photo.path}: {photo.error}")
    if failed:
        note(f"{plural(failed, 'photo')} of {count:,} could not be read")
