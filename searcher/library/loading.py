"""One run of `load`: from Parquet shards to a library that is as if the photos had been indexed here."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog import Catalog
from searcher.catalog.rows import ModelRow
from searcher.errors import Busy, InvalidInput, SearcherError
from searcher.library.encoders import Encoders
from searcher.library.indexing import bind_waiting, kept_folder
from searcher.library.refresh import refresh
from searcher.library.reports import LoadReport
from searcher.library.thumbnails import MAX_BYTES, Thumbnails, is_thumbnail
from searcher.models.folder import slug
from searcher.progress import Progress

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder
    from searcher.scale.loading import Shards, Tally, Thumbnail
    from searcher.vectors.store import VectorStore

THUMBNAIL_SIZE = 256  # pixels of the longer side of those in shards


def load(
    catalog: Catalog,
    encoders: Encoders,
    store_of: "Callable[[ModelRow], VectorStore]",
    cache: Thumbnails,
    where: str,
    progress: Progress,
) -> LoadReport:
    """See `Library.load`."""
    started = time.monotonic()
    try:
        from searcher.scale import loading
    except ModuleNotFoundError as error:
        raise SearcherError("loading Parquet files needs the extra scale: run pip install 'searcher[scale]'") from error
    progress.advance(0, None)
    shards, tally, pictures = loading.open_shards(where), loading.Tally(), _Pictures(cache)
    row = _remember_model(catalog, encoders, shards, progress)
    for thumbnails in loading.load(catalog, row, shards, tally, progress):
        pictures.store(thumbnails)
    bind_waiting(catalog, progress)
    with catalog.read() as view:
        refreshed = view.models.is_refreshed()
    if not refreshed:
        refresh(catalog, store_of(row), progress)
    _explain(tally, pictures, progress)
    return LoadReport(
        shards=len(shards.good),
        added=tally.counts.added,
        changed=tally.counts.changed,
        unchanged=tally.counts.unchanged,
        failed=tally.failed,
        thumbnails=pictures.stored,
        seconds=time.monotonic() - started,
        damaged=tuple(shards.damaged),
    )


def _remember_model(catalog: Catalog, encoders: Encoders, shards: "Shards", progress: Progress) -> ModelRow:
    """The library's model, which made the shards. A new library gets it from them."""
    facts = shards.facts
    # the slug becomes a part of file names, so it is not taken from the shards
    told = ModelRow(
        0, facts.digest, facts.model, slug(facts.model), facts.version, os.fsencode(facts.folder), facts.dim
    )
    row, made = None, None
    if catalog.exists:
        with catalog.read() as view:
            row = view.models.current()
            made = None if row is None else view.models.precision(row.id)
    if row is not None and (row.digest, row.dim) != (told.digest, told.dim):
        raise InvalidInput(
            f"the library {catalog.folder} was made with the model {row.label}, and the shards with {told.label}: "
            "load them into another library (--library), or embed the photos with the model of this one"
        )
    model = encoders.on_this_machine(told if row is None else row)
    _check_precisions(model, {shard.facts.precision for shard in shards.good} | ({made} if made else set()))
    if row is None:
        folder = Path(os.fsdecode(told.folder)) if model is None else kept_folder(model, progress)
        with catalog.write(progress) as change:
            if change.view.models.current() is None:  # another process may have been first
                change.models.use(change.models.add(model or told, folder))
            row = change.view.models.current()
        if row is None or row.digest != told.digest:
            raise Busy(f"the library {catalog.folder} was given another model just now: run the command again")
    if model is None:
        progress.notice(
            f"the model {told.label} is not on this machine: to search, pull or import it (searcher models)"
        )
    return row


def _check_precisions(model: "DualEncoder | None", precisions: set[str]) -> None:
    first, *others = sorted(precisions)
    if not others:
        return
    try:
        if model is not None and all(model.in_precision(first).mixes_with(other) for other in others):
            return
    except SearcherError:  # the model does not have this precision here
        pass
    raise InvalidInput(
        f"the embeddings were made in {' and '.join(sorted(precisions))}, and they may differ too much to be mixed: "
        "load them into another library (--library)"
    )


class _Pictures:
    """Stores thumbnails as long as the cache has room.

    stored: how many photos have one in it now. left: how many have none, because it is full.
    """

    def __init__(self, cache: Thumbnails) -> None:
        self._cache = cache
        self.stored = self.left = 0

    def store(self, thumbnails: "list[Thumbnail]") -> None:
        for digest, data in thumbnails:
            if not is_thumbnail(data, THUMBNAIL_SIZE):
                continue
            if not self.left and self._cache.add(digest, THUMBNAIL_SIZE, data):
                self.stored += 1
            else:
                self.left += 1


def _explain(tally: "Tally", pictures: _Pictures, progress: Progress) -> None:
    if tally.left_out:
        rows = "1 row was" if tally.left_out == 1 else f"{tally.left_out:,} rows were"
        first = os.fsdecode(tally.first_left_out) or "an empty one"
        progress.notice(f"{rows} left out, because a library cannot hold such a path: {first}")
    if pictures.left:
        progress.notice(
            f"{pictures.left:,} thumbnails were not stored: the library keeps at most {MAX_BYTES // 2**20} MB of them"
        )
