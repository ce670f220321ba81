"""`searcher search`: finds photos that match a description, or that look like an image."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    hit_number,
    json_option,
    library_option,
    model_option,
    note,
    plural,
    print_json,
    printable,
    quiet_option,
)
from searcher.commands.filter_options import FIELDS, Narrowed, described, filter_options
from searcher.commands.interactive import current_session, opened, run
from searcher.commands.sections import SectionedCommand
from searcher.filters import EVERYTHING, SORTS, Filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searcher.filters import Sort
    from searcher.library import Hit

MOST_BYTES = 256 * 2**20  # of standard input


@click.command(
    cls=SectionedCommand,
    sections={
        "Look for": ["more", "without", "likes"],
        "Only photos": FIELDS,
        "Hits": ["top", "sort", "min_relevance", "sheet", "as_json"],
        "General": ["interactive", "library_dir", "model", "quiet"],
    },
)
@click.argument("words", nargs=-1, metavar="[DESCRIPTION]")
@click.option("--and", "more", multiple=True, metavar="TEXT", help="Add another description. Repeat it for several.")
@click.option("--not", "without", multiple=True, metavar="TEXT", help="Rank photos lower that show TEXT.")
@click.option(
    "--like",
    "likes",
    multiple=True,
    shell_complete=suggestions.files,
    metavar="IMAGE",
    help="Find photos that look like IMAGE: a file, id:N for a photo of the library, or - for standard input.",
)
@filter_options
@click.option("--top", type=click.IntRange(min=1), default=20, metavar="N", help="Show at most N hits (default: 20).")
@click.option("--sort", type=click.Choice(SORTS), metavar="ORDER", help="By time (newest first) or relevance.")
@click.option(
    "--min-relevance", type=click.FloatRange(0, 1), metavar="P", help="Only hits of this probability (0.5: likely)."
)
@click.option("--sheet", type=FilePath(), metavar="FILE.jpg", help="Also draw the hits as a contact sheet.")
@click.option("-i", "--interactive", is_flag=True, help="Read queries line by line, with the model kept open.")
@library_option
@model_option
@json_option
@quiet_option
def command(
    words: tuple[str, ...],
    more: tuple[str, ...],
    without: tuple[str, ...],
    likes: tuple[str, ...],
    narrowed: Narrowed,
    top: int,
    sort: "Sort | None",
    min_relevance: float | None,
    sheet: Path | None,
    interactive: bool,
    library_dir: Path | None,
    model: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print the photos that match DESCRIPTION best, best first.

    Descriptions and images add up: --and and --like add one, and --not takes one away. "2:a red car" counts twice as
    much as "a red car". Without any, list the photos that meet the conditions, newest first. --in, --tag, --not-tag,
    --source and --format can be repeated.
    """
    if interactive:
        run(click.get_current_context())
        return
    text = " ".join(" ".join(words).split())
    filter = narrowed.filter
    asked = bool(text or more or without or likes)
    if not asked and not filter:
        raise click.UsageError('Say what to search for, for example: searcher search "a dog on the beach".')
    if min_relevance is not None and not (text or more):
        raise click.UsageError("Only a description has a relevance: --min-relevance needs one.")
    if likes.count("-") > 1:
        raise click.UsageError("Standard input holds one image: give --like - once.")
    if sort == "relevance" and not (asked or filter.tags or filter.sources):
        raise click.UsageError("--sort relevance needs a description, --like, --tag or --source.")

    if sheet is not None:
        from searcher.drawing.saving import check_target

        check_target(sheet)

    from searcher.library import Library
    from searcher.models.relevance import FITS

    images = [sys.stdin.buffer.read(MOST_BYTES) if like == "-" else like for like in likes]
    with opened(library_dir, model) as library:
        terms = Library.terms([*([text] if text else []), *more], without, images)
        hits = library.search(top=top, filter=filter, min_relevance=min_relevance, also=terms, sort=sort)

    if narrowed.place:
        note(f"Near {narrowed.place}", quiet)
    for notice in hits.notices:
        note(notice, quiet)
    subject = " ".join(
        [
            *(f"“{each}”" for each in ([text] if text else []) + list(more)),
            *(f"not “{each}”" for each in without),
            *likes,
        ]
    ) or described(narrowed)
    if sheet is not None and hits:  # before the hits: after an error, stdout is empty
        draw_sheet(sheet, subject, hits)
    if as_json:
        print_json([hit.as_dict() for hit in hits], indent=None if current_session() else 2)
    else:
        listed = not asked
        show_hits(hits, dates=sort == "time" or (listed and sort is None), numbers=not listed or bool(filter.tags))
    if hits.nothing_fits:
        shown = ": these photos are only the nearest ones" if hits else ""
        note(f"Nothing seems to match {subject}{shown}.", quiet)
    elif not hits and min_relevance is not None and min_relevance > FITS:
        note(f"No photo matches {subject} with a probability of {min_relevance}.", quiet)
    elif not hits and filter == Filter(tags=filter.tags) != EVERYTHING:
        note("No photo has all of the given labels.", quiet)
    elif not hits and filter:
        note("No photo meets all of the conditions.", quiet)
    elif not hits:
        note("No photos are indexed yet. Start with: searcher index FOLDER", quiet)
    if sheet is not None and hits:
        note(f"Contact sheet: {sheet.absolute()}", quiet)


def show_hits(hits: "Sequence[Hit]", dates: bool = False, numbers: bool = True) -> None:
    """Print one line per hit: its rank, its relevance or else its score, the date, and the path.

    Also the number of other paths with the same photo. Hits that do not seem to match are dimmed.
    """
    from searcher.models.relevance import FITS

    width = len(str(len(hits)))
    for hit in hits:
        folder, slash, name = printable(hit.path).rpartition("/")
        copies = click.style(f"  (+ {plural(len(hit.copies), 'other path')})", dim=True) if hit.copies else ""
        unlikely = hit.relevance is not None and hit.relevance < FITS
        path = click.style(folder + slash, dim=True) + click.style(name, dim=unlikely)
        number = click.style(hit_number(hit), fg="cyan", dim=unlikely) + "  " if numbers else ""
        date = f"{(hit.taken_at or 'no date')[:10]:<10}  " if dates else ""
        click.echo(f"{hit.rank:>{width}}  {number}{date}{path}{copies}")


def draw_sheet(path: Path, title: str, hits: "Sequence[Hit]") -> None:
    """Draw a contact sheet of the hits, and save it at `path`."""
    from searcher.drawing.sheet import SheetCell, SheetRow, contact_sheet

    cells = [SheetCell(hit.path, hit_number(hit).strip()) for hit in hits]
    contact_sheet([SheetRow(title, cells)], path)
