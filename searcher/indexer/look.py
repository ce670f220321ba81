# Paths are bytes here, because names need not be UTF-8 and pathlib does not know bytes.
# ruff: noqa: PTH118
"""The first half of an index run: what the user named, compared with the catalog.

A run that finds nothing changed ends here. It takes hardly longer than listing the files: no writer is opened, and
neither SQLAlchemy nor a model is loaded.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from searcher.catalog import Catalog
from searcher.errors import Failure, InvalidInput, NotFound
from searcher.indexer import places
from searcher.indexer.changes import Changes, compare
from searcher.indexer.places import Scope
from searcher.indexer.report import Counts, IndexReport, lines_about
from searcher.photos.rules import NO_CHANGE, OptionChange
from searcher.progress import SILENT, Progress

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Look:
    """What a run found, and what it did about it so far."""

    catalog: Catalog
    scopes: list[Scope]
    changes: Changes
    notices: list[str]
    counts: Counts = field(default_factory=Counts)

    def report(self, seconds: float) -> IndexReport:
        """What the run did, and every failure in the folders that were looked at."""
        failures = self._failures()
        return IndexReport(
            added=self.counts.added,
            changed=self.counts.changed,
            moved=self.counts.moved,
            removed=self.counts.removed,
            unchanged=self.counts.unchanged,
            failed=len(failures),
            seconds=seconds,
            failures=tuple(failures),
            notices=tuple(self.notices),
            passed_over=dict(self.changes.passed_over),
        )

    def _failures(self) -> list[Failure]:
        with self.catalog.read() as view:
            rows = view.files.failures()
        return [
            Failure(os.fsdecode(os.path.join(root.path, relpath)), error)
            for root, relpath, error in rows
            if self.holds(root.id, relpath)
        ]

    def holds(self, root_id: int, relpath: bytes) -> bool:
        """Whether the run looked at this file."""
        return any(scope.root.id == root_id and scope.holds(relpath) for scope in self.scopes)


def named_paths(catalog: Catalog, paths: Sequence[str | Path]) -> list[bytes]:
    """The absolute paths of what the user named; none means all known roots.

    Raises NotFound for a path that neither exists nor is known, InvalidInput if nothing is named and nothing is known.
    """
    if not catalog.exists:
        if not paths:
            raise InvalidInput(f"nothing was indexed into {catalog.folder} yet: name a folder")
        return places.existing(paths, None)
    with catalog.read() as view:
        if not paths and not view.files.roots():
            raise InvalidInput(f"nothing was indexed into {catalog.folder} yet: name a folder")
        return places.existing(paths, view)


def look(
    catalog: Catalog,
    named: Sequence[bytes],
    progress: Progress = SILENT,
    *,
    options: OptionChange = NO_CHANGE,
    retry: bool = False,
    check_content: bool = False,
) -> Look:
    """Compare `named` (absolute paths; none means all known roots) with the disk. A new folder becomes a root.

    `progress` is told how many files were seen. options: what changes about the named folders. retry,
    check_content: see `compare`.
    """
    if options != NO_CHANGE and not named:
        raise InvalidInput("options of a folder need the folder: name it")
    notices: list[str] = []
    scopes = None
    if catalog.exists and options == NO_CHANGE:
        with catalog.read() as view:
            scopes = places.known_scopes(view, named, notices)
    if scopes is None:
        with catalog.write(progress) as change:
            scopes, notices = places.plan(change, named, options)
    changes = compare(catalog, scopes, progress, retry=retry, check_content=check_content)
    new, perhaps, gone = len(changes.new), len(changes.perhaps), len(changes.gone)
    log.debug("new %d, perhaps changed %d, gone %d, unchanged %d", new, perhaps, gone, changes.unchanged)
    return Look(
        catalog=catalog,
        scopes=scopes,
        changes=changes,
        notices=notices + changes.notices + lines_about(changes.passed_over, changes.raw_unwanted),
        counts=Counts(unchanged=changes.unchanged),
    )


def forget(catalog: Catalog, folder: str | Path, progress: Progress = SILENT) -> int:
    """Forget a root, a part of one, or all roots inside a folder. Returns the number of images forgotten.

    Raises NotFound if nothing in the folder was indexed.
    """
    path = places.absolute(folder)
    with catalog.read() as view:
        chosen = places.known_parts(view.files.roots(), path)
    if not chosen:
        raise NotFound(f"{os.fsdecode(path)} was never indexed: `searcher status` lists the indexed folders")
    with catalog.write(progress) as change:
        count = sum(change.files.forget(root.id, prefix) for root, prefix in chosen)
        change.metadata.settle()
        if not count and all(prefix for _, prefix in chosen):
            raise NotFound(f"nothing in {os.fsdecode(path)} was ever indexed")
    return count
