# Paths are bytes here, since names need not be UTF-8, and pathlib knows no bytes.
# ruff: noqa: PTH118
"""The catalog made what the disk is: what was found changed is read, embedded and committed."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from searcher.catalog.reader import Reader
from searcher.catalog.records import ModelRow, Place
from searcher.catalog.writer import Writer
from searcher.errors import SearcherError
from searcher.indexer.changes import Changes
from searcher.indexer.commit import Committer, is_gone
from searcher.indexer.pipeline import BATCH_SIZE, Contents, Read, hash_file, read_photo
from searcher.photos.ahead import ahead

if TYPE_CHECKING:
    from searcher.indexer.run import Counts, Target

DERIVE_AFTER = 20_000  # files of a long run after which searches are made fast again, then half as often
TOUCHED_AT_ONCE = 1000  # rows of one commit where only a size or time changed


def update(
    library: "Target",
    writer: Writer,
    changes: Changes,
    counts: "Counts",
    progress: Callable[[int, int | None], None],
) -> None:
    """Bring the library up to date with `changes`, counting in `counts`."""
    job = _Update(writer, library.reader(), counts, progress, changes.todo)
    vacated: list[tuple[int, bytes]] = []
    if changes.todo:
        progress(0, changes.todo)
        changed = job.only_touched(changes.perhaps)
        vacated = job.read(library, changed, changes.new)
    job.remove(changes, vacated)
    library.derive(writer)


@dataclass(slots=True)
class _Update:
    """One update under way: `done` of `total` files."""

    writer: Writer
    reader: Reader
    counts: "Counts"
    progress: Callable[[int, int | None], None]
    total: int
    done: int = 0

    def only_touched(self, places: list[Place]) -> list[Place]:
        """Of known files with another size or time, those with another content; the others are unchanged."""
        roots, row = self._roots(), self.reader.model()
        paths = [os.path.join(roots[place.root_id], place.relpath) for place in places]
        changed: list[Place] = []
        touched: list[Place] = []
        with closing(ahead(hash_file, paths)) as digests:
            for place, digest in zip(places, digests, strict=True):
                if not self._is_known(place, digest, row):
                    changed.append(place)
                    continue
                touched.append(place)
                if len(touched) == TOUCHED_AT_ONCE:
                    self._touch(touched)
        self._touch(touched)
        return changed

    def _is_known(self, place: Place, digest: bytes | None, row: ModelRow | None) -> bool:
        if digest is None or row is None or not self.reader.has_embedding(digest, row.id):
            return False
        return digest == self.reader.content_digest(place.root_id, place.relpath)

    def _touch(self, places: list[Place]) -> None:
        if not places:
            return
        with self.writer.transaction():
            for place in places:
                self.writer.touch_image(place)
        self.counts.unchanged += len(places)
        self._advance(len(places))
        places.clear()

    def read(self, library: "Target", changed: list[Place], new: list[Place]) -> list[tuple[int, bytes]]:
        """Read, embed and commit; returns the places that images were moved away from."""
        roots, row = self._roots(), _model_row(library, self.writer, self.reader)
        unread = {(place.root_id, place.relpath) for place in changed}
        with closing(Contents(Reader(library.folder), row.id)) as contents:
            committer = Committer(self.writer, library.model, row.id, contents, roots, unread, self.counts)
            batch: list[Read] = []
            next_derive = DERIVE_AFTER
            # known images first: what moved away from their places is then free for the new ones
            with closing(ahead(partial(_read, roots, committer), [*changed, *new])) as reads:
                for read in reads:
                    batch.append(read)
                    if len(batch) == BATCH_SIZE:
                        committer.commit(batch)
                        self._advance(len(batch))
                        batch = []
                    if self.done >= next_derive:
                        library.derive(self.writer)
                        next_derive = 2 * self.done
            committer.commit(batch, last=True)
            self._advance(len(batch))
        return committer.vacated

    def remove(self, changes: Changes, vacated: list[tuple[int, bytes]]) -> None:
        """Remove images whose file is gone, and contents that no image has; note what cannot be looked at."""
        if changes.new and not (changes.perhaps or changes.gone or changes.unreadable or vacated):
            return  # only photos that were never there
        roots = self._roots()
        with self.writer.transaction():
            for place, reason in changes.unreadable:
                self.writer.put_image(place, None, reason)
            for root_id, relpath in (*changes.gone, *vacated):
                if is_gone(roots[root_id], relpath):
                    self.counts.removed += self.writer.remove_image(root_id, relpath)
            self.writer.remove_orphans()

    def _roots(self) -> dict[int, bytes]:
        return {root.id: root.path for root in self.reader.roots()}

    def _advance(self, files: int) -> None:
        self.done += files
        self.progress(self.done, self.total)


def _read(roots: dict[int, bytes], committer: Committer, place: Place) -> Read:
    path = os.path.join(roots[place.root_id], place.relpath)
    return read_photo(place, path, committer.contents, committer.model)


def _model_row(library: "Target", writer: Writer, reader: Reader) -> ModelRow:
    """The library's model; at the first run it is remembered, and a copy of the built-in one is kept."""
    row, model = reader.model(), library.model
    if row is None:
        from searcher.models.store import keep_copy

        kept = keep_copy(model)
        with writer.transaction():
            if reader.model() is None:  # another process may have been first
                writer.use_model(writer.add_model(model, kept))
        row = reader.model()
        assert row is not None
    if row.digest != model.digest:
        raise SearcherError(f"the library {library.folder} was just made with another model: {row.name}")
    return row
