# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH118
"""Apply changes on the disk to the catalog: read, embed and commit new and changed files."""

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

DERIVE_AFTER = 20_000  # files after which a long run first updates derived data, then whenever the number has doubled
TOUCHED_AT_ONCE = 1000  # rows per commit if only sizes or times have changed


def update(
    library: "Target",
    writer: Writer,
    changes: Changes,
    counts: "Counts",
    progress: Callable[[int, int | None], None],
) -> None:
    """Apply `changes` to the library, and add the results to `counts`."""
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
    """An update in progress, with `done` of `total` files."""

    writer: Writer
    reader: Reader
    counts: "Counts"
    progress: Callable[[int, int | None], None]
    total: int
    done: int = 0

    def only_touched(self, places: list[Place]) -> list[Place]:
        """Return those known files with a new size or time whose content has changed.

        For the others, the new size and time are stored, and they count as unchanged.
        """
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
        """Read, embed and commit files. Returns the (root id, relpath) that images were moved away from."""
        roots, row = self._roots(), _model_row(library, self.writer, self.reader)
        unread = {(place.root_id, place.relpath) for place in changed}
        with closing(Contents(Reader(library.folder), row.id)) as contents:
            committer = Committer(self.writer, library.model, row.id, contents, roots, unread, self.counts)
            batch: list[Read] = []
            next_derive = DERIVE_AFTER
            # Known files come first. This moves images away from paths that now have another content, so that a new
            # file with their content is recognised as a moved one.
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
        """Remove deleted images and contents without images, and store the files that cannot be read."""
        if changes.new and not (changes.perhaps or changes.gone or changes.unreadable or vacated):
            return  # only new photos, so there is nothing to remove
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
    """Return the library's model. The first run stores it, and keeps a copy if it is the built-in model."""
    row, model = reader.model(), library.model
    if row is None:
        from searcher.models.store import keep_copy

        kept = keep_copy(model)
        with writer.transaction():
            if reader.model() is None:  # another process may have stored one first
                writer.use_model(writer.add_model(model, kept))
        row = reader.model()
        assert row is not None
    if row.digest != model.digest:
        raise SearcherError(
            f"another process has just created the library {library.folder} with another model: {row.name}"
        )
    return row
