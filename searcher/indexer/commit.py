"""What a file that was read means for the catalog: a photo added, changed or moved, a copy, a failure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from searcher.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.catalog.rows import UNREAD, Content, ImageAt, ModelRow, Place
from searcher.catalog.write.transaction import Transaction
from searcher.errors import Busy
from searcher.indexer.places import is_gone
from searcher.indexer.report import Counts
from searcher.progress import Progress
from searcher.vectors.pipeline import Embedded

COPIES_CHECKED = 100  # images of one content that are looked at for one file, as one of them may be what moved

Spot = tuple[int, bytes]  # root id, relative path


@dataclass(slots=True)
class Committer:
    """Commits batches of files that were read, each batch in one transaction.

    unread: the places of known images whose content has changed and that are not committed yet. If such a content turns
    up at the place of another known image (two files that changed names), the two images change places.
    vacated: places that an image was moved away from. They may hold an image whose file is gone.
    looks: whether to look on the disk for what may have moved. Else every new place is a new image.
    """

    catalog: Catalog
    model: ModelRow
    precision: str
    unread: set[Spot]
    counts: Counts
    looks: bool = True
    vacated: list[Spot] = field(default_factory=list)
    _roots: dict[int, bytes] = field(default_factory=dict)  # as of this transaction
    _swapped: set[Spot] = field(default_factory=set)
    _copies: list[Embedded[Place]] = field(default_factory=list)
    _failed: dict[bytes, str] = field(default_factory=dict)
    _put_images: list[int] = field(default_factory=list)  # those of this transaction
    _newest: int = -1  # the newest image when the run began
    _in_place: dict[int, int] = field(default_factory=dict)  # content → its images up to this id are where they were

    def commit(self, batch: Sequence[Embedded[Place]], progress: Progress, *, last: bool = False) -> None:
        """Commit a batch. last: nothing is under way any more."""
        with self.catalog.write(progress) as change:
            current = change.view.models.current()
            if current is None or current.id != self.model.id:
                raise Busy("the library was switched to another model during this run: run the command again")
            if self._newest < 0:
                self._newest = change.view.files.newest_id()
            for read in batch:
                if read.vector is not None and read.facts is not None and read.digest is not None:
                    content = Content.of(read.digest, read.facts, read.likeness)
                    added = change.files.add_content(content, read.facts.metadata.as_json())
                    change.embeddings.add(added, self.model.id, self.precision, read.vector)
                elif read.digest is not None and read.error is not None and not read.try_again:
                    self._failed[read.digest] = read.error
            self._roots = change.view.files.root_paths()
            waiting, self._copies = [*self._copies, *batch], []
            for read in waiting:
                content_id, error = self._outcome(change.view, read)
                if content_id is None and error is None and not last:
                    self._copies.append(read)  # the same content is under way under another name
                elif read.key.root_id in self._roots:  # else the folder was forgotten, or merged into one around it
                    self._put(change, read, content_id, error)
            change.metadata.retag(self._put_images)
            self._put_images.clear()

    def finish(self, progress: Progress) -> None:
        """Commit the copies that still wait for their content."""
        if self._copies:
            self.commit([], progress, last=True)

    def _outcome(self, view: View, read: Embedded[Place]) -> tuple[int | None, str | None]:
        """The content id of a file, or the reason why it has none, or neither if that is not known yet."""
        if read.error is not None or read.digest is None:
            return None, read.error
        content_id = view.files.content_id(read.digest)
        return content_id, None if content_id is not None else self._failed.get(read.digest)

    def _put(self, change: Transaction, read: Embedded[Place], content_id: int | None, error: str | None) -> None:
        place = read.key
        spot = (place.root_id, place.relpath)
        self.unread.discard(spot)
        if content_id is None:
            if read.try_again or error is None:  # error is None: its content was removed before it could be committed
                place = place._replace(size=UNREAD, mtime_ns=UNREAD)
            self._keep_tags(change, spot)
            change.files.put_image(place, None, error or "changed while it was read")
            return
        there = change.view.files.image_at(*spot)
        if there is not None and there.content_id == content_id:
            # an image was moved to this place when its content was expected here, or another process came first
            self._put_images.append(change.files.put_image(place, content_id))
            if spot in self._swapped:
                self.counts.moved += 1
            else:
                self.counts.unchanged += 1
            return
        moved = self._moved_image(change.view, content_id, may_swap=there is not None) if self.looks else None
        if moved is not None:
            change.files.move_image(moved, place)
            self._put_images.append(moved.id)
            self.vacated.append((moved.root_id, moved.relpath))
            self._swapped.add((moved.root_id, moved.relpath))
            self.counts.moved += 1
            return
        if there is not None:
            self._keep_tags(change, spot)
        self._put_images.append(change.files.put_image(place, content_id))
        if there is not None and there.content_id is not None:
            self.counts.changed += 1
        else:
            change.tags.share_with_copy(place)
            self.counts.added += 1

    def _keep_tags(self, change: Transaction, spot: Spot) -> None:
        """Keep the tags of what was at a place: it may have changed, or have moved away before another file came."""
        change.backup.keep_tags(spot[0], self._roots[spot[0]], spot[1])

    def _moved_image(self, view: View, content_id: int, may_swap: bool) -> ImageAt | None:
        """The image with this content whose file is no longer at its place, so that it must have moved."""
        if may_swap:
            checked = 0
        else:  # each copy is looked at once in a run, else a folder of copies takes the square of their number
            checked = self._in_place.get(content_id, 0)
            if checked >= self._newest:  # what this run has added is where it was found
                return None
        images = view.files.images_of(content_id, COPIES_CHECKED, checked)
        for image in images:
            if may_swap and (image.root_id, image.relpath) in self.unread:
                return image
            if is_gone(view, image.root_id, self._roots[image.root_id], image.relpath):
                return image
        if not may_swap:
            self._in_place[content_id] = images[-1].id if len(images) == COPIES_CHECKED else self._newest
        return None
