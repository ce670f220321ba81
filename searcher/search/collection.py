"""Records and Collection: the read side of a library, wherever it is kept."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from searcher.catalog.read.labels import LabelOverview
from searcher.catalog.read.overview import ImageFile, Place
from searcher.catalog.read.photos import Month, Order
from searcher.catalog.rows import LabelCount, ModelRow, Photo, PhotoTag
from searcher.filters import EVERYTHING, Filter
from searcher.search.overview import Facets, FolderState, PhotoDetails, VectorState

if TYPE_CHECKING:
    import numpy as np


class Records(Protocol):
    """What a library knows about its photos, whatever model embeds them. Ids are those of images."""

    @property
    def revision(self) -> str:
        """A text that is another one after every change, by any process. Cheap."""
        ...

    # one photo, and some

    def details(self, image_id: int) -> PhotoDetails | None:
        """Everything that is known about one photo, its tags included. None for an unknown id."""
        ...

    def digest(self, image_id: int) -> bytes | None:
        """The digest of what the file of an image holds. None for an unknown id."""
        ...

    def tags(self, image_ids: Iterable[int]) -> dict[int, list[PhotoTag]]:
        """image id → its tags, most probable first. An image without tags may be left out."""
        ...

    def image_files(self, image_ids: Iterable[int]) -> dict[int, ImageFile]:
        """image id → what and where it is. Unknown ids are left out."""
        ...

    def with_copies(self, image_ids: Iterable[int]) -> list[Photo]:
        """These images and all others with the same contents, by id, without tags. Unknown ids are left out."""
        ...

    def tagged(self, names: Sequence[str]) -> Iterator[Photo]:
        """Every photo, by id, with those of the labels `names` that runs or a person gave it."""
        ...

    # all of them

    def labels(self) -> list[str]:
        """All labels, by name."""
        ...

    def label_counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        """How many of the photos that meet `filter` have each label, by source, most first. Only tags from the sources
        of the filter count.
        """
        ...

    def label_overview(self, filter: Filter = EVERYTHING, samples: int = 4, most: int = 1000) -> list[LabelOverview]:
        """The labels of the photos that meet `filter`, most photos first, each with the ids of a few of them."""
        ...

    def timeline(self, filter: Filter = EVERYTHING) -> list[Month]:
        """How many of the photos that meet `filter` were taken in each month, newest first; without a date last."""
        ...

    def places(self, filter: Filter = EVERYTHING, precision: float = 1.0) -> list[Place]:
        """Where the photos that meet `filter` were taken, in the cells of a grid, most photos first.

        precision: the side of a cell in degrees. It is doubled until there are at most MOST_CELLS cells.
        """
        ...

    def facets(self) -> Facets:
        """What photos can be narrowed to."""
        ...

    def folders(self) -> list[FolderState]:
        """The folders that were indexed, by path, each with how many images and failed files it has."""
        ...


class Collection(Records, Protocol):
    """What searches ask of a library: the photos that one model has embedded. Ids are those of embeddings, unless an
    image is named.
    """

    @property
    def model(self) -> ModelRow:
        """The model."""
        ...

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
        """One page of the photos that meet `filter`: (id, least probability of the tags asked for).

        limit: -1 for all of them.
        """
        ...

    def vector_state(self) -> VectorState:
        """What searches look for vectors in."""
        ...
