"""`searcher status`: what the library holds."""

from pathlib import Path

import click

from searcher.commands.common import (
    json_option,
    library_option,
    plural,
    print_json,
    show_bytes,
    show_path,
)


@click.command()
@click.option("--failed", "list_failed", is_flag=True, help="List the files that could not be indexed, and why.")
@library_option
@json_option
def command(list_failed: bool, library_dir: Path | None, as_json: bool) -> None:
    """Say which folders the library covers, how many photos it holds, and which model embedded them."""
    from searcher.library import Library

    with Library.open(library_dir) as library:
        if list_failed:
            failures = [failure.as_dict() for failure in library.failures()]
            if as_json:
                print_json(failures)
                return
            for failure in failures:
                click.echo(f"{show_path(failure['path'])}: {failure['error']}")
            if not failures:
                click.echo("Every photo was indexed.")
            return
        status = library.status()
    if as_json:
        print_json(status.as_dict())
        return
    pending = f", {plural(status.pending, 'newer vector')} beside it" if status.pending else ""
    failed = f", {plural(status.failed, 'file')} failed (searcher status --failed)" if status.failed else ""
    click.echo(f"Library  {show_path(status.library)} ({show_bytes(status.bytes)})")
    click.echo(f"Model    {status.model or 'none yet'}")
    click.echo(f"Photos   {status.images:,}{failed}")
    click.echo(f"Index    {status.kind}, {plural(status.vectors, 'vector')}{pending}")
    for number, root in enumerate(status.roots):
        away = click.style("  (not there now)", fg="yellow") if root in status.missing else ""
        click.echo(f"{'' if number else 'Folders':<9}{show_path(root)}{away}")
