# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH118
"""Commit files that were read. Decides for each whether it was added, changed, moved, copied or failed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from searcher.catalog.records import ImageAt, Place
from searcher.catalog.writer import Writer
from searcher.errors import SearcherError
from searcher.indexer.pipeline import Contents, Read
from searcher.indexer.places import holds_something

if TYPE_CHECKING:
    from searcher.indexer.run import Counts
    from searcher.models import Model

COPIES_LOOKED_AT = 100  # how many images of one content are checked for the one that moved

Spot = tuple[int, bytes]  # root id, relative path


@dataclass(slots=True)
class Committer:
    """Embeds and commits batches of files that were read, with one transaction per batch.

    unread: the paths of known images whose content has changed and that are not committed yet. If the old content of
    such an image is found at the path of another known image, two files have swapped names. The two images are then
    swapped, too. vacated: the paths that an image was moved away from. An image without a file may be left there.
    """

    writer: Writer
    model: "Model"
    model_id: int
    contents: Contents
    roots: dict[int, bytes]
    unread: set[Spot]
    counts: "Counts"
    vacated: list[Spot] = field(default_factory=list)
    _swapped: set[Spot] = field(default_factory=set)
    _copies: list[Read] = field(default_factory=list)
    _failed: dict[bytes, str] = field(default_factory=dict)

    def commit(self, batch: Sequence[Read], last: bool = False) -> None:
        """Embed the new contents in `batch` and commit the whole batch.

        `last`: this is the last batch. Raises SearcherError if the library was switched to another model.
        """
        fresh = [read for read in batch if read.pixels is not None]
        vectors = np.empty((0, self.model.dim), np.float32)
        if fresh:
            vectors = self.model.encode_pixels(np.stack([read.pixels for read in fresh if read.pixels is not None]))
        with self.writer.transaction():
            if self.writer.model_id() != self.model_id:
                raise SearcherError(
                    "the library was switched to another model during this run: run `searcher index` again"
                )
            for read, vector in zip(fresh, vectors, strict=True):
                assert read.content is not None
                made = self.writer.add_content(read.content)
                self.writer.add_embedding(made, self.model_id, self.model.precision, vector)
            self._failed.update(
                (read.digest, read.error) for read in batch if read.digest is not None and read.error is not None
            )
            waiting, self._copies = [*self._copies, *batch], []
            for read in waiting:
                content_id, error = self._outcome(read)
                if content_id is None and error is None and not last:
                    self._copies.append(read)  # another file with the same content is still being processed
                else:
                    self._put(read.place, content_id, error)
        self.contents.release(read.digest for read in batch if read.digest is not None)

    def _outcome(self, read: Read) -> tuple[int | None, str | None]:
        """Return the content id of a file, or the reason why it has none. Both are None if this is not known yet."""
        if read.error is not None or read.digest is None:
            return None, read.error
        content_id = self.writer.content_id(read.digest)
        return content_id, None if content_id is not None else self._failed.get(read.digest)

    def _put(self, place: Place, content_id: int | None, error: str | None) -> None:
        spot = (place.root_id, place.relpath)
        self.unread.discard(spot)
        if content_id is None:
            self.writer.put_image(place, None, error or "changed while it was being read")
            return
        there = self.writer.image_at(*spot)
        if there is not None and there.content_id == content_id:
            # the image was moved here in a swap, or another process has already committed it
            self.writer.put_image(place, content_id)
            if spot in self._swapped:
                self.counts.moved += 1
            else:
                self.counts.unchanged += 1
            return
        homeless = self._homeless(content_id, may_swap=there is not None)
        if homeless is not None:
            self.writer.move_image(homeless, place)
            self.vacated.append((homeless.root_id, homeless.relpath))
            self._swapped.add((homeless.root_id, homeless.relpath))
            self.counts.moved += 1
            return
        self.writer.put_image(place, content_id)
        if there is not None and there.content_id is not None:
            self.counts.changed += 1
        else:
            self.counts.added += 1

    def _homeless(self, content_id: int, may_swap: bool) -> ImageAt | None:
        """Return the image with this content whose file is no longer at its path, which means that it has moved."""
        for image in self.writer.images_of(content_id, COPIES_LOOKED_AT):
            if may_swap and (image.root_id, image.relpath) in self.unread:
                return image
            if is_gone(self.roots[image.root_id], image.relpath):
                return image
        return None


def is_gone(root: bytes, relpath: bytes) -> bool:
    """Return whether a file was deleted. If its root is missing or empty, the disk may just be disconnected."""
    return not os.path.lexists(os.path.join(root, relpath)) and holds_something(root)
