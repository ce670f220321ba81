"""`searcher watch`: keeps the library up to date while photos come and go."""

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from searcher.commands.common import (
    FilePath,
    Terminal,
    json_option,
    library_option,
    note,
    plural,
    print_json,
    printable,
    quiet_option,
)

if TYPE_CHECKING:
    from searcher.library import IndexReport


@click.command()
@click.argument("paths", nargs=-1, type=FilePath())
@click.option("--tag", is_flag=True, help="Also give new photos the labels of earlier `searcher tag` runs.")
@library_option
@json_option
@quiet_option
def command(paths: tuple[Path, ...], tag: bool, library_dir: Path | str | None, as_json: bool, quiet: bool) -> None:
    """Index PATHS, and index them again whenever something in them changes, until you press Ctrl-C.

    Without PATHS, all folders that were indexed before are watched. You can search, index and tag meanwhile. With
    --json, the report of each run is one line.
    """
    from searcher.library import Library

    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)  # a shell lets programs in the background ignore it
    told: tuple[str, ...] = ()
    try:
        with Library.open(library_dir, create=bool(paths)) as library:
            for number, report in enumerate(library.watch(*paths, progress=Terminal(quiet))):
                if report.notices != told:
                    told = report.notices
                    for line in told:
                        note(line, quiet)
                changed = bool(report.added or report.changed or report.moved or report.removed)
                asked = library.tag_new(Terminal(quiet)) if tag and changed else None
                if as_json:
                    print_json(report.as_dict() | ({} if asked is None else {"tagged": asked}), indent=None)
                elif not quiet and (changed or not number):
                    click.echo(f"{time.strftime('%H:%M:%S')}  {printable(_line(report))}")
    except KeyboardInterrupt:
        note("Stopped. Completed work is kept.", quiet)


def _stop(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _line(report: "IndexReport") -> str:
    counts = report.as_dict()
    parts = [f"{counts[name]:,} {name}" for name in ("added", "changed", "moved", "removed", "failed") if counts[name]]
    return f"{', '.join(parts) or plural(report.unchanged, 'photo')} ({report.seconds:.1f} s)"
