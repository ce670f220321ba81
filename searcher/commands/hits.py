"""How the hits of a search are printed and drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import hit_number, plural, printable

if TYPE_CHECKING:
    from searcher.library import Hit


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
