# Paths are bytes here, since names need not be UTF-8, and pathlib knows no bytes.
# ruff: noqa: PTH118
"""One index run, from what the user named to the report."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher import query
from searcher.catalog.connect import ReadOnlyError
from searcher.catalog.reader import Reader
from searcher.catalog.records import Place, Root
from searcher.catalog.writer import Writer
from searcher.errors import SearcherError
from searcher.indexer import places
from searcher.indexer.changes import Changes, compare
from searcher.indexer.commit import Committer, Counts, is_gone
from searcher.indexer.pipeline import BATCH_SIZE, Contents, Read, ahead, hash_file, read_photo

if TYPE_CHECKING:
    from searcher.library import Failure, Library

Progress = Callable[[int, int | None], None]
Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index run did, in files; `as_dict` is what `index --json` prints.

    failed: files that could not be read, now or in an earlier run, in the folders looked at; `failures` says
    why.
    notices: lines for the user, such as a folder that is not there.
    """

    added: int
    changed: int
    moved: int
    removed: int
    unchanged: int
    failed: int
    seconds: float
    failures: "tuple[Failure, ...]"
    notices: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        counts = {
            name: getattr(self, name)
            for name in ("added", "changed", "moved", "removed", "unchanged", "failed")
        }
        failures = [failure.as_dict() for failure in self.failures]
        return counts | {"seconds": round(self.seconds, 3), "failures": failures}


def run(library: "Library", paths: Sequence[str | Path], progress: Progress, notice: Notice) -> IndexReport:
    """Bring `paths` (without any: all known roots) up to date: embed what is new, forget what is gone.

    progress(done, total): files, total None while they are counted. notice(line): what the user should know
    at once. What was embedded is committed batch by batch: an interrupted run keeps it, and the next one goes
    on from there. Raises SearcherError.
    """
    start = time.monotonic()
    known: list[Root] = []
    if library.exists:
        reader = library.reader()
        known = reader.roots()
        row = reader.model()
        if library.asks_for_a_model or row is None:
            _ = library.model  # another model than the library's is refused before anything is changed
    elif not paths:
        raise SearcherError(f"there is no library in {library.folder} yet: name a folder to index")
    named = places.existing(paths, known)
    if not named and not known:
        raise SearcherError("no folder was indexed yet: name one")
    if not library.exists:
        _ = library.model
    with closing(Writer(library.folder, notice)) as writer:
        reader = library.reader()
        with writer.transaction():
            scopes, notices = places.plan(writer, reader, named)
        progress(0, None)
        changes = compare(reader, scopes, lambda seen: progress(seen, None))
        for line in (*notices, *changes.notices):
            notice(line)
        counts = _apply(library, writer, reader, changes, progress)
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
        notices=(*notices, *changes.notices),
    )


def _apply(
    library: "Library", writer: Writer, reader: Reader, changes: Changes, progress: Progress
) -> Counts:
    """Make the catalog what the disk is."""
    roots = {root.id: root.path for root in reader.roots()}
    counts = Counts(unchanged=changes.unchanged)
    vacated: list[tuple[int, bytes]] = []
    total = changes.todo
    if total:
        changed = _only_touched(writer, reader, roots, changes, counts, progress, total)
        committer = _committer(library, writer, reader, roots, changed, counts)
        work = partial(_read, roots, committer)
        batch: list[Read] = []
        # known images first: what moved away from them is then free for the new places
        done = total - len(changed) - len(changes.new)
        with closing(ahead(work, [*changed, *changes.new])) as reads:
            for read in reads:
                batch.append(read)
                if len(batch) == BATCH_SIZE:
                    committer.commit(batch)
                    done += len(batch)
                    batch = []
                    progress(done, total)
        committer.commit(batch, last=True)
        committer.contents.close()
        progress(total, total)
        vacated = committer.vacated
    gone = [*changes.gone, *vacated]
    if gone or changes.unreadable:
        with writer.transaction():
            for place, reason in changes.unreadable:
                writer.put_image(place, None, reason)
            for root_id, relpath in gone:
                if is_gone(roots[root_id], relpath):
                    counts.removed += writer.remove_image(root_id, relpath)
    if counts.changed or counts.removed or gone or changes.unreadable:
        with writer.transaction():
            writer.remove_orphans()
    if total or gone:
        _derive(library, writer, reader)
    return counts


def _only_touched(
    writer: Writer,
    reader: Reader,
    roots: dict[int, bytes],
    changes: Changes,
    counts: Counts,
    progress: Progress,
    total: int,
) -> list[Place]:
    """Of the known files with another size or time, those with another content; the others are unchanged."""
    changed: list[Place] = []
    touched: list[Place] = []

    def flush() -> None:
        with writer.transaction():
            for place in touched:
                writer.touch_image(place)
        counts.unchanged += len(touched)
        touched.clear()

    work = [os.path.join(roots[place.root_id], place.relpath) for place in changes.perhaps]
    with closing(ahead(hash_file, work)) as digests:
        for place, digest in zip(changes.perhaps, digests, strict=True):
            if digest is not None and digest == reader.content_digest(place.root_id, place.relpath):
                touched.append(place)
                if len(touched) == 1000:
                    flush()
                    progress(counts.unchanged - changes.unchanged, total)
            else:
                changed.append(place)
    if touched:
        flush()
    return changed


def _committer(
    library: "Library",
    writer: Writer,
    reader: Reader,
    roots: dict[int, bytes],
    changed: list[Place],
    counts: Counts,
) -> Committer:
    row = reader.model()
    if row is None:
        from searcher.models.store import keep_copy

        model = library.model
        kept = keep_copy(model)
        with writer.transaction():
            writer.use_model(model, kept)
        row = reader.model()
        assert row is not None
    unread = {(place.root_id, place.relpath) for place in changed}
    contents = Contents(Reader(library.folder), row.id)
    return Committer(writer, library.model, row.id, contents, roots, unread, counts)


def _read(roots: dict[int, bytes], committer: Committer, place: Place) -> Read:
    path = os.path.join(roots[place.root_id], place.relpath)
    return read_photo(place, path, committer.contents, committer.model)


def _derive(library: "Library", writer: Writer, reader: Reader) -> None:
    """Bring up to date what derives from the embeddings: the FAISS file, the score of meaningless queries."""
    row = reader.model()
    if row is None:
        return
    library.fold(writer, row)
    vectors = reader.noise_vectors(row)
    if vectors is None:
        vectors = library.model.encode_texts(query.MEANINGLESS)
    floor = query.noise_floor(reader, library.searcher(row), vectors)
    with writer.transaction():
        writer.set_noise(row.id, vectors, floor)


def _failures(library: "Library", scopes: Sequence[places.Scope]) -> "list[Failure]":
    from searcher.library import Failure

    return [
        Failure(os.fsdecode(os.path.join(root.path, relpath)), error)
        for root, relpath, error in library.reader().failed()
        if any(scope.root.id == root.id and scope.holds(relpath) for scope in scopes)
    ]


def forget(library: "Library", folder: str | Path) -> int:
    """Forget a root, a part of one, or all roots inside a folder; returns the number of images forgotten.

    Raises SearcherError when nothing of it was indexed.
    """
    path = places.absolute(folder)
    reader = library.reader()
    count = 0
    with closing(Writer(library.folder)) as writer:
        with writer.transaction():
            chosen = places.known_parts(reader.roots(), path)
            if not chosen:
                raise SearcherError(f"{os.fsdecode(path)} was never indexed")
            for root, prefix in chosen:
                count += writer.forget(root.id, prefix)
        _derive(library, writer, reader)
    return count


__all__ = ["IndexReport", "ReadOnlyError", "forget", "run"]
