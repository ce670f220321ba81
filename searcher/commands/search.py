"""`searcher search`: finds photos that match a description, or that look like an image."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands import suggestions
from searcher.commands.common import library_option, model_option, note, quiet_option
from searcher.commands.filter_options import FIELDS, Narrowed, as_sentence, described, filter_options
from searcher.commands.hits import draw_sheet, print_hits
from searcher.commands.interactive import opened, run
from searcher.commands.output_options import FIELDS as OUTPUT
from searcher.commands.output_options import Output, check_output, finish_output, output_options
from searcher.commands.sections import SectionedCommand
from searcher.errors import InvalidInput, shortened
from searcher.filters import EVERYTHING, SORTS, Filter

if TYPE_CHECKING:
    from searcher.filters import Sort

MOST_BYTES = 256 * 2**20  # of standard input


@click.command(
    cls=SectionedCommand,
    sections={
        "Look for": ["more", "without", "likes"],
        "Only photos": FIELDS,
        "Hits": ["top", "sort", "min_relevance", "diverse", *OUTPUT],
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
    help="Look like IMAGE: a file, id:N, or - (standard input).",
)
@filter_options
@click.option("--top", type=click.IntRange(min=1), default=20, metavar="N", help="Show at most N hits (default: 20).")
@click.option("--sort", type=click.Choice(SORTS), metavar="ORDER", help="By time (newest first) or relevance.")
@click.option(
    "--min-relevance", type=click.FloatRange(0, 1), metavar="P", help="Only hits of this probability (0.5: likely)."
)
@click.option("--diverse", is_flag=True, help="Photos that are like a better hit come later.")
@output_options(*OUTPUT)
@click.option("-i", "--interactive", is_flag=True, help="Read queries line by line; keep the model open.")
@library_option
@model_option
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
    diverse: bool,
    output: Output,
    interactive: bool,
    library_dir: Path | str | None,
    model: str | None,
    quiet: bool,
) -> None:
    """Print the photos that match DESCRIPTION best, best first.

    --and and --like add a description or an image, --not takes one away. "2:a red car" counts twice. Without any, list
    photos that meet the conditions, newest first. --in, --tag, --not-tag, --source and --format can be repeated.
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
    if diverse and not asked:
        raise click.UsageError("--diverse needs a description or --like: conditions alone list photos by time.")
    check_output(output)

    from searcher.library import Library
    from searcher.models.relevance import FITS

    subject = " ".join(
        [
            *(f"“{shortened(each)}”" for each in ([text] if text else []) + list(more)),
            *(f"not “{shortened(each)}”" for each in without),
            *likes,
        ]
    ) or described(narrowed)
    images = [sys.stdin.buffer.read(MOST_BYTES) if like == "-" else like for like in likes]
    try:
        terms = Library.terms([*([text] if text else []), *more], without, images)
    except InvalidInput as error:
        raise click.UsageError(as_sentence(str(error))) from None
    with opened(library_dir, model) as library:
        hits = library.search(
            top=top, filter=filter, min_relevance=min_relevance, also=terms, sort=sort, diverse=diverse
        )

        if narrowed.place:
            note(f"Near {narrowed.place}", quiet)
        for notice in hits.notices:
            note(notice, quiet)
        if output.sheet is not None and hits:  # before the hits: after an error, stdout is empty
            draw_sheet(output.sheet, subject, hits, library)
        dates = sort == "time" or (not asked and sort is None)
        print_hits(library, hits, output, dates=dates, numbers=asked or bool(filter.tags), quiet=quiet)

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
    if hits:
        finish_output(output, hits[0].path, quiet)
