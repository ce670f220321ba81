# Paths are bytes here, because names need not be UTF-8 and pathlib does not know bytes.
# ruff: noqa: PTH118
"""Another model for a library: every photo is embedded again beside the old embeddings, then one switch.

Until the switch nothing changes for anybody else: searches use the old model, and so does an ordinary run. The photos
that such a run adds are embedded here, too, before the switch. A content whose bytes are nowhere any more (its file was
deleted or changed) cannot be embedded and does not delay the switch: the ordinary run that follows looks at its files.
A content whose disk is missing does delay it, because searches would lose it.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from searcher.catalog import Catalog
from searcher.catalog.rows import ContentFiles, ModelRow
from searcher.indexer.places import missing_disk
from searcher.models.encoder import DualEncoder
from searcher.progress import Progress
from searcher.vectors.pipeline import Embedded, PhotoFile, embed_photos
from searcher.vectors.store import VectorStore


def reembed(catalog: Catalog, store: VectorStore, model: DualEncoder, progress: Progress) -> list[str]:
    """Embed the whole library with `model`, whose vectors `store` holds, and let searches use it.

    Returns what the user should know. What is embedded is committed batch by batch: the next call goes on from there.
    Raises SearcherError.
    """
    with catalog.read() as view:
        old = view.models.current()
    job = _Reembedding(catalog, store.model, model, progress)
    while True:
        job.embed()
        store.rebuild_if_needed(catalog, progress)
        with catalog.lock(progress):  # nobody adds a photo meanwhile
            if next(job.todo(), None) is not None:
                continue
            if job.out_of_reach:
                waiting = sorted(job.out_of_reach.items())
                return [_waiting(disk, count, store.model, old) for disk, count in waiting]
            with catalog.write(progress) as change:
                change.models.use(store.model.id)
                change.files.read_again(store.model.id)
        return [f"all photos are embedded with {store.model.label}: searches now use it"]


@dataclass(slots=True)
class _Reembedding:
    """One under way. skipped: ids of contents that cannot be embedded now. out_of_reach: how many, by
    the folder of the missing disk.
    """

    catalog: Catalog
    row: ModelRow
    model: DualEncoder
    progress: Progress
    skipped: set[int] = field(default_factory=set)
    out_of_reach: Counter[bytes] = field(default_factory=Counter)

    def todo(self) -> Iterator[ContentFiles]:
        """The contents to be embedded, by id. They are read in chunks, so others may commit meanwhile."""
        after = 0
        while True:
            with self.catalog.read() as view:
                contents = view.embeddings.missing(self.row.id, after)
            if not contents:
                return
            after = contents[-1].content_id
            yield from (content for content in contents if content.places and content.content_id not in self.skipped)

    def embed(self) -> None:
        """Embed and commit all contents that can be embedded."""
        with self.catalog.read() as view:
            total, done = view.embeddings.missing_count(self.row.id) - len(self.skipped), 0
        self.progress.advance(0, total)
        files = (
            PhotoFile(
                content, tuple(os.path.join(root, relpath) for _, root, relpath in content.places), content.digest
            )
            for content in self.todo()
        )
        with closing(embed_photos(self.model, files)) as batches:
            for batch in batches:
                self._commit(batch)
                done += len(batch)
                self.progress.advance(done, max(done, total))

    def _commit(self, batch: list[Embedded[ContentFiles]]) -> None:
        for read in batch:
            if read.vector is None:
                self.skipped.add(read.key.content_id)
                with self.catalog.read() as view:
                    missing = [disk for place in read.key.places if (disk := missing_disk(view, *place)) is not None]
                self.out_of_reach.update(missing[:1])
        found = [(read.key, read.vector) for read in batch if read.vector is not None]
        if not found:
            return
        with self.catalog.write(self.progress) as change:
            for content, vector in found:
                # another process may have removed the photo meanwhile
                if change.view.files.content_id(content.digest) == content.content_id:
                    change.embeddings.add(content.content_id, self.row.id, self.model.precision, vector)


def _waiting(disk: bytes, count: int, new: ModelRow, old: ModelRow | None) -> str:
    kept = f"searches still use {old.label}" if old is not None else "searches do not use that model yet"
    photos = "1 photo in it is" if count == 1 else f"{count:,} photos in it are"
    return (
        f"{os.fsdecode(disk)} is missing, and {photos} not embedded with {new.label}, so {kept}: reconnect it "
        "or remove it with `searcher forget`, and run `searcher index --model …` again"
    )
