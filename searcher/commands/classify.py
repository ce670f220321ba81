"""`searcher classify`: labels for loose photos."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import library_option, model_option, note, plural, quiet_option, show_path
from searcher.commands.labelled import csv_option, json_lines_option, print_photos, question_options, warn_of
from searcher.errors import SearcherError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from searcher.models import Model
    from searcher.tagger.loose import Classified
    from searcher.tagger.question import Question
    from searcher.tagger.scorer import Taught


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
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
    model: str | None,
    library_dir: Path | None,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> None:
    """Say which labels PHOTOS show; they need not be in a library.

    The model is your library's, where there is one, and then labels that you taught it can be asked for, too.
    """
    if as_json and as_csv:
        raise click.UsageError("Say either --json or --csv, not both.")
    if labels is None:
        raise click.UsageError("Say which labels, as in: searcher classify photo.jpg --labels cat,dog,car.")

    from searcher.tagger import ask
    from searcher.tagger.loose import classify

    question = ask(labels, one, top)
    for photo in photos:
        if not photo.is_file():
            raise SearcherError(f"no such file: {photo}" if not photo.is_dir() else f"{photo} is a folder: name photos")
    opened, taught = _model(question, model, library_dir)
    warn_of(question, opened, quiet)
    print_photos(_readable(classify(opened, question, photos, taught), len(photos)), as_json, as_csv)


def _readable(photos: "Iterable[Classified]", count: int) -> "Iterator[Classified]":
    """Those that could be read; the others are named. SearcherError when none could."""
    failed = 0
    for photo in photos:
        if photo.error is None:
            yield photo
            continue
        failed += 1
        if failed == count:
            raise SearcherError(f"cannot read {photo.path}: {photo.error}")
        note(f"{show_path(photo.path)}: {photo.error}")
    if failed:
        note(f"{plural(failed, 'photo')} of {count:,} could not be read")


def _model(question: "Question", name: str | None, library_dir: Path | None) -> "tuple[Model, dict[str, Taught]]":
    """The model that is asked for, else the library's with what it was taught, else that of new libraries."""
    from searcher.library import Library
    from searcher.models import Model
    from searcher.models.store import default_name

    if name is not None:
        return Model.open(name), {}
    with Library.open(library_dir, create=True) as library:
        if not library.exists or library.reader().model() is None:
            return Model.open(default_name()), {}
        from searcher.tagger.run import taught_labels

        return library.model, taught_labels(library, question)
