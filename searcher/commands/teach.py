"""`searcher teach`: a label made from a few photos."""

from pathlib import Path

import click

from searcher.commands.common import (
    json_option,
    library_option,
    note,
    plural,
    print_json,
    progress_bar,
    quiet_option,
    show_path,
)


@click.command()
@click.argument("name")
@click.argument("examples", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--not", "against", multiple=True, type=click.Path(path_type=Path), metavar="PHOTO", help="A photo that is not it."
)
@click.option("--forget", is_flag=True, help="Forget how NAME was taught; searcher tag --clear takes its labels back.")
@library_option
@json_option
@quiet_option
def command(
    name: str,
    examples: tuple[Path, ...],
    against: tuple[Path, ...],
    forget: bool,
    library_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Teach the label NAME by EXAMPLES, a few photos that show it, and give it to the photos of the library.

    From then on NAME is a label like any other: `searcher tag --labels`, `classify` and `search --tag` know it. Teach
    it again to replace its examples. A small copy of each is kept in the library.
    """
    from searcher.library import Library
    from searcher.tagger import ask, tag, teach

    name = " ".join(name.split())
    if not name:
        raise click.UsageError("A label needs a name.")
    if forget and (examples or against):
        raise click.UsageError("--forget takes no photos.")
    if not forget and not examples:
        raise click.UsageError(f'Name some photos, as in: searcher teach "{name}" a.jpg b.jpg c.jpg.')
    with Library.open(library_dir) as library:

        def notice(line: str) -> None:
            note(show_path(line), quiet)

        if forget:
            teach.forget(library, name, notice)
            if as_json:
                print_json({"label": name, "forgotten": True})
            elif not quiet:
                click.echo(f"{show_path(name)} is forgotten.")
            return
        kept, kept_against = teach.teach(library, name, examples, against, notice)
        with progress_bar("Tagging", quiet) as progress:
            report = tag(library, ask([name]), progress or (lambda done, total: None), notice)
    found = report.tagged[name]
    if as_json:
        print_json({"label": name, "examples": kept, "against": kept_against, "photos": found})
    elif not quiet:
        others = f" and {kept_against:,} against it" if kept_against else ""
        click.echo(
            f"{show_path(name)}: taught by {plural(kept, 'photo')}{others}; {plural(found, 'photo')} have it now"
        )
        click.echo(f'  searcher search --tag "{show_path(name)}"')
