"""`searcher demo`: index the sample photos (or a folder), search them, draw what was found."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import library_option, note, plural, progress_bar, quiet_option, show_path

if TYPE_CHECKING:
    from searcher.library import Library

SAMPLE_QUERIES = ("a cat", "a cup of coffee", "a motorcycle", "a flower", "an old temple")
OWN_QUERIES = ("a dog", "the sea", "food on a plate", "a flower", "a house")
PRINTED = 3
DRAWN = 5


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of your own instead of the sample photos.",
)
@library_option
@quiet_option
def command(photos: Path | None, library_dir: Path | None, quiet: bool) -> None:
    """Index the sample photos, print the best hits of five queries, and draw them as a contact sheet.

    The demo has a library of its own (index_data/demo in a checkout); yours is not touched. The sheet lies
    beside it (index_data/demo.jpg).
    """
    from searcher.library import Library, default_library_dir
    from searcher.photos.samples import sample_photos

    if photos is None:
        paths, queries, name = sample_photos(), SAMPLE_QUERIES, "demo"
    else:
        photos = photos.expanduser().absolute()
        paths, queries, name = [photos], OWN_QUERIES, f"demo-{_short_digest(photos)}"
    library_dir = library_dir or default_library_dir() / name
    sheet = library_dir.with_name("demo.jpg").absolute()
    with Library.open(library_dir, create=True) as library:
        with progress_bar("Indexing", quiet) as progress:
            report = library.index(*paths, progress=progress, notice=lambda line: note(show_path(line), quiet))
        for line in report.notices:
            note(show_path(line), quiet)
        images = library.status().images
        if not images:
            click.echo(f"No photos found in {show_path(str(photos))}.")
            return
        new = f"{report.added:,} of them new" if report.added else "nothing new"
        click.echo(f"{plural(images, 'photo')}, {new}; looked through in {report.seconds:.1f} s.")
        search_all(library, queries, sheet, names_only=photos is None)
    click.echo(f"\nContact sheet: {show_path(str(sheet))}")
    click.echo('Now your own: searcher index ~/Pictures, then searcher search "a dog on the beach"')


def search_all(library: "Library", queries: tuple[str, ...], sheet: Path, names_only: bool) -> None:
    """Print the first hits of each query and draw more of them at `sheet`."""
    from searcher.photos.sheet import SheetCell, SheetRow, contact_sheet

    rows = []
    for query in queries:
        hits = library.search(query, top=DRAWN)
        doubt = " (nothing seems to fit)" if hits.nothing_fits else ""
        click.echo(f"\n{query}{click.style(doubt, fg='yellow')}")
        for hit in hits[:PRINTED]:
            shown = Path(hit.path).name if names_only else hit.path
            click.echo(f"  {hit.rank}  {click.style(f'{hit.score:.3f}', fg='cyan')}  {show_path(shown)}")
        rows.append(SheetRow(query + doubt, [SheetCell(hit.path, f"{hit.score:.3f}") for hit in hits]))
    contact_sheet(rows, sheet)


def _short_digest(path: Path) -> str:
    """8 hex digits that tell one folder's demo library from another's."""
    return blake2b(os.fsencode(path), digest_size=4).hexdigest()
