# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH118
"""A complete index run, from the user's paths to the report.

A run that finds no changes takes little longer than listing the files. It opens no writer, and it loads neither
SQLAlchemy nor a model.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from searcher.catalog.records import Failure
from searcher.errors import SearcherError
from searcher.indexer import places
from searcher.indexer.changes import compare
from searcher.indexer.places import Scope

if TYPE_CHECKING:
    from searcher.catalog.reader import Reader
    from searcher.catalog.records import ModelRow, Root
    from searcher.catalog.writer import Writer
    from searcher.models import Model

Progress = Callable[[int, int | None], None]
Notice = Callable[[str], None]


class Target(Protocol):
    """What a run needs from the library that it updates."""

    folder: Path

    @property
    def exists(self) -> bool: ...

    @property
    def model(self) -> "Model": ...

    def new_model(self) -> "Model | None": ...

    def reader(self) -> "Reader": ...

    def derive(self, writer: "Writer", coming: "tuple[ModelRow, Model] | None" = None) -> None: ...


@dataclass(slots=True)
class Counts:
    """What a run did, as numbers of files."""

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index run did, as numbers of files.

    failed: files in the indexed folders that could not be read, in this or an earlier run. failures: these files, with
    the reasons. notices: lines for the user, for example about a missing folder. seconds: the duration of the run.
    """

    added: int
    changed: int
    moved: int
    removed: int
    unchanged: int
    failed: int
    seconds: float
    failures: tuple[Failure, ...]
    notices: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report without its notices, as `index --json` prints it."""
        return {
            "added": self.added,
            "changed": self.changed,
            "moved": self.moved,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "failures": [failure.as_dict() for failure in self.failures],
        }


def run(library: Target, paths: Sequence[str | Path], progress: Progress, notice: Notice) -> IndexReport:
    """Update the library with `paths`, or with all known roots if there are none.

    New and changed photos are embedded, and deleted ones are removed. Each batch is committed. After an interruption,
    the next run continues from there.

    progress(done, total): called with numbers of files; total is None while files are being counted. notice(line):
    called with messages that the user should see at once, such as a wait for another process. The other messages are
    in the report. Raises SearcherError.
    """
    start = time.monotonic()
    known = library.reader().roots() if library.exists else []
    if not paths and not known:
        raise SearcherError(f"nothing has been indexed into {library.folder} yet: name a folder")
    named = places.existing(paths, known, library.reader() if known else None)
    new_model = library.new_model()
    if not library.exists:
        _ = library.model  # if the model is missing, fail before anything is created
    progress(0, None)
    with ExitStack() as stack:
        notices = _begun(library)
        if new_model is not None:
            from searcher.indexer.reembed import reembed

            notices = reembed(library, new_model, progress, notice)
        scopes, found = _plan(library, known, named, notice)
        notices += found
        reader = library.reader()
        changes = compare(reader, scopes, lambda seen: progress(seen, None))
        notices += changes.notices
        counts = Counts(unchanged=changes.unchanged)
        if changes.any or not reader.is_derived():  # the last run was interrupted
            from searcher.catalog.writer import Writer
            from searcher.indexer.update import update

            writer = stack.enter_context(closing(Writer(library.folder, notice)))
            update(library, writer, changes, counts, progress)
    failures = _failures(library, scopes)
    return IndexReport(
        added=counts.added,
        changed=counts.changed,
        moved=counts.moved,
        removed=counts.removed,
        unchanged=counts.unchanged,
        failed=len(failures),
        seconds=time.monotonic() - start,
        failures=tuple(failures),
        notices=tuple(notices),
    )


def _begun(library: Target) -> list[str]:
    rows = library.reader().begun_models() if library.exists else []
    return [
        f"not all photos are embedded with {row.label} yet: continue with `searcher index --model …`" for row in rows
    ]


def _plan(
    library: Target, known: "Sequence[Root]", named: Sequence[bytes], notice: Notice
) -> tuple[list[Scope], list[str]]:
    """Return the parts of roots to be indexed, and notices. A folder that is not known becomes a root."""
    scopes = places.known_scopes(library.reader(), known, named) if known else None
    if scopes is not None:
        return scopes, []
    from searcher.catalog.writer import Writer

    with closing(Writer(library.folder, notice)) as writer, writer.transaction():
        return places.plan(writer, library.reader(), named)


def _failures(library: Target, scopes: Sequence[Scope]) -> list[Failure]:
    return [
        Failure(os.fsdecode(os.path.join(root.path, relpath)), error)
        for root, relpath, error in library.reader().failed()
        if any(scope.root.id == root.id and scope.holds(relpath) for scope in scopes)
    ]


def forget(library: Target, folder: str | Path) -> int:
    """Remove a root, a part of a root, or all roots inside a folder. Returns the number of removed images.

    Raises SearcherError if nothing in the folder was indexed.
    """
    path = places.absolute(folder)
    chosen = places.known_parts(library.reader().roots(), path)
    if not chosen:
        raise SearcherError(f"{os.fsdecode(path)} was never indexed")
    from searcher.catalog.writer import Writer

    with closing(Writer(library.folder)) as writer:
        with writer.transaction():
            count = sum(writer.forget(root.id, prefix) for root, prefix in chosen)
            if not count and all(prefix for _, prefix in chosen):
                raise SearcherError(f"nothing in {os.fsdecode(path)} was ever indexed")
        library.derive(writer)
    return count
