"""`searcher tag`: labels for the whole library."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searcher.commands.common import (
    Progress,
    library_option,
    note,
    plural,
    print_json,
    progress_bar,
    quiet_option,
    show_path,
)
from searcher.commands.labelled import (
    csv_option,
    json_lines_option,
    print_counts,
    print_photos,
    question_options,
    warn_of,
)

if TYPE_CHECKING:
    from searcher.library import Library
    from searcher.tagger.question import Question
    from searcher.tagger.run import Tagged
    from searcher.tagger.sidecars import SidecarChange

SHOWN_LABELS = 20
SHOWN_FAILURES = 5
Photos = Callable[[], "Iterable[Tagged]"]  # each call reads them anew


@click.command()
@question_options
@click.option("--list", "as_list", is_flag=True, help="Print a line a photo, and not only how many have each label.")
@click.option("--xmp", is_flag=True, help="Write the labels into XMP sidecars beside the photos.")
@click.option("--adobe", is_flag=True, help="Call new sidecars photo.xmp (for raw files in Lightroom and Camera Raw).")
@click.option("--link-to", type=click.Path(path_type=Path), metavar="DIR", help="Sort links into DIR/<label>/, too.")
@click.option("--clear", is_flag=True, help="Take back what was given: all labels, or those of --labels.")
@click.option("--dry-run", is_flag=True, help="Show what would be given and written; change nothing.")
@library_option
@json_lines_option
@csv_option
@quiet_option
def command(
    labels: str | None,
    one: bool,
    top: int | None,
    as_list: bool,
    xmp: bool,
    adobe: bool,
    link_to: Path | None,
    clear: bool,
    dry_run: bool,
    library_dir: Path | None,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> None:
    """Give labels to all photos of the library, from what was computed when they were indexed.

    Without --one each label is judged by itself, and a photo may get none. Run it again whenever you like: only new
    photos are asked, and labels that are named again are replaced. Photos are never modified; with --xmp the labels
    go into a small file beside each photo, and only what searcher wrote there is ever taken out again.
    """
    if as_json and as_csv:
        raise click.UsageError("Say either --json or --csv, not both.")
    if adobe and not xmp:
        raise click.UsageError("--adobe says how --xmp names new sidecars: say --xmp, too.")
    if labels is None and not clear:
        raise click.UsageError("Say which labels, as in: searcher tag --labels cat,dog,car.")
    if clear and (one or top or link_to):
        raise click.UsageError("--clear takes labels back; it goes with --labels, --xmp and --dry-run only.")

    from searcher.library import Library
    from searcher.tagger import ask

    question = None if labels is None else ask(labels, one, top)
    with Library.open(library_dir) as library:
        outputs = _Outputs(library, xmp, adobe, link_to, dry_run, as_json, as_csv, as_list, quiet)
        if clear:
            outputs.clear(None if question is None else question.names)
        elif question is not None:
            outputs.tag(question)


class _Outputs:
    """What was asked for beside the labels themselves."""

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
        self.dry_run, self.as_json, self.as_csv, self.as_list, self.quiet = dry_run, as_json, as_csv, as_list, quiet

    @property
    def for_people(self) -> bool:
        return not (self.as_json or self.as_csv)

    def notice(self, line: str) -> None:
        note(show_path(line), self.quiet)

    def tag(self, question: "Question") -> None:
        from searcher.tagger import tag, tagged_photos, would_tag

        warn_of(question, self.library.model, self.quiet)
        with progress_bar("Tagging", self.quiet) as bar:
            progress: Progress = bar or (lambda done, total: None)
            if self.dry_run:
                photos: Photos = lambda: would_tag(self.library, question, progress)  # noqa: E731
            else:
                report = tag(self.library, question, progress, self.notice)
                photos = lambda: tagged_photos(self.library, question.names)  # noqa: E731
        if self.as_list or not self.for_people or self.dry_run:
            print_photos(photos(), self.as_json, self.as_csv)
        elif not self.quiet:
            counts = [(label, count) for label, count in report.tagged.items() if count]
            print_counts(counts, SHOWN_LABELS)
            given = sum(report.tagged.values())
            asked = "nothing new" if not report.asked else f"{report.asked:,} asked now"
            click.echo(f"{plural(report.photos, 'photo')} ({asked}), {plural(given, 'label')} given")
        self.write(photos, {label.name: label.parent for label in question.labels})

    def clear(self, names: list[str] | None) -> None:
        from searcher.catalog.tags import TagReader
        from searcher.tagger import clear, tagged_photos

        tags = TagReader(self.library.reader())
        counts = {count.label: count.photos for count in tags.counts() if count.source not in ("user", "file")}
        gone = sum(count for label, count in counts.items() if names is None or label in names)
        if not self.dry_run:
            gone = clear(self.library, names, self.notice)
        chosen = [label.name for label in tags.labels().values()] if names is None else names
        if self.as_json:
            print_json({"cleared": gone}, indent=None)
        elif not self.quiet:
            click.echo(f"{plural(gone, 'label')} {'would be taken' if self.dry_run else 'taken'} back")
        if self.xmp:
            self.write(
                lambda: (photo._replace(tags=()) for photo in tagged_photos(self.library, [])), dict.fromkeys(chosen)
            )

    def write(self, photos: Photos, parents: "Mapping[str, str | None]") -> None:
        """Sidecars and links, where they are wanted. `parents`: the labels, each with the wider one that is given."""
        if self.xmp:
            self._write_sidecars(photos, parents)
        if self.link_to is not None:
            from searcher.tagger.links import link_photos

            links = link_photos(photos(), list(parents), self.link_to, self.dry_run)
            would = "would be " if self.dry_run else ""
            self.notice(
                f"{plural(links.made, 'link')} {would}made in {self.link_to}, {links.kept:,} kept, "
                f"{links.removed:,} {would}removed"
            )

    def _write_sidecars(self, photos: Photos, parents: "Mapping[str, str | None]") -> None:
        from searcher.tagger.sidecars import write_sidecars

        report = write_sidecars(
            self.library,
            photos(),
            parents,
            adobe=self.adobe,
            dry_run=self.dry_run,
            tell=self._tell if self.dry_run else None,
            notice=self.notice,
        )
        would = "would be " if self.dry_run else ""
        away = f", {plural(report.away, 'photo')} not there now" if report.away else ""
        self.notice(f"{plural(report.changed, 'sidecar')} {would}written, {report.unchanged:,} unchanged{away}")
        for failure in report.failures[:SHOWN_FAILURES]:
            self.notice(failure)
        if len(report.failures) > SHOWN_FAILURES:
            self.notice(f"{len(report.failures) - SHOWN_FAILURES:,} more sidecars were left as they are")

    def _tell(self, change: "SidecarChange") -> None:
        """A sidecar that would be changed: for people on stdout, beside JSON or CSV on stderr."""
        tags = [f"+{'|'.join(tag)}" for tag in change.added] + [f"-{'|'.join(tag)}" for tag in change.removed]
        line = f"{show_path(change.path)}  {' '.join(show_path(tag) for tag in tags)}"
        click.echo(line, err=not self.for_people)
