"""One index run, from what the user named to the report."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog import Catalog
from searcher.catalog.rows import ModelRow
from searcher.errors import Busy
from searcher.indexer.look import look, named_paths
from searcher.indexer.report import IndexReport
from searcher.library.encoders import Encoders
from searcher.photos.rules import OptionChange
from searcher.progress import Progress

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder
    from searcher.vectors.store import VectorStore


def index(
    catalog: Catalog,
    encoders: Encoders,
    store_of: "Callable[[ModelRow], VectorStore]",
    paths: Sequence[str | Path],
    progress: Progress,
    *,
    options: OptionChange,
    retry: bool,
    check_content: bool,
) -> IndexReport:
    """See `Library.index`."""
    started = time.monotonic()
    named = named_paths(catalog, paths)
    new_model = encoders.new()
    if not catalog.exists:
        encoders.of(None)  # opens the model, or fails before anything is made
    progress.advance(0, None)
    notices = _unfinished(catalog)
    if new_model is not None:
        notices = _give_model(catalog, encoders, store_of, new_model, progress)
        with catalog.read() as view:
            row = view.models.current()
        if row is not None and row.digest != new_model.digest:  # a disk is missing
            encoders = Encoders(catalog, None)  # what is new is embedded with the model that searches still use
    found = look(catalog, named, progress, options=options, retry=retry, check_content=check_content)
    found.notices[:0] = notices
    if found.changes.any:
        from searcher.indexer.update import update

        row, model = _remember(catalog, encoders, progress)
        update(found, store_of(row), model, progress)
        bind_waiting(catalog, progress)
    with catalog.read() as view:
        row_now, refreshed = view.models.current(), view.models.is_refreshed()
    if row_now is not None and (found.changes.any or not refreshed):  # not refreshed: the last run was interrupted
        from searcher.library.refresh import refresh

        refresh(catalog, store_of(row_now), progress)
    with catalog.read() as view:
        older = view.metadata.unread_count()
    if found.changes.sidecars or older:
        from searcher.indexer.metadata import read_older, read_sidecars

        read_sidecars(found, progress)
        read_older(found, progress)
    return found.report(time.monotonic() - started)


def bind_waiting(catalog: Catalog, progress: Progress) -> None:
    """Give tags from a backup to the photos that have come."""
    with catalog.read() as view:
        waiting = view.backup.waiting()
    if waiting:
        with catalog.write(progress) as change:
            change.backup.bind_waiting()


def _unfinished(catalog: Catalog) -> list[str]:
    if not catalog.exists:
        return []
    with catalog.read() as view:
        rows = view.models.unfinished()
    return [
        f"not all photos are embedded with {row.label} yet: continue with `searcher index --model …`" for row in rows
    ]


def _give_model(
    catalog: Catalog,
    encoders: Encoders,
    store_of: "Callable[[ModelRow], VectorStore]",
    model: "DualEncoder",
    progress: Progress,
) -> list[str]:
    """Embed the whole library with another model; returns what the user should know."""
    from searcher.indexer.reembed import reembed
    from searcher.library.refresh import refresh

    kept = kept_folder(model, progress)
    with catalog.write(progress) as change:
        change.models.add(model, kept)
    with catalog.read() as view:
        row = view.models.by_digest(model.digest)
    assert row is not None
    store = store_of(row)
    notices = reembed(catalog, store, model, progress)
    with catalog.read() as view:
        current = view.models.current()
    if current is not None and current.id == row.id:
        refresh(catalog, store_of(current), progress)
    return notices


def kept_folder(model: "DualEncoder", progress: Progress) -> Path:
    """The folder where the model will be found later: for the built-in one a copy, if the store can be written to."""
    from searcher.models.store import keep_copy

    try:
        return keep_copy(model)
    except OSError as error:
        where = os.fsdecode(error.filename or "")
        progress.notice(
            f"no copy of the model {model.name} was kept ({error.strerror or error}: {where}); after an upgrade of "
            "searcher the photos may have to be embedded again"
        )
        return model.folder


def _remember(catalog: Catalog, encoders: Encoders, progress: Progress) -> "tuple[ModelRow, DualEncoder]":
    """The library's model. The first run remembers it and keeps a copy of the built-in one."""
    with catalog.read() as view:
        row = view.models.current()
    model = encoders.of(row)
    if row is None:
        kept = kept_folder(model, progress)
        with catalog.write(progress) as change:
            if change.view.models.current() is None:  # another process may have been first
                change.models.use(change.models.add(model, kept))
            row = change.view.models.current()
        assert row is not None
    if row.digest != model.digest:
        raise Busy(f"the library {catalog.folder} was switched to the model {row.name} just now: run the command again")
    return row, model
