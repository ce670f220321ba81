"""`searcher teach`: defines a label with a few example photos."""

from pathlib import Path

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    Terminal,
    json_option,
    library_option,
    plural,
    print_json,
    printable,
    quiet_option,
    reporting,
)


@click.command()
@click.argument("name", shell_complete=suggestions.labels)
@click.argument("examples", nargs=-1, type=FilePath())
@click.option(
    "--not",
    "against",
    multiple=True,
    type=FilePath(),
    metavar="PHOTO",
    help="A photo that does not show NAME. Can be repeated.",
)
@click.option(
    "--forget", is_flag=True, help="Delete the examples of NAME. Remove its labels with `searcher tag --clear`."
)
@library_option
@json_option
@quiet_option
def command(
    name: str,
    examples: tuple[Path, ...],
    against: tuple[Path, ...],
    forget: bool,
    library_dir: Path | str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Define the label NAME with EXAMPLES, a few photos that show it, and add it to the photos of the library.

    After that you can use NAME like any other label in `searcher tag --labels`, `classify` and `search --tag`. To
    replace the examples, teach the label again. A small copy of each example is stored in the library.
    """
    from searcher.library import Library

    name = " ".join(name.split())
    if not name:
        raise click.UsageError("A label needs a name.")
    if forget and (examples or against):
        raise click.UsageError("--forget cannot be combined with photos.")
    if not forget and not examples:
        raise click.UsageError(f'Give some example photos: searcher teach "{name}" a.jpg b.jpg c.jpg.')
    with Library.open(library_dir) as library:
        if forget:
            library.forget_label(name, Terminal(quiet))
            if as_json:
                print_json({"label": name, "forgotten": True})
            elif not quiet:
                click.echo(f"The examples of {printable(name)} are deleted.")
            return
        kept, kept_against = library.teach(name, examples, against, Terminal(quiet))
        with reporting("Tagging", quiet) as progress:
            report = library.tag([name], progress=progress)
    found = report.tagged[name]
    if as_json:
        print_json({"label": name, "examples": kept, "against": kept_against, "photos": found})
    elif not quiet:
        others = f" and {plural(kept_against, 'counterexample')}" if kept_against else ""
        click.echo(
            f"{printable(name)}: taught with {plural(kept, 'photo')}{others}; {plural(found, 'photo')} now labelled"
        )
        click.echo(f'Show them with: searcher search --tag "{printable(name)}"')
