"""What `tag`, `classify`, `tags` and `teach` share: the options of a question, and how labels are printed."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from searcher.commands.common import Command, note, print_json, show_path

if TYPE_CHECKING:
    from searcher.models import Model
    from searcher.tagger.question import Question

BAR = 24  # characters

json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a photo (NDJSON).")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV: path, label, probability.")


class Labelled(Protocol):
    """A photo with its labels."""

    @property
    def path(self) -> str: ...

    @property
    def tags(self) -> tuple[tuple[str, float], ...]: ...


def question_options(command: Command) -> Command:
    """--labels, --one and --top."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--labels",
            metavar="LABELS",
            help="Names (a,b,c), a file with one a line, a TOML file, or a ready set such as @coco.",
        ),
        click.option("--one", is_flag=True, help="Which ONE of the labels is it? Without: which of them are in it?"),
        click.option("--top", type=click.IntRange(min=1), help="The most labels a photo is given (1 with --one)."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def warn_of(question: "Question", model: "Model", quiet: bool) -> None:
    """What a person should know before reading the answers."""
    from searcher.tagger.scorer import is_calibrated

    if not is_calibrated(question, model):
        note(f"Uncalibrated: the model {model.name} has no measured threshold, so only clear cases get a label.", quiet)
    strange = [name for name in question.names if not model.known_script(name)]
    if strange:
        languages = ", ".join(model.languages or ())
        note(f"The model {model.name} knows only {languages}: expect little of “{strange[0]}”.", quiet)


def as_row(photo: Labelled) -> dict[str, Any]:
    """A photo as `tag --json` prints it."""
    tags = [{"label": label, "probability": chance} for label, chance in photo.tags]
    return {"path": photo.path, "tags": tags}


def print_photos(photos: Iterable[Labelled], as_json: bool, as_csv: bool) -> None:
    """One photo a line: JSON; or CSV, a line a label, with an empty one for a photo that has none; or for people."""
    if as_csv:
        click.echo("path,label,probability")
    for photo in photos:
        if as_json:
            print_json(as_row(photo), indent=None)
        elif as_csv:
            rows = photo.tags or (("", ""),)
            click.echo("\n".join(_csv(photo.path, label, chance) for label, chance in rows))
        else:
            tags = ", ".join(
                f"{show_path(label)} {click.style(f'{chance:.2f}', dim=True)}" for label, chance in photo.tags
            )
            click.echo(f"{show_path(photo.path)}  {tags or click.style('none', dim=True)}")


def _csv(*fields: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def print_counts(rows: Sequence[tuple[str, int]], most: int | None = None) -> None:
    """Labels and how many photos have each, with a bar; of more than `most` the first."""
    shown = rows[:most]
    width = min(40, max((len(show_path(label)) for label, _ in shown), default=0))
    digits = max((len(f"{count:,}") for _, count in shown), default=0)
    largest = max((count for _, count in shown), default=0)
    for label, count in shown:
        bar = click.style("█" * max(1, round(BAR * count / largest)) if count else "", fg="cyan")
        name = show_path(label)
        name = name if len(name) <= width else f"{name[: width - 1]}…"
        click.echo(f"{name:<{width}}  {count:>{digits},}  {bar}".rstrip())
    if len(rows) > len(shown):
        click.echo(f"{len(rows) - len(shown):,} more labels: searcher tags --all")
