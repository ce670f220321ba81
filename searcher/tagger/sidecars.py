"""Writes labels to XMP sidecars, and records in the catalog what it wrote. It removes only recorded entries.

The entries to write are committed before the file is changed, and the result is committed afterwards. So even after
an interruption the catalog knows which entries are ours, and they are never mistaken for the user's.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from searcher.catalog import Catalog
from searcher.catalog.rows import Photo, SidecarRow
from searcher.datasets.labels import lineage
from searcher.errors import SearcherError
from searcher.progress import SILENT, Progress
from searcher.sidecars import (
    Sidecar,
    Tag,
    entries,
    read_sidecar,
    remove_leftovers,
    sidecar_path,
    update_sidecar,
)

AT_ONCE = 200  # sidecars per commit


class SidecarChange(NamedTuple):
    """A change that a dry run would make to one sidecar. path: absolute. added, removed: tags, as paths of names."""

    path: str
    added: tuple[Tag, ...]
    removed: tuple[Tag, ...]


@dataclass(slots=True)
class SidecarReport:
    """The result of writing sidecars.

    `changed`: the number of sidecars that were changed, or that would be in a dry run. `unchanged`: the number of
    photos that needed no change. `missing`: the number of photos whose files are missing. `failures`: error messages,
    one line per sidecar that could not be changed. `changes`: what a dry run would change, in the order of the photos.
    """

    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    failures: list[str] = field(default_factory=list)
    changes: list[SidecarChange] = field(default_factory=list)


class _Plan(NamedTuple):
    before: SidecarRow | None
    after: SidecarRow


def write_sidecars(
    catalog: Catalog,
    photos: Iterable[Photo],
    parents: Mapping[str, str | None],
    *,
    adobe: bool = False,
    insist: bool = False,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> SidecarReport:
    """Write the labels of photos to their sidecars, and remove our entries for labels that a photo no longer has.

    photos: photos with the labels that their sidecars should have.
    parents: all labels to write or remove, each with its broader label, or with None to look it up in the catalog.
    Entries that we wrote earlier for labels that are not in `parents` stay.
    adobe: name new sidecars photo.xmp instead of photo.jpg.xmp.
    insist: also write tags that the user removed from a sidecar, because the user has now asked for them.
    dry_run: change no file and no record, and list the changes in the report.
    progress: gets a notice if another writer must be waited for.

    Without `insist`, if the user removed one of our tags from a sidecar, it is not written again until the sidecar is
    deleted. A sidecar that cannot be changed stays the same, and is reported in `failures`. Raises SearcherError if the
    catalog cannot be read or written.
    """
    report = SidecarReport()
    job = _Job(catalog, parents, report, adobe=adobe, insist=insist, dry_run=dry_run)
    remaining = iter(photos)
    while some := list(islice(remaining, AT_ONCE)):
        plans, moved = job.plan(some)
        if dry_run or not (plans or moved):
            continue
        with catalog.write(progress) as change:
            change.sidecars.remove(moved)
            change.sidecars.put(_intended(plan) for plan in plans)
        for folder in {
            plan.after.path.rpartition(b"/")[0] for plan in plans if plan.before and not plan.before.written
        }:
            remove_leftovers(folder)  # the run that wrote there last was killed
        done = [job.write(plan) for plan in plans]
        with catalog.write(progress) as change:
            change.sidecars.put(row for row in done if _has_ours(row))
            change.sidecars.remove(row.path for row in done if not _has_ours(row))
    return report


def _intended(plan: _Plan) -> SidecarRow:
    """The record to store while the file is changed. The file can then have the old entries, the new ones, or both."""
    earlier = plan.before.entries if plan.before else ()
    return plan.after._replace(entries=tuple(dict.fromkeys([*earlier, *plan.after.entries])), written=False)


def _has_ours(row: SidecarRow) -> bool:
    """Whether a record is still needed."""
    return bool(row.tags or row.refused or row.entries)


class _Job:
    """What is to be written, and where: plans changes, and counts them in the report."""

    def __init__(
        self,
        catalog: Catalog,
        parents: Mapping[str, str | None],
        report: SidecarReport,
        *,
        adobe: bool,
        insist: bool,
        dry_run: bool,
    ) -> None:
        with catalog.read() as view:
            labels = view.tags.labels()
        known = {label.name: labels[label.parent].name for label in labels.values() if label.parent is not None}
        self._parents = known | {name: parent for name, parent in parents.items() if parent is not None}
        self._catalog, self._names, self._adobe = catalog, parents.keys(), adobe
        self._insist, self._dry_run, self._report = insist, dry_run, report

    def plan(self, photos: Sequence[Photo]) -> tuple[list[_Plan], list[bytes]]:
        """Plan the changes. Also returns the paths of moved or deleted sidecars, so that their records are removed."""
        there = [photo for photo in photos if os.path.lexists(photo.path_bytes)]
        self._report.missing += len(photos) - len(there)
        paths = [sidecar_path(photo.path_bytes, adobe=self._adobe) for photo in there]
        with self._catalog.read() as view:
            memory = {row.path: row for row in view.sidecars.of([photo.id for photo in there], paths)}
        gone: list[bytes] = []
        plans = []
        for photo, path in zip(there, paths, strict=True):
            before = memory.get(path)
            for row in list(memory.values()):
                if row.image_id == photo.id and row.path != path and not os.path.lexists(row.path):
                    gone.append(row.path)
                    del memory[row.path]
                    if before is None and os.path.lexists(path):  # it was moved together with the photo
                        before = row
            try:
                plan = self._plan(photo, path, before)
            except SearcherError as error:
                self._report.failures.append(str(error))
                continue
            if plan is None:
                self._report.unchanged += 1
            else:
                plans.append(plan)
        return plans, gone

    def _plan(self, photo: Photo, path: bytes, before: SidecarRow | None) -> _Plan | None:
        wanted = {lineage(tag.label, self._parents) for tag in photo.tags}
        if before is None and not wanted:
            return None
        exists = os.path.lexists(path)
        kept = [tag for tag in before.tags if tag[-1] not in self._names] if before else []
        refused = set(before.refused) if before and exists else set()  # deleting the file allows all tags again
        old = set(before.tags) if before else set()
        if before is not None and before.written:
            as_left = before.path == path and exists == bool(before.entries)
            if as_left and set(before.tags) == (wanted - refused).union(kept) and not (self._insist and wanted):
                return None  # tags that the user removed are noticed only when there is something to change
            present = read_sidecar(path)
            lost = {tag for tag in before.tags if present is not None and not _holds(present, tag)}
            refused, old = refused | lost, old - lost
        if self._insist:
            refused -= wanted
        asked = {tag for tag in refused if tag in wanted or tag[-1] not in self._names}
        tags = [tag for tag in dict.fromkeys([*kept, *sorted(wanted)]) if tag not in asked]
        ours = before.entries if before else ()
        result = update_sidecar(path, tags, ours, write=False)
        after = SidecarRow(path, photo.id, tuple(tags), tuple(sorted(asked)), result.added, True)
        if result.changed:
            self._report.changed += 1
            if self._dry_run:
                added, removed = tuple(sorted(set(tags) - old)), tuple(sorted(old - set(tags)))
                self._report.changes.append(SidecarChange(os.fsdecode(path), added, removed))
        else:
            self._report.unchanged += 1
        return _Plan(before, after)

    def write(self, plan: _Plan) -> SidecarRow:
        """Change the file. Returns the record to store for it."""
        ours = plan.before.entries if plan.before else ()
        try:
            result = update_sidecar(plan.after.path, plan.after.tags, ours)
        except SearcherError as error:
            self._report.failures.append(str(error))
            self._report.changed -= 1
            nothing = SidecarRow(plan.after.path, plan.after.image_id, (), (), (), True)
            return nothing if plan.before is None else plan.before._replace(path=plan.after.path)
        return plan.after._replace(entries=result.added, written=True)


def _holds(sidecar: Sidecar, tag: Tag) -> bool:
    """Whether at least one of the sidecar's three lists has the tag."""
    names = {*sidecar.subjects, *sidecar.hierarchical, *sidecar.tags_list}
    return any(entry.partition("=")[2] in names for entry in entries(tag))
