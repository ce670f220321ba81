"""What derives from the embeddings is brought up to date: the vector file, the score of meaningless queries."""

from typing import TYPE_CHECKING

from searcher.catalog import Catalog
from searcher.progress import Progress
from searcher.search.collection import LocalCollection
from searcher.search.find import MEANINGLESS, noise_floor
from searcher.vectors.store import VectorStore

if TYPE_CHECKING:
    from searcher.library.encoders import Encoders

REMOVED_AT_ONCE = 10_000  # embeddings of a retired model that one transaction removes


def refresh(catalog: Catalog, store: VectorStore, encoders: "Encoders", progress: Progress) -> None:
    """Bring up to date what derives from the embeddings of the current model, whose vectors `store` holds. Remove
    what a retired model has left.
    """
    import numpy as np

    row = store.model
    store.rebuild_if_needed(catalog, progress)
    with catalog.read() as view:
        stored = view.models.noise_vectors(row.id)
    if stored is None:
        noise = encoders.of(row).encode_texts(MEANINGLESS)
    else:
        noise = np.frombuffer(stored, np.float16).reshape(-1, row.dim).astype(np.float32)
    floor = noise_floor(LocalCollection(catalog, store, row), noise)
    _remove_retired(catalog, progress)
    with catalog.write(progress) as change:
        change.models.set_refreshed(row.id, noise, floor)


def _remove_retired(catalog: Catalog, progress: Progress) -> None:
    with catalog.read() as view:
        retired = view.models.retired()
    more = bool(retired)
    while more:  # a little at a time: searches and other writers get their turn
        with catalog.write(progress) as change:
            more = change.models.remove_retired(REMOVED_AT_ONCE)
    for row in retired:
        (catalog.folder / row.vector_file).unlink(missing_ok=True)
