"""Shared by `tag`, `classify` and `tags`: the options of a question, and how labels are printed."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from searcher.commands import suggestions
from searcher.commands.common import Command, plural, print_json, print_table, printable
from searcher.filters import FILE, SOURCES, TAUGHT, USER

if TYPE_CHECKING:
    from searcher.library import PhotoTag, TagReport

BAR = 24  # characters
LONGEST_LABEL = 40
SHOWN_LABELS = 20
SOURCE_NOTES = {USER: " (yours)", FILE: " (from files)", TAUGHT: " (taught)"}  # a zero-shot label has none

json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one line per photo (NDJSON).")
csv_option = click.option(
    "--csv", "as_csv", is_flag=True, help="Print CSV with the columns path, label and probability."
)
sources_option = click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice(SOURCES),
    help="Count only labels from this source: user is you, file is the photo or its sidecar. Repeat it for several.",
)


class Labelled(Protocol):
    """A photo with its labels."""

    @property
    def path(self) -> str: ...

    @property
    def tags(self) -> "tuple[PhotoTag, ...]": ...


def question_options(command: Command) -> Command:
    """Add the options --labels, --one, --top and --min-relevance to a command."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--labels",
            shell_complete=suggestions.label_lists,
            metavar="LABELS",
            help="Label names (a,b,c), a text file with one per line, a TOML file, or a label set such as @coco.",
        ),
        click.option("--one", is_flag=True, help="Pick exactly one label per photo (default: any that apply)."),
        click.option(
            "--top", type=click.IntRange(min=1), metavar="N", help="Give each photo at most N labels (1 with --one)."
        ),
        click.option(
            "--min-relevance",
            type=click.FloatRange(0, 1),
            metavar="P",
            help="Give a label from this probability on (default: 0.5). Not with --one.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def check_question(one: bool, min_relevance: float | None) -> None:
    """Raise a UsageError for options that exclude each other."""
    if one and min_relevance is not None:
        raise click.UsageError("--one gives every photo exactly one label. It cannot be combined with --min-relevance.")


def as_row(photo: Labelled) -> dict[str, Any]:
    """Return a photo as `tag --json` prints it."""
    tags = [{"label": tag.label, "probability": tag.probability, "source": tag.source} for tag in photo.tags]
    return {"path": photo.path, "tags": tags}


def print_photos(photos: Iterable[Labelled], as_json: bool, as_csv: bool) -> None:
    """Print photos with their labels, as plain text or JSON (one line per photo) or as CSV.

    CSV has one line per label. A photo without labels gets a line with an empty label.
    """
    if as_csv:
        click.echo("path,label,probability")
    for photo in photos:
        if as_json:
            print_json(as_row(photo), indent=None)
        elif as_csv:
            rows: list[tuple[object, ...]] = [(tag.label, tag.probability) for tag in photo.tags]
            click.echo("\n".join(_csv(photo.path, *row) for row in rows or [("", "")]))
        else:
            tags = ", ".join(
                printable(tag.label)
                + click.style(f" {tag.probability:.2f}{SOURCE_NOTES.get(tag.source, '')}", dim=True)
                for tag in photo.tags
            )
            click.echo(f"{printable(photo.path)}  {tags or click.style('none', dim=True)}")


def _csv(*fields: object) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(fields)  # quotes a field that has a line break
    return line.getvalue().removesuffix("\r\n")


def print_counts(rows: Sequence[tuple[str, int]], most: int | None = None) -> None:
    """Print labels, the number of photos that have each, and a bar. At most the first `most` rows are printed."""
    shown = rows[:most]
    largest = max((count for _, count in shown), default=0)
    table = [
        (_short(label), f"{count:,}", "█" * max(1, round(BAR * count / largest)) if count else "")
        for label, count in shown
    ]
    if table:
        print_table(("", "", ""), table, bars=True)
    if len(rows) > len(shown):
        click.echo(f"{len(rows) - len(shown):,} more labels; list them all with: searcher tags --all")


def print_report(report: "TagReport") -> None:
    """Print what a run of `tag` did, with the labels that most photos have."""
    print_counts([(label, count) for label, count in report.tagged.items() if count], SHOWN_LABELS)
    given = sum(report.tagged.values())
    asked = "nothing new" if not report.asked else f"{report.asked:,} checked now"
    click.echo(f"{plural(report.photos, 'photo')} ({asked}), {plural(given, 'label')} given")


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
