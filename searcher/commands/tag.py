"""`searcher tag`: labels all photos of the library, and corrects the labels of single photos."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands import suggestions
from searcher.commands.common import (
    FilePath,
    PathOrUri,
    Terminal,
    library_option,
    note,
    plural,
    print_json,
    printable,
    quiet_option,
    reporting,
)
from searcher.commands.labelled import (
    check_question,
    csv_option,
    json_lines_option,
    print_photos,
    print_report,
    question_options,
)
from searcher.commands.tag_shards import refuse, shards_options, tag_shards
from searcher.errors import SearcherError
from searcher.filters import USER

if TYPE_CHECKING:
    from searcher.library import Library, Photo, Question, SidecarChange, TagEdit

SHOWN_FAILURES = 5


@click.command()
@click.argument("photos", nargs=-1, type=PathOrUri(), metavar="[PHOTO]...")
@question_options
@click.option(
    "--add",
    multiple=True,
    shell_complete=suggestions.labels,
    metavar="LABEL",
    help="Give LABEL to these photos by hand. Can be repeated.",
)
@click.option(
    "--remove",
    multiple=True,
    shell_complete=suggestions.labels,
    metavar="LABEL",
    help="Take LABEL away from these photos. Later runs do not give it to them again. Can be repeated.",
)
@click.option(
    "--list", "as_list", is_flag=True, help="Print one line per photo instead of the number of photos per label."
)
@click.option("--xmp", is_flag=True, help="Write the labels to XMP sidecars next to the photos.")
@click.option("--adobe", is_flag=True, help="Name new sidecars photo.xmp (for raw files in Lightroom and Camera Raw).")
@click.option("--link-to", type=FilePath(), metavar="DIR", help="Also create links to the photos in DIR/<label>/.")
@click.option("--clear", is_flag=True, help="Remove labels that searcher gave: all of them, or those in --labels.")
@click.option("--dry-run", is_flag=True, help="Show what would change, but change nothing.")
@shards_options
@library_option
@json_lines_option
@csv_option
@quiet_option
def command(
    photos: tuple[Path | str, ...],
    labels: str | None,
    one: bool,
    top: int | None,
    min_relevance: float | None,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    as_list: bool,
    xmp: bool,
    adobe: bool,
    link_to: Path | None,
    clear: bool,
    dry_run: bool,
    parquet: str | None,
    engine: str | None,
    address: str | None,
    model: str | None,
    library_dir: Path | str | None,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> None:
    """Add labels to all photos of the library. This uses the stored embeddings and opens no photos.

    By default each label is judged by itself, and a photo can get several labels or none. It gets a label if the label
    is more probable than not. With --one, each photo gets the label that fits best.

    You can run this command again at any time. It checks only new photos. Labels that you name again are replaced.

    With --add and --remove, correct the labels of single photos of the library. A label that you removed comes back
    only if you add it. Copies of a photo get and lose labels together.

    Photos are never modified. --xmp writes the labels to a small file next to each photo. Later runs remove only what
    searcher wrote there. If a sidecar could not be written, the exit code is 1.

    With --parquet, add labels to the photos in Parquet files that `searcher embed` wrote, not to a library. Each file
    gets the columns `labels` and `probabilities`.
    """
    if as_json and as_csv:
        raise click.UsageError("Use either --json or --csv, not both.")
    if adobe and not xmp:
        raise click.UsageError("--adobe works only together with --xmp.")
    if parquet is None and (engine or address or model is not None):
        raise click.UsageError("--engine, --address and --model work only together with --parquet.")
    if parquet is not None:
        others = {"PHOTO": photos, "--add": add, "--remove": remove, "--list": as_list, "--xmp": xmp}
        others |= {"--link-to": link_to, "--clear": clear, "--dry-run": dry_run, "--library": library_dir}
        refuse(others)
    by_hand = bool(add or remove)
    asked = labels is not None or one or top or min_relevance is not None
    if by_hand and (asked or clear or link_to or as_list or as_csv):
        raise click.UsageError(
            "--add and --remove cannot be combined with --labels, --one, --top, --min-relevance, --clear, --link-to, "
            "--list or --csv."
        )
    if by_hand and not photos:
        raise click.UsageError('Give the photos, for example: searcher tag --add "Anna" a.jpg b.jpg.')
    if photos and not by_hand:
        raise click.UsageError(
            "Photos can be named only with --add or --remove. To label single files, use `searcher classify`."
        )
    if both := {" ".join(name.split()) for name in add} & {" ".join(name.split()) for name in remove}:
        raise click.UsageError(f"The label {min(both)!r} is both added and removed. Choose one.")
    if labels is None and not (clear or by_hand):
        raise click.UsageError("Give the labels, for example: searcher tag --labels cat,dog,car.")
    if clear and (one or top or link_to or min_relevance is not None):
        raise click.UsageError(
            "--clear removes labels. It cannot be combined with --one, --top, --min-relevance or --link-to."
        )
    check_question(one, min_relevance)

    from searcher.library import Library

    question = None if labels is None else Library.ask(labels, one=one, top=top, min_relevance=min_relevance)
    if parquet is not None and question is not None:
        tag_shards(parquet, question, model, engine, address, as_json, as_csv, quiet)
        return
    with Library.open(library_dir) as library:
        outputs = _Outputs(library, xmp, adobe, link_to, dry_run, as_json, as_csv, as_list, quiet)
        if by_hand:
            outputs.edit(photos, add, remove)
        elif clear:
            outputs.clear(None if question is None else question.names)
        elif question is not None:
            outputs.tag(question)
    if outputs.problem is not None:
        raise SearcherError(outputs.problem)


def _only_yours(photo: "Photo") -> "Photo":
    """A photo with only those of its labels that a person gave."""
    return photo._replace(tags=tuple(tag for tag in photo.tags if tag.source == USER))


class _Outputs:
    """The outputs that the options ask for: printed results, sidecars and links."""

    def __init__(
        self,
        library: "Library",
        xmp: bool,
        adobe: bool,
        link_to: Path | None,
        dry_run: bool,
        as_json: bool,
        as_csv: bool,
        as_list: bool,
        quiet: bool,
    ) -> None:
        self.library, self.xmp, self.adobe, self.link_to = library, xmp, adobe, link_to
        if xmp:
            self.write_sidecars = library.write_sidecars  # now: a library without a folder has none, and says so
        self.problem: str | None = None  # what could not be written
        self.dry_run, self.as_json, self.as_csv, self.as_list, self.quiet = dry_run, as_json, as_csv, as_list, quiet

    @property
    def for_people(self) -> bool:
        return not (self.as_json or self.as_csv)

    def notice(self, line: str) -> None:
        note(line, self.quiet)

    def photos(self, question: "Question", progress: Terminal) -> "Iterable[Photo]":
        """Every photo with its labels; each call reads them again."""
        if self.dry_run:
            return self.library.preview_tags(question, progress)
        return self.library.tagged(question.names)

    def tag(self, question: "Question") -> None:
        with reporting("Tagging", self.quiet) as progress:
            report = None if self.dry_run else self.library.tag(question, progress=progress)
        if self.as_list or not self.for_people or report is None:
            print_photos(self.photos(question, Terminal(self.quiet)), self.as_json, self.as_csv)
        elif not self.quiet:
            print_report(report)
        parents = {label.name: label.parent for label in question.labels}
        if self.xmp:
            self._write_sidecars(self.photos(question, Terminal(quiet=True)), parents)
        if self.link_to is not None:
            self._link(self.photos(question, Terminal(quiet=True)), list(parents), self.link_to)

    def clear(self, names: list[str] | None) -> None:
        gone = self.library.untag(names, Terminal(self.quiet), dry_run=self.dry_run)
        chosen = self.library.labels() if names is None else names
        if self.as_json:
            print_json({"cleared": gone}, indent=None)
        elif not self.quiet:
            click.echo(f"{plural(gone, 'label')} {'would be removed' if self.dry_run else 'removed'}")
        if self.xmp:
            self._write_sidecars(map(_only_yours, self.library.tagged(chosen)), dict.fromkeys(chosen), "cleared")

    def edit(self, photos: Sequence[Path | str], add: Sequence[str], remove: Sequence[str]) -> None:
        edit = self.library.edit_tags(
            photos, add=add, remove=remove, dry_run=self.dry_run, progress=Terminal(self.quiet)
        )
        if self.as_json:
            print_json({"photos": edit.photos, "added": edit.added, "removed": edit.removed}, indent=None)
        elif not self.quiet:
            self._show_edit(edit)
        for label, below in edit.narrower.items():
            self.notice(
                f"“{label}” is still found through the narrower label{'s' * (len(below) > 1)} {', '.join(below)}."
            )
        if self.xmp:
            parents = dict.fromkeys([*edit.added, *edit.removed])
            self._write_sidecars(edit.images, parents, insist=True)

    def _show_edit(self, edit: "TagEdit") -> None:
        would = "would be " if self.dry_run else ""
        for label, count in edit.added.items():
            rest = f", {edit.photos - count:,} had it already" if count < edit.photos else ""
            click.echo(f"“{printable(label)}” {would}added to {plural(count, 'photo')}{rest}")
        for label, count in edit.removed.items():
            rest = f", {edit.photos - count:,} did not have it" if count < edit.photos else ""
            click.echo(f"“{printable(label)}” {would}removed from {plural(count, 'photo')}{rest}")

    def _link(self, photos: "Iterable[Photo]", names: list[str], folder: Path) -> None:
        links = self.library.link_photos(photos, names, folder, dry_run=self.dry_run)
        would = "would be " if self.dry_run else ""
        self.notice(
            f"{plural(links.made, 'link')} {would}made in {folder}, {links.kept:,} kept, "
            f"{links.removed:,} {would}removed"
        )

    def _write_sidecars(
        self,
        photos: "Iterable[Photo]",
        parents: "Mapping[str, str | None]",
        done: str = "written",
        *,
        insist: bool = False,
    ) -> None:
        """parents: each label with its broader label, or with None to look it up in the catalog. done: what happens to
        the sidecars. insist: see `Library.write_sidecars`.
        """
        report = self.write_sidecars(
            photos, parents, adobe=self.adobe, insist=insist, dry_run=self.dry_run, progress=Terminal(self.quiet)
        )
        for change in report.changes:
            self._show_change(change)
        would = "would be " if self.dry_run else ""
        missing = f", {plural(report.missing, 'photo')} missing" if report.missing else ""
        self.notice(f"{plural(report.changed, 'sidecar')} {would}{done}, {report.unchanged:,} unchanged{missing}")
        for failure in report.failures[1:SHOWN_FAILURES]:
            self.notice(failure)
        if report.failures:
            self.problem = f"{plural(len(report.failures), 'sidecar')} could not be written: {report.failures[0]}"

    def _show_change(self, change: "SidecarChange") -> None:
        """Print the change to one sidecar. It goes to stdout, or to stderr if stdout has JSON or CSV."""
        tags = [f"+{'|'.join(tag)}" for tag in change.added] + [f"-{'|'.join(tag)}" for tag in change.removed]
        line = f"{printable(change.path)}  {' '.join(printable(tag) for tag in tags)}"
        click.echo(line, err=not self.for_people)
