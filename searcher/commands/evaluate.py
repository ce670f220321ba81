"""`searcher evaluate`: measures a model on class folders, or on pairs of photos and captions."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import (
    FilePath,
    json_option,
    note,
    plural,
    print_json,
    print_table,
    quiet_option,
    reporting,
)
from searcher.errors import SearcherError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searcher.errors import Failure
    from searcher.evaluate import Retrieval, ZeroShot
    from searcher.models import Model

SHOWN_FAILURES = 5


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA", type=FilePath())
@click.option(
    "--templates",
    metavar="FILE|TEXT|bare",
    help="Prompt templates with {} for the name: a file with one template per line, a single template, `bare` (the "
    "name alone), or `ensemble` (templates of the CLIP paper; the default).",
)
@click.option(
    "--labels",
    metavar="LABELS",
    help="Choose among these labels instead of the folder names: a,b,c, a file, or a label set such as @imagenet.",
)
@click.option("--confusion", type=FilePath(), metavar="FILE.png", help="Also draw a confusion matrix.")
@json_option
@quiet_option
def command(
    model: str,
    data: Path,
    templates: str | None,
    labels: str | None,
    confusion: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the quality of MODEL on DATA. The model sees no labelled examples.

    If DATA is a folder of class folders, each named after what its photos show, this prints the zero-shot top-1 and
    top-5 accuracy.

    If DATA contains pairs, this prints recall@1, 5 and 10, from text to image and from image to text. Pairs are a CSV,
    TSV or JSON-lines file of (image, caption), or a folder of photos with a .txt file next to each.

    Photos are decoded, embedded and rounded in the same way as by `searcher index`.
    """
    from searcher.datasets import ENSEMBLE, ClassFolder, Source, read_labels, read_templates
    from searcher.evaluate import ZeroShot, read_data, retrieval, zero_shot
    from searcher.models import Model

    if confusion is not None:
        _check_picture(confusion)
    asked = read_templates(templates) if templates is not None else ENSEMBLE
    chosen = read_labels(labels) if labels is not None else None
    opened = Model.open(model)
    found = read_data(data)
    for remark in found.remarks:
        note(remark, quiet)
    if isinstance(found, Source) and (templates is not None or labels is not None or confusion is not None):
        raise click.UsageError(
            "--templates, --labels and --confusion work only with class folders, but DATA contains pairs."
        )
    if confusion is not None and isinstance(found, ClassFolder):
        _check_size(len(chosen or found.names))
    with reporting("Evaluating", quiet) as progress:
        if isinstance(found, Source):
            result: Retrieval | ZeroShot = retrieval(opened, found, progress=progress)
        else:
            result = zero_shot(opened, found, templates=asked, labels=chosen, progress=progress)
    _report_failures(result.failures, quiet)
    if confusion is not None and isinstance(result, ZeroShot):
        from searcher.drawing.confusion import confusion_picture

        confusion_picture(result.labels, result.confusion, confusion)
        note(f"Confusion matrix: {confusion.absolute()}", quiet)
    if as_json:
        print_json({**result.as_dict(), "model": opened.name, "precision": opened.precision})
    elif isinstance(result, ZeroShot):
        show_accuracy(result, opened)
    else:
        show_recall(result, opened)


def show_accuracy(result: "ZeroShot", model: "Model") -> None:
    """Print a table with a row for the templates, for the bare names, and for chance."""
    click.echo(f"{plural(result.n, 'photo')}, {plural(len(result.labels), 'label')}, {_name(model)}\n")
    asked = f"{result.templates} templates" if result.templates > 1 else "template"
    rows = [(asked if result.bare else "bare names", result.top1, result.top5)]
    if result.bare:
        rows.append(("bare names", *result.bare))
    rows.append(("chance", 1 / len(result.labels), min(1.0, 5 / len(result.labels))))
    _table(("top-1", "top-5"), rows)


def show_recall(result: "Retrieval", model: "Model") -> None:
    """Print a table with a row for each direction: text to image, and image to text."""
    click.echo(f"{plural(result.n, 'photo')}, {plural(result.captions, 'caption')}, {_name(model)}\n")
    both = (("text → image", result.text_to_image), ("image → text", result.image_to_text))
    _table(("R@1", "R@5", "R@10"), [(name, recall.r1, recall.r5, recall.r10) for name, recall in both])


def _table(columns: tuple[str, ...], rows: "Sequence[tuple[str | float, ...]]") -> None:
    print_table(
        ("", *columns), [(str(name), *(f"{float(share) * 100:.2f} %" for share in shares)) for name, *shares in rows]
    )


def _name(model: "Model") -> str:
    return f"model {model.name} ({model.precision})"


def _check_picture(path: Path) -> None:
    """Check the path of the confusion matrix before minutes of work, not after."""
    from searcher.drawing.saving import SUFFIXES, check_target

    if path.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"The file of --confusion must end in {', '.join(SUFFIXES)}, not {path.name}.")
    check_target(path)


def _check_size(labels: int) -> None:
    from searcher.drawing.confusion import MAX_LABELS

    if labels > MAX_LABELS:
        raise SearcherError(f"too many labels for a confusion matrix: {labels:,} (maximum: {MAX_LABELS:,})")


def _report_failures(failures: "Sequence[Failure]", quiet: bool) -> None:
    if not failures:
        return
    note(f"{plural(len(failures), 'item')} could not be used:", quiet)
    for failure in failures[:SHOWN_FAILURES]:
        note(f"  {failure.path}: {failure.error}", quiet)
    if len(failures) > SHOWN_FAILURES:
        note("  … (--json lists all of them)", quiet)
