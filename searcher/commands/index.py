"""`searcher index`: embeds folders of photos."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import (
    FilePath,
    json_option,
    library_option,
    model_option,
    note,
    plural,
    print_json,
    printable,
    quiet_option,
    reporting,
)

if TYPE_CHECKING:
    from searcher.library import IndexReport

SHOWN_FAILURES = 5


@click.command()
@click.argument("paths", nargs=-1, type=FilePath())
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out what matches, as in .gitignore: '*.png', 'Private/'. Can be repeated. Kept with the folders.",
)
@click.option("--no-exclude", is_flag=True, help="Drop the patterns that were given with --exclude before.")
@click.option(
    "--hidden/--no-hidden",
    default=None,
    help="Also index files and folders that begin with a dot. Kept with the folders.",
)
@click.option(
    "--follow-links/--no-follow-links",
    default=None,
    help="Also index what links to outside of the folder lead to. Kept with the folders.",
)
@click.option("--retry", is_flag=True, help="Also read unchanged files again that failed before.")
@click.option(
    "--raw",
    type=click.Choice(["all", "alone", "none"]),
    help="Which camera raw files to keep in the library: all, those alone (without a JPEG or HEIC of the same name "
    "beside them), or none. Without this option, new ones are added if they are alone, and none is removed. Kept with "
    "the folders.",
)
@click.option(
    "--check-content",
    is_flag=True,
    help="Read all photos, and take in those that changed although their size and time are the same.",
)
@click.option("--tag", is_flag=True, help="Also give new photos the labels of earlier `searcher tag` runs.")
@library_option
@model_option
@json_option
@quiet_option
def command(
    paths: tuple[Path, ...],
    exclude: tuple[str, ...],
    no_exclude: bool,
    hidden: bool | None,
    follow_links: bool | None,
    retry: bool,
    raw: str | None,
    check_content: bool,
    tag: bool,
    library_dir: Path | str | None,
    model: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Embed the photos in PATHS (folders or files), so that you can search them.

    You can run this command again at any time. It embeds only photos that are new or changed. Without PATHS, it updates
    all folders that were indexed before. Photos are never modified. If you press Ctrl-C, completed work is kept.

    If --model is not the library's current model, all photos are embedded again. Searches use the old model until this
    is complete, and then the new one.
    """
    from searcher.library import Library, OptionChange

    options = OptionChange(exclude, not no_exclude, hidden, follow_links, raw)
    if options != OptionChange() and not paths:
        raise click.UsageError("--exclude, --hidden, --follow-links and --raw are kept with a folder: name the folder.")
    asked = None
    with Library.open(library_dir, model=model, create=bool(paths)) as library:
        with reporting("Indexing", quiet) as progress:
            report = library.index(*paths, options=options, retry=retry, check_content=check_content, progress=progress)
        if tag and library.has_model:
            with reporting("Tagging", quiet) as progress:
                asked = library.tag_new(progress)
    for line in report.notices:
        note(line, quiet)
    if as_json:
        print_json(report.as_dict() | ({} if asked is None else {"tagged": asked}))
    elif not quiet:
        show_report(report)
        if asked:
            click.echo(f"{plural(asked, 'photo')} checked for labels; show them with: searcher tags")


def show_report(report: "IndexReport") -> None:
    """Print what was done, and then the first files that failed."""
    counts = report.as_dict()
    rate = (report.added + report.changed) / report.seconds if report.seconds > 0 else 0
    speed = f", {plural(round(rate), 'photo')} per second" if rate >= 1 else f", {rate:.2f} photos per second"
    names = ("added", "changed", "moved", "removed", "unchanged", "failed")
    parts = [f"{counts[name]:,} {name}" for name in names if counts[name]]
    if not parts:
        click.echo("No photos found.")
        return
    click.echo(f"{', '.join(parts)} ({report.seconds:.1f} s{speed if rate else ''})")
    if report.failed:
        for failure in counts["failures"][:SHOWN_FAILURES]:
            click.echo(printable(f"  {failure['path']}: {failure['error']}"))
        if report.failed > SHOWN_FAILURES:
            more = report.failed - SHOWN_FAILURES
            click.echo(f"  {more:,} more. List all failed files with: searcher status --failed")
