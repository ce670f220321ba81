"""`searcher index`: embed folders of photos."""

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
    progress_bar,
    quiet_option,
    show_path,
)

if TYPE_CHECKING:
    from searcher.indexer import IndexReport

SHOWN_FAILURES = 5


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--tag", is_flag=True, help="Then give new photos the labels that `searcher tag` was asked for before.")
@library_option
@model_option
@json_option
@quiet_option
def command(
    paths: tuple[Path, ...], tag: bool, library_dir: Path | None, model: str | None, as_json: bool, quiet: bool
) -> None:
    """Embed the photos in PATHS (folders or files) so that they can be searched.

    Run it again whenever you like: only what is new or changed is embedded. Without PATHS, every folder that
    was indexed before is looked through again. Photos are only read, never modified; Ctrl-C keeps what is
    done so far.

    With another --model than the library's, all its photos are embedded anew; searches use the old model until
    that is complete, and then the new one.
    """
    from searcher.library import Library

    def notice(line: str) -> None:
        note(show_path(line), quiet)

    asked = None
    with Library.open(library_dir, model=model, create=bool(paths)) as library:
        with progress_bar("Indexing", quiet) as progress:
            report = library.index(*paths, progress=progress, notice=notice)
        if tag and library.reader().model() is not None:
            from searcher.tagger import tag_new

            with progress_bar("Tagging", quiet) as progress:
                asked = tag_new(library, progress or (lambda done, total: None), notice)
    for line in report.notices:
        notice(line)
    if as_json:
        print_json(report.as_dict() | ({} if asked is None else {"tagged": asked}))
    elif not quiet:
        show_report(report)
        if asked:
            click.echo(f"{plural(asked, 'photo')} asked for labels: searcher tags")


def show_report(report: "IndexReport") -> None:
    """The outcome in a few lines: what was done, then the first files that failed."""
    counts = report.as_dict()
    embedded = report.added + report.changed
    rate = f", {embedded / report.seconds:.0f} photos a second" if embedded and report.seconds > 0 else ""
    names = ("added", "changed", "moved", "removed", "unchanged", "failed")
    parts = [f"{counts[name]:,} {name}" for name in names if counts[name]]
    if not parts:
        click.echo("No photos found.")
        return
    click.echo(f"{', '.join(parts)} ({report.seconds:.1f} s{rate})")
    if report.failed:
        for failure in counts["failures"][:SHOWN_FAILURES]:
            click.echo(f"  {show_path(failure['path'])}: {failure['error']}")
        more = "" if report.failed <= SHOWN_FAILURES else f"{report.failed - SHOWN_FAILURES:,} more; "
        click.echo(f"  {more}all of {plural(report.failed, 'file')}: searcher status --failed")
