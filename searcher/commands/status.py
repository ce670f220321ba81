"""`searcher status`: shows what the library contains."""

from pathlib import Path

import click

from searcher.commands.common import (
    json_option,
    library_option,
    plural,
    print_json,
    printable,
    show_bytes,
    why_missing,
)


@click.command()
@click.option(
    "--failed", "list_failed", is_flag=True, help="List the files that could not be indexed, with the reasons."
)
@library_option
@json_option
def command(list_failed: bool, library_dir: Path | str | None, as_json: bool) -> None:
    """Show the library's folders, its number of photos, its model and its size."""
    from searcher.library import Library

    with Library.open(library_dir) as library:
        if list_failed:
            failures = [failure.as_dict() for failure in library.failures()]
            if as_json:
                print_json(failures)
                return
            for failure in failures:
                click.echo(printable(f"{failure['path']}: {failure['error']}"))
            if not failures:
                click.echo("All photos were indexed.")
            return
        status = library.status()
    if as_json:
        print_json(status.as_dict())
        return
    pending = f", {plural(status.pending, 'newer vector')} not in it yet" if status.pending else ""
    hint = " (searcher status --failed)" if library.has_folder else ""
    failed = f", {plural(status.failed, 'file')} failed{hint}" if status.failed else ""
    size = "" if status.bytes is None else f" ({show_bytes(status.bytes)})"
    click.echo(f"Library  {printable(status.library)}{size}")
    click.echo(f"Model    {status.model or 'none yet'}")
    click.echo(f"Photos   {status.images:,}{failed}")
    click.echo(f"Index    {status.kind}, {plural(status.vectors, 'vector')}{pending}")
    for number, root in enumerate(status.roots):
        missing = why_missing(root) if root in status.missing else ""
        click.echo(f"{'' if number else 'Folders':<9}{printable(root)}{missing}")
