"""The options that say how hits are printed and drawn, as one Output."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click

from searcher.commands.common import Command, FilePath, json_option, note
from searcher.commands.opening import open_file, viewer

FIELDS = ("sheet", "preview", "open_first", "paths", "null", "as_csv", "as_json")
"""The parameters of these options, in the order of the help."""

Form = Literal["list", "paths", "null", "csv", "json"]


class Output(NamedTuple):
    """How hits are printed (form), and what else is done with them."""

    form: Form = "list"
    sheet: Path | None = None
    preview: bool = False
    open: bool = False


class SheetPath(FilePath):
    """A path that a contact sheet can be written to."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from searcher.drawing.saving import SHEET_SUFFIXES

        path = super().convert(value, param, ctx)
        if path.suffix.lower() not in SHEET_SUFFIXES:
            *others, last = SHEET_SUFFIXES
            self.fail(
                f"the name of a contact sheet ends in {', '.join(others)} or {last}, not {path.name!r}", param, ctx
            )
        return path


_OPTIONS: dict[str, Callable[[Command], Command]] = {
    "sheet": click.option(
        "--sheet", type=SheetPath(), metavar="FILE", help="Also draw a contact sheet: .jpg, .png or .html."
    ),
    "preview": click.option("--preview", is_flag=True, help="Show thumbnails in the terminal."),
    "open_first": click.option(
        "--open", "open_first", is_flag=True, help="Open the first hit, or the sheet, in your viewer."
    ),
    "paths": click.option("--paths", is_flag=True, help="Print only paths, one a line."),
    "null": click.option("--null", is_flag=True, help="Print only paths, each with a NUL after it (xargs -0)."),
    "as_csv": click.option("--csv", "as_csv", is_flag=True, help="Print a table as CSV."),
    "as_json": json_option,
}


def output_options(*fields: str) -> Callable[[Command], Command]:
    """Add the options of the output that FIELDS names, or some of them. The command gets them as one `output`."""

    def add(command: Command) -> Command:
        @wraps(command)
        def with_output(*args: Any, **kwargs: Any) -> Any:
            return command(*args, output=_output(**{field: kwargs.pop(field) for field in fields}), **kwargs)

        wrapped: Any = with_output
        for field in reversed(fields):
            wrapped = _OPTIONS[field](wrapped)
        result: Command = wrapped
        return result

    return add


def check_output(output: Output) -> None:
    """Raise SearcherError if the sheet cannot be written, or nothing can be opened: before any long work."""
    if output.sheet is not None:
        from searcher.drawing.saving import SHEET_SUFFIXES, check_target

        check_target(output.sheet, SHEET_SUFFIXES)
    if output.open:
        viewer()


def finish_output(output: Output, first: str, quiet: bool) -> None:
    """After the hits: say where the sheet is, and open it, or else the first photo, if that was asked for."""
    if output.sheet is not None:
        note(f"Contact sheet: {output.sheet.absolute()}", quiet)
    if output.open:
        open_file(first if output.sheet is None else str(output.sheet.absolute()))


def _output(
    *,
    sheet: Path | None,
    paths: bool,
    null: bool,
    as_csv: bool,
    as_json: bool,
    preview: bool = False,
    open_first: bool = False,
) -> Output:
    """The output that the options ask for. Options that contradict one another are wrong usage."""
    asked: dict[Form, bool] = {"json": as_json, "csv": as_csv, "null": null, "paths": paths and not null}
    given = [form for form, is_given in asked.items() if is_given]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} are two forms of the output: choose one.")
    if preview and given:
        raise click.UsageError(f"--preview shows thumbnails in the list of hits: leave out --preview or --{given[0]}.")
    return Output(given[0] if given else "list", sheet, preview, open_first)
