"""The part of Library that shows it at a glance. What counts photos is remembered until the library changes."""

import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from searcher.filters import EVERYTHING, Filter
from searcher.filters.uri import is_uri
from searcher.library.core import LibraryCore

if TYPE_CHECKING:
    from searcher.catalog.read.labels import LabelOverview
    from searcher.catalog.read.overview import ImageFile, Place
    from searcher.catalog.read.photos import Month
    from searcher.catalog.rows import Photo
    from searcher.library.reports import Status, Summary
    from searcher.search.overview import Facets, FolderState

SIZE_EVERY_S = 60.0  # how often the files of a library are measured


class OverviewMethods(LibraryCore):
    """Counts of the photos of a library, for everything or for what meets a filter."""

    def status(self) -> "Status":
        """Counts and sizes. Raises NotFound if there is no library."""
        from searcher.library.reports import Status
        from searcher.search.overview import VectorState

        row, folders = self._current(), _looked_for(self._records().folders())
        state = VectorState("none", 0, 0) if row is None else self._collection(row).vector_state()
        return Status(
            library=self.location,
            model=None if row is None else row.name,
            roots=tuple(folder.path for folder in folders),
            missing=tuple(folder.path for folder in folders if folder.missing),
            images=sum(folder.images for folder in folders),
            failed=sum(folder.failed for folder in folders),
            kind=state.kind,
            vectors=state.vectors,
            pending=state.pending,
            bytes=self._bytes(),
        )

    def summary(self) -> "Summary":
        """The library at a glance, for those who ask often. Raises NotFound if there is no library."""
        from searcher.library.reports import Summary

        revision = self.revision
        folders = self._remembered.get("folders", revision, lambda: self._records().folders())
        model = self._remembered.get("model", revision, self._current)
        now = time.monotonic()
        size = self._remembered.get("size", str(int(now // SIZE_EVERY_S)), self._bytes)
        return Summary(revision, None if model is None else model.name, size, tuple(_looked_for(folders)))

    def timeline(self, filter: Filter = EVERYTHING) -> "list[Month]":
        """How many photos that meet `filter` were taken in each month, newest first; those without a date last."""
        key = ("timeline", filter)
        return self._remembered.get(key, self.revision, lambda: self._records().timeline(filter))

    def facets(self) -> "Facets":
        """What photos can be narrowed to: cameras, formats, shapes, folders, sources of labels, each with a count."""
        return self._remembered.get("facets", self.revision, lambda: self._records().facets())

    def places(self, filter: Filter = EVERYTHING, precision: float = 1.0) -> "list[Place]":
        """Where photos that meet `filter` were taken, in the cells of a grid, most photos first; at most 2,000 cells.

        precision: the side of a cell in degrees; it is doubled as long as there are too many cells.
        """
        key = ("places", filter, precision)
        return self._remembered.get(key, self.revision, lambda: self._records().places(filter, precision))

    def label_overview(self, filter: Filter = EVERYTHING, samples: int = 4, most: int = 1000) -> "list[LabelOverview]":
        """Every label that a photo has, most photos first, with a few of the photos, and every taught label.

        With `filter`, only the photos that meet it count, and only tags from its sources.
        """
        key = ("labels", filter, samples, most)
        return self._remembered.get(key, self.revision, lambda: self._records().label_overview(filter, samples, most))

    def image_files(self, image_ids: Iterable[int]) -> "dict[int, ImageFile]":
        """image id → what and where it is. Unknown ids are left out, and files that failed."""
        return self._records().image_files(image_ids)

    def with_copies(self, image_ids: Iterable[int]) -> "list[Photo]":
        """These images and all others with the same contents, by id, without tags. Unknown ids are left out."""
        return self._records().with_copies(image_ids)


def _looked_for(folders: "Sequence[FolderState]") -> "list[FolderState]":
    """Folders with `missing` as it is now. A folder that has a URI is not looked for."""
    return [
        folder._replace(missing=not is_uri(folder.path) and not os.path.isdir(folder.path))  # noqa: PTH112
        for folder in folders
    ]
