# Paths are bytes here, since names need not be UTF-8, and pathlib knows no bytes.
# ruff: noqa: PTH118
"""Another model for a library: every photo embedded anew beside the old embeddings, then one switch.

Until the switch nothing changes for anybody else: searches use the old model, and so does an ordinary run, whose new
photos are embedded here, too, before the switch. A content whose bytes are nowhere any more (its file was deleted or
changed) cannot be embedded and does not hold the switch back: the ordinary run that follows looks at its files. One
whose disk is away does: it would be lost to searches.
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
    """Embed the whole library with `model` and let searches use it; returns what the user should know.

    What is embedded is committed batch by batch: the next call goes on from there. Raises SearcherError.
    """
    old = library.reader().model()
    with closing(Writer(library.folder, notice)) as writer, closing(Reader(library.folder)) as reader:
        job = _Reembedding(writer, reader, model, _remember(writer, reader, model), progress)
        while True:
            job.embed()
            library.derive(writer, (job.row, model))
            with writer.lock():  # nobody adds a photo meanwhile
                if next(job.todo(), None) is not None:
                    continue
                if job.away:
                    return [_waiting(root, count, job.row, old) for root, count in sorted(job.away.items())]
                with writer.transaction():
                    writer.use_model(job.row.id)
                    writer.read_again(job.row.id)
            library.derive(writer)
            return [f"all photos are embedded with {job.row.label}: searches use it now"]


@dataclass(slots=True)
class _Reembedding:
    """One under way. `passed`: contents that cannot be embedded now; `away`: how many of them, by absent root."""

    writer: Writer
    reader: Reader
    model: "Model"
    row: ModelRow
    progress: Callable[[int, int | None], None]
    passed: set[int] = field(default_factory=set)
    away: Counter[bytes] = field(default_factory=Counter)

    def todo(self) -> Iterator[Lacking]:
        """Contents to be embedded."""
        return (content for content in lacking(self.reader, self.row.id) if content.content_id not in self.passed)

    def embed(self) -> None:
        """Embed and commit them, all that can be."""
        total, done = lacking_count(self.reader, self.row.id) - len(self.passed), 0
        self.progress(0, total)
        batch: list[Pixels] = []
        # the contents are listed by this thread alone: `ahead` takes the next one when it has room for it
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
                # another process may have removed the photo meanwhile
                if self.writer.content_id(content.digest) == content.content_id:
                    self.writer.add_embedding(content.content_id, self.row.id, self.model.precision, vector)


def _prepare(model: "Model", content: Lacking) -> Pixels:
    """The content's pixels (3, H, W), from the first of its files that still holds it; None when there is none."""
    for root, relpath in content.places:
        try:
            data = read_bytes(os.path.join(root, relpath))
            if content_digest(data) == content.digest:
                return content, model.preprocess(decode(data, min_side=model.image_size).image)
        except PhotoError:
            continue
        except Exception:  # nothing that one file does may stop the run
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
    kept = f"searches go on with {old.label}" if old is not None else "searches do not use it yet"
    photos = "1 photo of it is" if count == 1 else f"{count:,} photos of it are"
    return (
        f"{os.fsdecode(root)} is away and {photos} not embedded with {new.label}: {kept} until it is back and "
        "`searcher index --model …` was run again (or `searcher forget` has removed it)"
    )
