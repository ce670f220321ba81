"""What derives from the embeddings is brought up to date: the vector files. What retired models left is removed."""

from searcher.catalog import Catalog
from searcher.progress import Progress
from searcher.vectors.store import VectorStore

REMOVED_AT_ONCE = 10_000  # embeddings of a retired model that one transaction removes


def refresh(catalog: Catalog, store: VectorStore, progress: Progress) -> None:
    """Bring the vector files of the current model, whose vectors `store` holds, up to date. Remove what a retired model
    has left.
    """
    store.rebuild_if_needed(catalog, progress)
    _remove_retired(catalog, progress)
    with catalog.write(progress) as change:
        change.models.set_refreshed(store.model.id)


def _remove_retired(catalog: Catalog, progress: Progress) -> None:
    with catalog.read() as view:
        retired = view.models.retired()
    more = bool(retired)
    while more:  # a little at a time: searches and other writers get their turn
        with catalog.write(progress) as change:
            more = change.models.remove_retired(REMOVED_AT_ONCE)
    for row in retired:
        for file in catalog.folder.glob(f"{row.vector_stem}*.faiss*"):
            file.unlink(missing_ok=True)
