"""Collection: the read side of a library, wherever it is kept. LocalCollection: a catalog and its vectors."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from searcher.catalog import Catalog
from searcher.catalog.read.photos import Month, Order
from searcher.catalog.rows import LabelCount, ModelRow, Photo, PhotoTag
from searcher.filters import EVERYTHING, Filter

if TYPE_CHECKING:
    import numpy as np

    from searcher.vectors.store import VectorStore

# Deleted photos leave vectors behind until a new vector file is written: look a little further at once.
SPARE = 16


class Collection(Protocol):
    """What searches, tags and pages ask of a library. Ids are those of embeddings, unless an image is named."""

    def nearest(self, vectors: "np.ndarray", k: int, filter: Filter = EVERYTHING) -> "list[list[tuple[int, float]]]":
        """For each vector (n, dim) the `k` nearest photos that meet `filter`: (id, cosine), best first.

        There are fewer only if no more photos meet the filter.
        """
        ...

    def vectors(self, ids: Sequence[int]) -> "dict[int, np.ndarray]":
        """id → its vector (dim,) float32. Those that are gone are left out."""
        ...

    def image_vectors(self, image_ids: Iterable[int]) -> "dict[int, np.ndarray]":
        """image id → the vector (dim,) float32 of its photo. Images without one are left out."""
        ...

    def photos(self, ids: Sequence[int], filter: Filter = EVERYTHING) -> dict[int, list[Photo]]:
        """id → the images with that content (copies of one photo), oldest first, without tags.

        `meant` says which copies are in the folders of `filter`, and have its name.
        """
        ...

    def browse(
        self, filter: Filter = EVERYTHING, order: Order = "newest", offset: int = 0, limit: int = 100
    ) -> list[tuple[int, float]]:
        """One page of the photos that meet `filter`: (id, least probability of the tags asked for)."""
        ...

    def tags(self, image_ids: Iterable[int]) -> dict[int, list[PhotoTag]]:
        """image id → its tags, most probable first."""
        ...

    def label_counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        """How many of the photos that meet `filter` have each label, most first."""
        ...

    def timeline(self, filter: Filter = EVERYTHING) -> list[Month]:
        """How many of the photos that meet `filter` were taken in each month, newest first."""
        ...


class LocalCollection:
    """The photos of a catalog that one model has embedded. Safe to share by threads."""

    def __init__(self, catalog: Catalog, store: "VectorStore", model: ModelRow) -> None:
        self._catalog, self._store, self._model = catalog, store, model

    def nearest(self, vectors: "np.ndarray", k: int, filter: Filter = EVERYTHING) -> "list[list[tuple[int, float]]]":
        with self._catalog.read() as view:
            self._store.sync(view)
            allowed = view.embeddings.matching(filter, self._model.id)[0] if filter else None
            size = self._store.size if allowed is None else len(allowed)
            found: list[list[tuple[int, float]]] = [[] for _ in vectors]
            asked = min(k + SPARE, size)
            while asked:
                scores, ids = self._store.search(vectors, asked, allowed)
                existing = view.embeddings.existing({int(id) for id in ids.ravel() if id >= 0})
                found = [
                    [(id, score) for id, score in zip(row_ids, row_scores, strict=True) if id in existing][:k]
                    for row_ids, row_scores in zip(ids.tolist(), scores.tolist(), strict=True)
                ]
                if asked == size or all(len(hits) >= k for hits in found):
                    break
                asked = min(4 * asked, size)
            return found

    def vectors(self, ids: Sequence[int]) -> "dict[int, np.ndarray]":
        with self._catalog.read() as view:
            return view.embeddings.of_ids(ids, self._model)

    def image_vectors(self, image_ids: Iterable[int]) -> "dict[int, np.ndarray]":
        with self._catalog.read() as view:
            return view.embeddings.of_images(image_ids, self._model)

    def photos(self, ids: Sequence[int], filter: Filter = EVERYTHING) -> dict[int, list[Photo]]:
        with self._catalog.read() as view:
            return view.photos.of_embeddings(ids, filter)

    def browse(
        self, filter: Filter = EVERYTHING, order: Order = "newest", offset: int = 0, limit: int = 100
    ) -> list[tuple[int, float]]:
        with self._catalog.read() as view:
            return view.photos.browse(self._model, filter, order, offset, limit)

    def tags(self, image_ids: Iterable[int]) -> dict[int, list[PhotoTag]]:
        with self._catalog.read() as view:
            return view.photos.tags(image_ids)

    def label_counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        with self._catalog.read() as view:
            return view.tags.counts(filter)

    def timeline(self, filter: Filter = EVERYTHING) -> list[Month]:
        with self._catalog.read() as view:
            return view.photos.timeline(filter)
