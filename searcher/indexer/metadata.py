# Paths are bytes here, because names need not be UTF-8 and pathlib does not know bytes.
# ruff: noqa: PTH118
"""The last part of an index run: sidecars that have changed, and photos that an earlier version indexed.

Neither needs the model. What is read is committed batch by batch, so that the next run goes on after an interruption.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from threading import Event
from typing import NamedTuple

from searcher.catalog.rows import ContentFiles
from searcher.catalog.write.transaction import Transaction
from searcher.indexer.beside import SidecarChange
from searcher.indexer.look import Look
from searcher.photos.decode import PhotoError, Stopped, Unavailable, content_digest, decode_guarded, read_bytes
from searcher.photos.likeness import MIN_SIDE, Likeness, measure
from searcher.photos.metadata import NOTHING, Metadata
from searcher.photos.xmp import Xmp
from searcher.progress import Progress
from searcher.sidecars import SidecarError, read_metadata, theirs
from searcher.vectors.pipeline import ahead

AT_ONCE = 200  # sidecars or photos per commit


def read_sidecars(look: Look, progress: Progress) -> None:
    """Read the sidecars that `look` found new, changed or gone, and add to its notices."""
    job = _Sidecars(look)
    with closing(ahead(job.read, look.changes.sidecars)) as results:
        while batch := list(islice(results, AT_ONCE)):
            with look.catalog.write(progress) as change:
                job.commit(change, batch)
    if job.known:
        what = "1 sidecar was" if job.known == 1 else f"{job.known:,} sidecars were"
        look.notices.append(f"{what} added, changed or removed: the tags and metadata of the photos are up to date")
    if job.failures:
        more = "" if len(job.failures) == 1 else f" ({len(job.failures):,} sidecars could not be read)"
        look.notices.append(f"{job.failures[0]}{more}")


class _Read(NamedTuple):
    """xmp: what a sidecar says, None if there is none. try_again: it could not be read, and may be later."""

    item: SidecarChange
    path: bytes
    xmp: Xmp | None
    try_again: bool = False


@dataclass(slots=True)
class _Sidecars:
    """known: how many photos did not change, but their sidecar did."""

    look: Look
    known: int = 0
    failures: list[str] = field(default_factory=list)
    roots: dict[int, bytes] = field(init=False)

    def __post_init__(self) -> None:
        with self.look.catalog.read() as view:
            self.roots = view.files.root_paths()

    def read(self, item: SidecarChange) -> _Read:
        """Runs in threads."""
        if item.sidecar is None or item.root_id not in self.roots:
            return _Read(item, b"", None)
        folder = item.relpath[: item.relpath.rfind(b"/") + 1]
        path = os.path.join(self.roots[item.root_id], folder + item.sidecar.name)
        try:
            return _Read(item, path, read_metadata(path))
        except SidecarError as error:
            self.failures.append(str(error))
            return _Read(item, path, Xmp(NOTHING), isinstance(error.__cause__, OSError))

    def commit(self, change: Transaction, batch: list[_Read]) -> None:
        images, contents = [], []
        for item, path, xmp, try_again in batch:
            image = change.view.files.image_at(item.root_id, item.relpath)
            if image is None or image.content_id is None or try_again:
                continue
            if xmp is None or item.sidecar is None:
                change.metadata.remove_sidecar(image.id)
            else:
                ours = change.view.sidecars.ours(image.content_id, path)
                change.metadata.set_sidecar(image.id, item.sidecar, theirs(xmp, ours))
            self.known += item.known
            images.append(image.id)
            contents.append(image.content_id)
        change.metadata.derive(contents)
        change.metadata.retag(images)


def read_older(look: Look, progress: Progress) -> None:
    """Read what was not read when the photos of `look` were indexed by an earlier version. Each photo is read once.

    Their embeddings stay as they are. A photo that cannot be read now is tried again in the next run.
    """
    with look.catalog.read() as view:
        total = view.metadata.unread_count()
    if not total:
        return
    progress.notice(
        f"photos that an earlier version indexed ({total:,}) are read once more for their keywords, ratings "
        "and other metadata; you can interrupt this, and the next run continues"
    )
    stop, done, tried = Event(), 0, 0

    def read(content: ContentFiles) -> _Older | None:
        return _read_older(look, content, stop)

    progress.advance(0, total)
    with closing(ahead(read, _unread(look), stop)) as results:
        while batch := list(islice(results, AT_ONCE)):
            found = [each for each in batch if each is not None]
            tried += len(batch)
            if found:
                with look.catalog.write(progress) as change:
                    for older in found:
                        change.metadata.set_content(older.content_id, older.metadata, older.likeness)
                    contents = [older.content_id for older in found]
                    change.metadata.derive(contents)
                    change.metadata.retag(change.view.metadata.images_of(contents))
            done += len(found)
            progress.advance(tried, total)
    if done:
        photos = "1 photo" if done == 1 else f"{done:,} photos"
        look.notices.append(f"the metadata of {photos} that an earlier version indexed was read")


class _Older(NamedTuple):
    content_id: int
    metadata: Metadata
    likeness: Likeness | None


def _unread(look: Look) -> Iterator[ContentFiles]:
    """The contents to read, by id, each with those of its files that this run looked at."""
    after = 0
    while True:
        with look.catalog.read() as view:
            contents = view.metadata.unread(after, AT_ONCE)
        if not contents:
            return
        after = contents[-1].content_id
        for content in contents:
            places = tuple(place for place in content.places if look.holds(place[0], place[2]))
            if places:
                yield content._replace(places=places)


def _read_older(look: Look, content: ContentFiles, stop: Event) -> _Older | None:
    """None if no file with this content can be read now. Runs in threads."""
    for _, root, relpath in content.places:
        try:
            data = read_bytes(os.path.join(root, relpath))
        except PhotoError:
            continue
        if content_digest(data) != content.digest:
            continue
        try:
            photo = decode_guarded(data, MIN_SIDE, stop)
            return _Older(content.content_id, photo.metadata, measure(photo.image))
        except Unavailable:
            continue
        except Stopped:
            raise
        except Exception:  # it was embedded once, and is refused now: do not read it in each run
            return _Older(content.content_id, NOTHING, None)
    return None
