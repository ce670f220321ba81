"""`searcher demo`: indexes the sample photos or a folder, searches them, and draws the hits."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import FilePath, hit_number, note, plural, printable, quiet_option, reporting

if TYPE_CHECKING:
    from searcher.library import Library

SAMPLE_QUERIES = ("a cat", "a cup of coffee", "a motorcycle", "a flower", "an old temple")
OWN_QUERIES = ("a dog", "the sea", "food on a plate", "a flower", "a house")
PRINTED = 3
DRAWN = 5


@click.command()
@click.option(
    "--photos",
    type=FilePath(),
    metavar="DIR",
    help="Use the photos in this folder instead of the sample photos.",
)
@click.option(
    "--library",
    "library_dir",
    type=FilePath(),
    metavar="DIR",
    help="Library folder of the demo (default: `demo`, or `demo-…` with --photos, in your default library folder).",
)
@quiet_option
def command(photos: Path | None, library_dir: Path | None, quiet: bool) -> None:
    """Index the sample photos and run five queries on them.

    The best hits of each query are printed and drawn as a contact sheet. The demo has its own library (index_data/demo
    in a checkout) and does not change yours. The contact sheet is saved next to that library (index_data/demo.jpg).
    """
    from searcher.datasets.samples import sample_photos
    from searcher.library import Library, default_library_dir

    if photos is None:
        paths, queries, name = sample_photos(), SAMPLE_QUERIES, "demo"
    else:
        photos = Path(os.path.expanduser(photos)).absolute()
        paths, queries, name = [photos], OWN_QUERIES, f"demo-{_short_digest(photos)}"
    library_dir = library_dir or default_library_dir() / name
    sheet = library_dir.with_name("demo.jpg").absolute()
    with Library.open(library_dir, create=True) as library:
        with reporting("Indexing", quiet) as progress:
            report = library.index(*paths, progress=progress)
        for line in report.notices:
            note(line, quiet)
        images = library.status().images
        if not images:
            if not quiet:
                click.echo(f"No photos found in {printable(str(photos))}.")
            return
        new = f"{report.added:,} of them new" if report.added else "nothing new"
        if not quiet:
            click.echo(f"{plural(images, 'photo')}, {new} ({report.seconds:.1f} s)")
        search_all(library, queries, sheet, names_only=photos is None)
    if quiet:
        return
    click.echo(f"\nContact sheet: {printable(str(sheet))}")
    click.echo('Try your own photos: searcher index ~/Pictures, then searcher search "a dog on the beach"')


def search_all(library: "Library", queries: tuple[str, ...], sheet: Path, names_only: bool) -> None:
    """Print the first PRINTED hits of each query, and draw the first DRAWN hits as the contact sheet `sheet`."""
    from searcher.drawing.sheet import SheetCell, SheetRow, contact_sheet

    rows = []
    for query in queries:
        hits = library.search(query, top=DRAWN)
        doubt = " (nothing seems to match)" if hits.nothing_fits else ""
        click.echo(f"\n{query}{click.style(doubt, fg='yellow')}")
        for hit in hits[:PRINTED]:
            shown = Path(hit.path).name if names_only else hit.path
            click.echo(f"  {hit.rank}  {click.style(hit_number(hit), fg='cyan')}  {printable(shown)}")
        rows.append(SheetRow(query + doubt, [SheetCell(hit.path, hit_number(hit).strip()) for hit in hits]))
    contact_sheet(rows, sheet)


def _short_digest(path: Path) -> str:
    """Hash a folder's path to 8 hex digits, so that each folder gets its own demo library."""
    return blake2b(os.fsencode(path), digest_size=4).hexdigest()
