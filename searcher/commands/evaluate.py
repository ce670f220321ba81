"""`searcher evaluate`: measures one or two models on class folders, or on pairs of photos and captions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    json_option,
    note,
    plural,
    print_json,
    print_table,
    printable,
    quiet_option,
    reporting,
)
from searcher.errors import SearcherError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searcher.datasets import ClassFolder, Label
    from searcher.errors import Failure
    from searcher.evaluate import Comparison, Retrieval, TagQuality, ZeroShot
    from searcher.models import Model

SHOWN_FAILURES = 5
WAYS = {"": "", "text_to_image": "text → image", "image_to_text": "image → text"}
TITLES = {"top1": "top-1", "top5": "top-5", "r1": "R@1", "r5": "R@5", "r10": "R@10"}
# What the intervals of class folders (True) and of pairs (False) come from.
DRAWN = {
    True: "The intervals come from drawing the photos again, at random.",
    False: "The intervals come from drawing the photos again, at random, each with its captions. "
    "What the queries search stays the same.",
}


@click.command()
@click.argument("models", metavar="MODEL [MODEL]", nargs=-1, shell_complete=suggestions.models_or_files)
@click.argument("data", metavar="DATA", type=FilePath())
@click.option(
    "--templates",
    metavar="FILE|TEXT|bare",
    help="Prompt templates with {} for the name: a file with one template per line, a single template, `bare` (the "
    "name alone), or `ensemble` (templates of the CLIP paper; the default).",
)
@click.option(
    "--labels",
    shell_complete=suggestions.label_sets,
    metavar="LABELS",
    help="Choose among these labels instead of the folder names: a,b,c, a file, or a label set such as @imagenet.",
)
@click.option("--confusion", type=FilePath(), metavar="FILE.png", help="Also draw a confusion matrix (of one model).")
@click.option("--tags", is_flag=True, help="Measure what `searcher tag` would answer for the class folders.")
@click.option(
    "--truth",
    type=FilePath(),
    metavar="FILE.toml",
    help='With --tags: the labels that are true of a class, such as: beagle = ["dog", "animal"].',
)
@click.option(
    "--reliability", type=FilePath(), metavar="FILE.png", help="With --tags: also draw a reliability diagram."
)
@json_option
@quiet_option
def command(
    models: tuple[str, ...],
    data: Path,
    templates: str | None,
    labels: str | None,
    confusion: Path | None,
    tags: bool,
    truth: Path | None,
    reliability: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the quality of MODEL on DATA. The model sees no labelled examples.

    If DATA is a folder of class folders, each named after what its photos show, this prints the zero-shot top-1 and
    top-5 accuracy.

    If DATA contains pairs, this prints recall@1, 5 and 10, from text to image and from image to text. Pairs are a CSV,
    TSV or JSON-lines file of (image, caption), or a folder of photos with a .txt file next to each.

    With --tags, this prints the precision, the recall and F1 of the labels that `searcher tag` would give to the photos
    of class folders, and the calibration error of their probabilities.

    With two models, this prints the results of both on the same photos, the difference, and its 95 % confidence
    interval. DATA is always the last argument.

    Photos are decoded, embedded and rounded in the same way as by `searcher index`.
    """
    from searcher.datasets import ENSEMBLE, ClassFolder, Source, read_labels, read_templates
    from searcher.evaluate import ZeroShot, read_data, retrievals, zero_shots
    from searcher.models import Model

    _check_models(models, confusion)
    _check_tags(models, tags, templates, confusion, truth, reliability)
    for option, picture in (("--confusion", confusion), ("--reliability", reliability)):
        if picture is not None:
            _check_picture(option, picture)
    asked = read_templates(templates) if templates is not None else ENSEMBLE
    chosen = read_labels(labels) if labels is not None else None
    opened = [Model.open(model) for model in models]
    found = read_data(data)
    for remark in found.remarks:
        note(remark, quiet)
    if isinstance(found, Source) and (templates is not None or labels is not None or confusion is not None):
        raise click.UsageError(
            "--templates, --labels and --confusion work only with class folders, but DATA contains pairs."
        )
    if confusion is not None and isinstance(found, ClassFolder):
        _check_size(len(chosen or found.names))
    if tags:
        if not isinstance(found, ClassFolder):
            raise click.UsageError("--tags works only with class folders, but DATA contains pairs.")
        measure_tags(opened[0], found, truth, chosen, reliability, as_json, quiet)
        return
    with reporting("Evaluating", quiet) as progress:
        if isinstance(found, Source):
            results: Sequence[Retrieval | ZeroShot] = retrievals(opened, found, progress=progress)
        else:
            alone = len(opened) == 1  # two models are compared with the templates only
            results = zero_shots(opened, found, templates=asked, labels=chosen, compare_bare=alone, progress=progress)
    result, model = results[0], opened[0]
    _report_failures(result.failures, quiet)
    if confusion is not None and isinstance(result, ZeroShot):
        from searcher.drawing.confusion import confusion_picture

        confusion_picture(result.labels, result.confusion, confusion)
        note(f"Confusion matrix: {confusion.absolute()}", quiet)
    if len(results) > 1:
        show_comparison(results, opened, as_json)
    elif as_json:
        print_json({**result.as_dict(), "model": model.name, "precision": model.precision})
    elif isinstance(result, ZeroShot):
        show_accuracy(result, model)
    else:
        show_recall(result, model)


def measure_tags(
    model: "Model",
    classes: "ClassFolder",
    truth: Path | None,
    labels: "Sequence[Label] | None",
    reliability: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the tags of a model, print them, and draw a diagram if `reliability` names a file."""
    from searcher.evaluate import read_truth, tag_quality

    true_labels = None if truth is None else read_truth(truth)
    with reporting("Evaluating", quiet) as progress:
        result = tag_quality(model, classes, truth=true_labels, labels=labels, progress=progress)
    _report_failures(result.failures, quiet)
    if reliability is not None:
        from searcher.drawing.reliability import reliability_picture

        bars = [(each.probability, each.share, each.pairs) for each in result.reliability()]
        reliability_picture(f"{model.name}, {classes.path.name}", bars, reliability)
        note(f"Reliability diagram: {reliability.absolute()}", quiet)
    if as_json:
        print_json({**result.as_dict(), "model": model.name, "precision_of_model": model.precision})
    else:
        show_tags(result, model)


def show_tags(result: "TagQuality", model: "Model") -> None:
    """Print a table with a row for each label, those that are true most often first, and one for all together."""
    from searcher.evaluate import precision_recall_f1

    click.echo(f"{plural(result.n, 'photo')}, {plural(len(result.labels), 'label')}, {_name(model)}\n")
    counts = result.counts
    rows = [
        (label, *precision_recall_f1(*numbers), numbers[2])
        for label, numbers in zip(result.labels, counts.tolist(), strict=True)
    ]
    rows.sort(key=lambda row: -row[-1])
    rows.append(("all together", *result.micro, int(counts[:, 2].sum())))
    print_table(
        ("", "precision", "recall", "F1", "true"),
        [(printable(name), *(f"{share * 100:.1f} %" for share in shares), f"{true:,}") for name, *shares, true in rows],
    )
    click.echo(f"\nCalibration error: {result.calibration_error:.3f}")


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


def show_comparison(results: "Sequence[Retrieval | ZeroShot]", models: "Sequence[Model]", as_json: bool) -> None:
    """Print the results of two models, with the difference of each metric: a table, or one JSON document."""
    from searcher.evaluate import Retrieval, ZeroShot, compare

    first, second = results
    if isinstance(first, ZeroShot) and isinstance(second, ZeroShot):
        found = {"": compare(first, second)}
    elif isinstance(first, Retrieval) and isinstance(second, Retrieval):
        found = {way: compare(recall, second.ways[way]) for way, recall in first.ways.items()}
    if as_json:
        print_json(_comparison_document(first, models, found))
        return
    counts = plural(len(first.labels), "label") if isinstance(first, ZeroShot) else plural(first.captions, "caption")
    click.echo(f"{plural(first.n, 'photo')}, {counts}")
    alike = models[0].name == models[1].name
    for letter, model in zip("AB", models, strict=True):
        click.echo(printable(f"{letter}: {_name(model)}" + (f" in {model.folder}" if alike else "")))
    click.echo()
    rows = [
        _comparison_row(f"{WAYS[way]} {TITLES[name]}".strip(), comparison)
        for way, comparisons in found.items()
        for name, comparison in comparisons.items()
    ]
    print_table(("", "A", "B", "B − A", "95 % interval", ""), rows)
    click.echo(f"\nDifferences are in percentage points. {DRAWN[isinstance(first, ZeroShot)]}")


def _comparison_document(
    first: "Retrieval | ZeroShot", models: "Sequence[Model]", found: "dict[str, dict[str, Comparison]]"
) -> dict[str, Any]:
    """The document of one model, with the comparisons under `metrics` instead of the results."""
    metrics: dict[str, Any] = {
        way: {name: comparison.as_dict() for name, comparison in comparisons.items()}
        for way, comparisons in found.items()
    }
    metrics = metrics.get("", metrics)
    facts = {key: value for key, value in first.as_dict().items() if key not in (*metrics, "bare")}
    return {
        **facts,
        "models": [
            {"name": model.name, "folder": str(model.folder.absolute()), "precision": model.precision}
            for model in models
        ],
        "metrics": metrics,
    }


def _comparison_row(title: str, comparison: "Comparison") -> tuple[str, ...]:
    low, high = (_points(end) for end in comparison.interval)
    verdict = "no clear difference" if comparison.better is None else f"{comparison.better} is better"
    shares = (f"{share * 100:.2f} %" for share in comparison.values)
    return (title, *shares, _points(comparison.difference), f"{low} to {high}", verdict)


def _points(difference: float) -> str:
    return f"{difference * 100:+.2f}".replace("-", "−")


def _table(columns: tuple[str, ...], rows: "Sequence[tuple[str | float, ...]]") -> None:
    print_table(
        ("", *columns), [(str(name), *(f"{float(share) * 100:.2f} %" for share in shares)) for name, *shares in rows]
    )


def _name(model: "Model") -> str:
    return f"model {model.name} ({model.precision})"


def _check_models(models: tuple[str, ...], confusion: Path | None) -> None:
    if not models:
        raise click.UsageError("Missing argument 'DATA': give a model, then the data.")
    if len(models) > 2:
        raise click.UsageError(
            f"Two models can be compared at a time, not {len(models)}. Give two of them, then DATA, for each pair."
        )
    if len(models) > 1 and confusion is not None:
        raise click.UsageError("--confusion draws the matrix of one model: run it once per model.")


def _check_tags(
    models: tuple[str, ...],
    tags: bool,
    templates: str | None,
    confusion: Path | None,
    truth: Path | None,
    reliability: Path | None,
) -> None:
    if tags and len(models) > 1:
        raise click.UsageError("--tags measures one model: run it once per model.")
    if tags and (templates is not None or confusion is not None):
        raise click.UsageError("--tags cannot be combined with --templates or --confusion.")
    if not tags and (truth is not None or reliability is not None):
        raise click.UsageError("--truth and --reliability work only together with --tags.")


def _check_picture(option: str, path: Path) -> None:
    """Check the path of a picture before minutes of work, not after."""
    from searcher.drawing.saving import SUFFIXES, check_target

    if path.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"The file of {option} must end in {', '.join(SUFFIXES)}, not {path.name}.")
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
