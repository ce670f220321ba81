# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH118
"""Switch a library to another model: embed every photo again beside the old embeddings, then switch at once.

Until the switch, searches and ordinary index runs use the old model. Photos that an ordinary run adds in the meantime
are embedded here before the switch. If the file of a content was deleted or changed, the content cannot be embedded.
This does not delay the switch, because the index run that follows handles the file. If the disk of a content is
missing, the switch is delayed, because searches could no longer find the photo.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from searcher.catalog.lacking import Lacking, lacking, lacking_count
from searcher.catalog.reader import Reader
from searcher.catalog.records import ModelRow
from searcher.catalog.writer import Writer
from searcher.indexer.pipeline import BATCH_SIZE
from searcher.indexer.places import holds_something
from searcher.photos.ahead import ahead
from searcher.photos.decode import PhotoError, content_digest, decode, read_bytes

if TYPE_CHECKING:
    from searcher.indexer.run import Target
    from searcher.models import Model

Pixels = tuple[Lacking, np.ndarray | None]


def reembed(
    library: "Target",
    model: "Model",
    progress: Callable[[int, int | None], None],
    notice: Callable[[str], None],
) -> list[str]:
    """Embed the whole library with `model` and switch searches to it. Returns notices for the user.

    Each batch is committed. After an interruption, the next call continues from there. Raises SearcherError.
    """
    old = library.reader().model()
    with closing(Writer(library.folder, notice)) as writer, closing(Reader(library.folder)) as reader:
        job = _Reembedding(writer, reader, model, _remember(writer, reader, model), progress)
        while True:
            job.embed()
            library.derive(writer, (job.row, model))
            with writer.lock():  # so that no other process adds a photo
                if next(job.todo(), None) is not None:
                    continue
                if job.away:
                    return [_waiting(root, count, job.row, old) for root, count in sorted(job.away.items())]
                with writer.transaction():
                    writer.use_model(job.row.id)
                    writer.read_again(job.row.id)
            library.derive(writer)
            return [f"all photos are embedded with {job.row.label}: searches now use it"]


@dataclass(slots=True)
class _Reembedding:
    """A switch in progress.

    passed: the ids of contents that cannot be embedded now. away: the number of contents per missing root.
    """

    writer: Writer
    reader: Reader
    model: "Model"
    row: ModelRow
    progress: Callable[[int, int | None], None]
    passed: set[int] = field(default_factory=set)
    away: Counter[bytes] = field(default_factory=Counter)

    def todo(self) -> Iterator[Lacking]:
        """Yield the contents that still have to be embedded."""
        return (content for content in lacking(self.reader, self.row.id) if content.content_id not in self.passed)

    def embed(self) -> None:
        """Embed and commit all contents that can be embedded."""
        total, done = lacking_count(self.reader, self.row.id) - len(self.passed), 0
        self.progress(0, total)
        batch: list[Pixels] = []
        # `ahead` takes the contents from `todo` in this thread, so the reader is used by one thread only
        with closing(ahead(partial(_prepare, self.model), self.todo())) as prepared:
            for content, pixels in prepared:
                batch.append((content, pixels))
                done += 1
                if len(batch) == BATCH_SIZE:
                    self._commit(batch)
                    self.progress(done, max(done, total))
                    batch = []
        self._commit(batch)
        self.progress(done, max(done, total))

    def _commit(self, batch: list[Pixels]) -> None:
        found = [(content, pixels) for content, pixels in batch if pixels is not None]
        for content, pixels in batch:
            if pixels is None:
                self.passed.add(content.content_id)
                if not any(holds_something(root) for root, _ in content.places):
                    self.away[content.places[0][0]] += 1
        if not found:
            return
        vectors = self.model.encode_pixels(np.stack([pixels for _, pixels in found]))
        with self.writer.transaction():
            for (content, _), vector in zip(found, vectors, strict=True):
                # another process may have removed the photo in the meantime
                if self.writer.content_id(content.digest) == content.content_id:
                    self.writer.add_embedding(content.content_id, self.row.id, self.model.precision, vector)


def _prepare(model: "Model", content: Lacking) -> Pixels:
    """Return a content and its pixels (3, H, W), from the first file that still has this content.

    The pixels are None if there is no such file or it cannot be decoded.
    """
    for root, relpath in content.places:
        try:
            data = read_bytes(os.path.join(root, relpath))
            if content_digest(data) == content.digest:
                return content, model.preprocess(decode(data, min_side=model.image_size).image)
        except PhotoError:
            continue
        except Exception:  # a single file must never stop the run
            break
    return content, None


def _remember(writer: Writer, reader: Reader, model: "Model") -> ModelRow:
    from searcher.models.store import keep_copy

    kept = keep_copy(model)
    with writer.transaction():
        writer.add_model(model, kept)
    row = reader.model_by_digest(model.digest)
    assert row is not None
    return row


def _waiting(root: bytes, count: int, new: ModelRow, old: ModelRow | None) -> str:
    kept = f"searches still use {old.label}" if old is not None else "searches do not use that model yet"
    photos = "1 photo in it is" if count == 1 else f"{count:,} photos in it are"
    return (
        f"{os.fsdecode(root)} is missing, and {photos} not embedded with {new.label}, so {kept}: reconnect it "
        "or remove it with `searcher forget`, and run `searcher index --model …` again"
    )
