"""A library on this machine: the photos of a catalog, and those that a model has embedded."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from searcher.catalog import Catalog
from searcher.catalog.read.labels import LabelOverview
from searcher.catalog.read.overview import ImageFile, Place
from searcher.catalog.read.photos import Month, Order
from searcher.catalog.rows import LabelCount, ModelRow, Photo, PhotoTag
from searcher.catalog.tagged import tagged_photos
from searcher.filters import EVERYTHING, Filter
from searcher.filters.uri import without_slash
from searcher.search.overview import Counted, Facets, FolderState, PhotoDetails, VectorState

if TYPE_CHECKING:
    import numpy as np

    from searcher.vectors.store import VectorStore

# Deleted photos leave vectors behind until a new vector file is written: look a little further at once.
SPARE = 16
MOST_FOLDERS = 2000


class LocalRecords:
    """The photos of a catalog: Records. Safe to share by threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @property
    def revision(self) -> str:
        return self._catalog.revision()

    def details(self, image_id: int) -> PhotoDetails | None:
        with self._catalog.read() as view:
            photo = view.photos.one(image_id)
            if photo is None:
                return None
            copies = view.photos.of_contents([photo.content_id])
            tags = view.photos.tags([copy.id for copy in copies])
            content = view.photos.content(photo.content_id)
        tagged = [copy._replace(tags=tuple(tags.get(copy.id, ()))) for copy in copies]
        (own,) = (copy for copy in tagged if copy.id == image_id)
        return PhotoDetails(own, content, tuple(copy for copy in tagged if copy.id != image_id))

    def digest(self, image_id: int) -> bytes | None:
        with self._catalog.read() as view:
            return view.photos.digest(image_id)

    def tags(self, image_ids: Iterable[int]) -> dict[int, list[PhotoTag]]:
        with self._catalog.read() as view:
            return view.photos.tags(image_ids)

    def image_files(self, image_ids: Iterable[int]) -> dict[int, ImageFile]:
        with self._catalog.read() as view:
            return view.overview.image_files(image_ids)

    def with_copies(self, image_ids: Iterable[int]) -> list[Photo]:
        with self._catalog.read() as view:
            return view.photos.with_copies(image_ids)

    def tagged(self, names: Sequence[str]) -> Iterator[Photo]:
        return tagged_photos(self._catalog, names)

    def labels(self) -> list[str]:
        with self._catalog.read() as view:
            return sorted(label.name for label in view.tags.labels().values())

    def label_counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        with self._catalog.read() as view:
            return view.tags.counts(filter)

    def label_overview(self, filter: Filter = EVERYTHING, samples: int = 4, most: int = 1000) -> list[LabelOverview]:
        with self._catalog.read() as view:
            return view.labels.overview(filter, samples, most)

    def timeline(self, filter: Filter = EVERYTHING) -> list[Month]:
        with self._catalog.read() as view:
            return view.photos.timeline(filter)

    def places(self, filter: Filter = EVERYTHING, precision: float = 1.0) -> list[Place]:
        with self._catalog.read() as view:
            return view.overview.places(filter, precision)

    def facets(self) -> Facets:
        with self._catalog.read() as view:
            roots, folders = view.files.root_paths(), view.overview.folders()
            combinations, sources = view.overview.facets(), view.labels.sources()
        cameras, formats, shapes = Counter[str](), Counter[str](), Counter[str]()
        for camera, format, shape, photos in combinations:
            if camera is not None:
                cameras[camera] += photos
            formats[format] += photos
            shapes[shape] += photos
        counted = [
            Counted(os.fsdecode(without_slash(os.path.join(roots[row.root_id], row.prefix))), row.images)  # noqa: PTH118
            for row in folders
        ]
        largest = sorted(counted, key=lambda folder: -folder.photos)[:MOST_FOLDERS]
        return Facets(_sorted(cameras), _sorted(formats), _sorted(shapes), tuple(sorted(largest)), tuple(sources))

    def folders(self) -> list[FolderState]:
        with self._catalog.read() as view:
            roots, counts = view.files.roots(), view.files.counts_by_root()
        return [FolderState(os.fsdecode(root.path), *counts.get(root.id, (0, 0))) for root in roots]


def _sorted(counts: Counter[str]) -> tuple[Counted, ...]:
    return tuple(Counted(name, photos) for name, photos in counts.most_common())


class LocalCollection(LocalRecords):
    """The photos of a catalog that one model has embedded: a Collection. Safe to share by threads."""

    def __init__(self, catalog: Catalog, store: "VectorStore", model: ModelRow) -> None:
        super().__init__(catalog)
        self._store, self.model = store, model

    def nearest(self, vectors: "np.ndarray", k: int, filter: Filter = EVERYTHING) -> "list[list[tuple[int, float]]]":
        with self._catalog.read() as view:
            self._store.sync(view)
            allowed = view.embeddings.matching(filter, self.model.id)[0] if filter else None
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
            return view.embeddings.of_ids(ids, self.model)

    def image_vectors(self, image_ids: Iterable[int]) -> "dict[int, np.ndarray]":
        with self._catalog.read() as view:
            return view.embeddings.of_images(image_ids, self.model)

    def photos(self, ids: Sequence[int], filter: Filter = EVERYTHING) -> dict[int, list[Photo]]:
        with self._catalog.read() as view:
            return view.photos.of_embeddings(ids, filter)

    def browse(
        self, filter: Filter = EVERYTHING, order: Order = "newest", offset: int = 0, limit: int = 100
    ) -> list[tuple[int, float]]:
        with self._catalog.read() as view:
            return view.photos.browse(self.model, filter, order, offset, limit)

    def vector_state(self) -> VectorState:
        with self._catalog.read() as view:
            state = self._store.status(view)
        return VectorState(state.kind, state.vectors, state.pending)
