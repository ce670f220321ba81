# Paths are bytes here, because names need not be UTF-8 and pathlib does not know bytes.
# ruff: noqa: PTH118
"""The second half of an index run: what was found changed is read, embedded and committed, batch by batch.

An interrupted run keeps what it committed, and the next one goes on from there.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from searcher.catalog.rows import Place
from searcher.indexer.commit import Committer, Spot
from searcher.indexer.look import Look
from searcher.indexer.places import is_gone
from searcher.models.encoder import DualEncoder
from searcher.progress import Progress
from searcher.vectors.pipeline import PhotoFile, embed_photos, hash_files
from searcher.vectors.store import VectorStore

log = logging.getLogger(__name__)

REBUILD_AFTER = 20_000  # files of a long run after which the vector file is renewed, then half as often
TOUCHED_AT_ONCE = 1000  # rows of one commit where only a size or time changed


def update(look: Look, store: VectorStore, model: DualEncoder, progress: Progress) -> None:
    """Bring the catalog up to date with what `look` found, and count in `look.counts`.

    `progress` is told how many of the files that must be read are done. Raises SearcherError.
    """
    job = _Update(look, store, model, progress)
    vacated: list[Spot] = []
    if look.changes.todo:
        progress.advance(0, look.changes.todo)
        changed = job.only_touched(look.changes.perhaps)
        vacated = job.read([*changed, *look.changes.new], unread=changed)
    job.remove(vacated)


@dataclass(slots=True)
class _Update:
    """One update under way. done: how many of the files that must be read."""

    look: Look
    store: VectorStore
    model: DualEncoder
    progress: Progress
    done: int = 0

    def only_touched(self, places: list[Place]) -> list[Place]:
        """Of known files with another size or time, those with another content. The others are unchanged."""
        roots = self._roots()
        places = [place for place in places if place.root_id in roots]
        paths = [os.path.join(roots[place.root_id], place.relpath) for place in places]
        changed: list[Place] = []
        touched: list[Place] = []
        with closing(hash_files(paths)) as digests:
            for place, digest in zip(places, digests, strict=True):
                if not self._is_known(place, digest):
                    changed.append(place)
                    continue
                touched.append(place)
                if len(touched) == TOUCHED_AT_ONCE:
                    self._touch(touched)
        self._touch(touched)
        return changed

    def _is_known(self, place: Place, digest: bytes | None) -> bool:
        if digest is None:
            return False
        with self.look.catalog.read() as view:
            return digest == view.files.content_digest(place.root_id, place.relpath) and view.embeddings.has(
                digest, self.store.model.id
            )

    def _touch(self, places: list[Place]) -> None:
        if not places:
            return
        with self.look.catalog.write(self.progress) as change:
            for place in places:
                change.files.touch_image(place)
        self.look.counts.unchanged += len(places)
        self._advance(len(places))
        places.clear()

    def read(self, places: Sequence[Place], unread: Sequence[Place]) -> list[Spot]:
        """Read, embed and commit. Returns the places that images were moved away from.

        Known images (`unread`) come first: what moved away from their places is then free for the new ones.
        """
        roots, row = self._roots(), self.store.model
        committer = Committer(
            self.look.catalog,
            row,
            self.model.precision,
            {(place.root_id, place.relpath) for place in unread},
            self.look.counts,
        )
        files = (
            PhotoFile(place, (os.path.join(roots[place.root_id], place.relpath),))
            for place in places
            if place.root_id in roots
        )
        next_rebuild = REBUILD_AFTER
        with closing(embed_photos(self.model, files, skip_known=(self.look.catalog, row.id))) as batches:
            for batch in batches:
                committer.commit(batch, self.progress)
                log.debug("committed %d files, from %s", len(batch), batch[0].key.relpath)
                self._advance(len(batch))
                if self.done >= next_rebuild:
                    self.store.rebuild_if_needed(self.look.catalog, self.progress)
                    next_rebuild = 2 * self.done
        committer.finish(self.progress)
        return committer.vacated

    def remove(self, vacated: list[Spot]) -> None:
        """Remove images whose file is gone and contents that no image has, and note what cannot be examined."""
        changes = self.look.changes
        if not (changes.perhaps or changes.gone or changes.unwanted or changes.unreadable or changes.mounts or vacated):
            return  # only photos that were never there before
        with self.look.catalog.write(self.progress) as change:
            # another process may have forgotten a folder, or merged it into one around it
            roots = change.view.files.root_paths()
            for place, reason in changes.unreadable:
                if place.root_id in roots:
                    change.files.put_image(place, None, reason)
            for root_id, relpath in changes.mounts:
                if root_id in roots:
                    change.files.add_mounts(root_id, [relpath])
            for root_id, relpath in (*changes.gone, *vacated):
                if root_id in roots and is_gone(change.view, root_id, roots[root_id], relpath):
                    change.backup.keep_tags(root_id, roots[root_id], relpath)
                    self.look.counts.removed += change.files.remove_image(root_id, relpath)
            for root_id, relpath in changes.unwanted:
                if root_id in roots:
                    change.backup.keep_tags(root_id, roots[root_id], relpath)
                    self.look.counts.removed += change.files.remove_image(root_id, relpath)
            change.files.remove_orphans()
            change.metadata.settle()

    def _roots(self) -> dict[int, bytes]:
        with self.look.catalog.read() as view:
            return view.files.root_paths()

    def _advance(self, files: int) -> None:
        self.done += files
        self.progress.advance(self.done, self.look.changes.todo)
