"""`searcher search`: photos by a description, or by a photo like them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import (
    json_option,
    library_option,
    model_option,
    note,
    plural,
    print_json,
    quiet_option,
    show_path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searcher.query import Hit

LANGUAGE_NAMES = {"en": "English"}  # others are shown by their code


@click.command()
@click.argument("words", nargs=-1, metavar="DESCRIPTION")
@click.option("--like", type=click.Path(path_type=Path), metavar="IMAGE", help="Find photos that look like this one.")
@click.option("--tag", "tags", multiple=True, metavar="LABEL", help="Only photos with this label (repeat for several).")
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="How many hits.")
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.jpg",
    help="Draw the hits as a contact sheet, too.",
)
@library_option
@model_option
@json_option
@quiet_option
def command(
    words: tuple[str, ...],
    like: Path | None,
    tags: tuple[str, ...],
    top: int,
    sheet: Path | None,
    library_dir: Path | None,
    model: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print the photos that fit DESCRIPTION best, best first; with --like, those that look like an image.

    With --tag only photos that have the label, as given by `searcher tag`; --tag alone lists them all.
    """
    text = " ".join(" ".join(words).split())
    if not text and like is None and not tags:
        raise click.UsageError('Say what to look for, as in: searcher search "a dog on the beach".')
    if text and like is not None:
        raise click.UsageError("Say either a description or --like IMAGE, not both.")

    from searcher.library import Library
    from searcher.query import Query

    with Library.open(library_dir, model=model) as library:
        if text and not library.model.known_script(text):
            languages = ", ".join(LANGUAGE_NAMES.get(code, code) for code in library.model.languages or ())
            note(f"The model {library.model.name} knows only {languages}: expect little of “{text}”.", quiet)
        hits = library.search(Query(text=text or None, like=like, top=top, tags=tags))

    if as_json:
        print_json([hit.as_dict() for hit in hits])
    else:
        show_hits(hits)
    subject = f"“{text}”" if text else ", ".join(tags) if like is None else str(like)
    if not hits and tags:
        note("No photo has all of these labels.", quiet)
    elif not hits:
        note("No photos are indexed here yet. Begin with: searcher index FOLDER", quiet)
    elif hits.nothing_fits:
        note(f"Nothing here seems to fit {subject}: a meaningless query scores as well.", quiet)
    if sheet is not None and hits:
        draw_sheet(sheet, subject, hits)
        note(f"Contact sheet: {show_path(str(sheet.absolute()))}", quiet)


def show_hits(hits: "Sequence[Hit]") -> None:
    """One line a hit: rank, score, path, and at how many other paths the same photo lies."""
    width = len(str(len(hits)))
    for hit in hits:
        folder, slash, name = show_path(hit.path).rpartition("/")
        copies = click.style(f"  (+ {plural(len(hit.copies), 'other path')})", dim=True) if hit.copies else ""
        path = click.style(folder + slash, dim=True) + name
        click.echo(f"{hit.rank:>{width}}  {click.style(f'{hit.score:.3f}', fg='cyan')}  {path}{copies}")


def draw_sheet(path: Path, title: str, hits: "Sequence[Hit]") -> None:
    """A contact sheet of the hits at `path`."""
    from searcher.photos.sheet import SheetCell, SheetRow, contact_sheet

    cells = [SheetCell(hit.path, f"{hit.score:.3f}") for hit in hits]
    contact_sheet([SheetRow(title, cells)], path)
