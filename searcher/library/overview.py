"""The part of Library that shows it at a glance. What counts photos is remembered until the catalog changes."""

import os
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from searcher.catalog.rows import Photo
from searcher.filters import EVERYTHING, Filter
from searcher.filters.uri import without_slash
from searcher.library.core import LibraryCore

if TYPE_CHECKING:
    from collections.abc import Callable

    from searcher.catalog.read.labels import LabelOverview
    from searcher.catalog.read.overview import ImageFile, Place
    from searcher.catalog.read.photos import Month
    from searcher.catalog.read.view import View
    from searcher.library.reports import Counted, Facets, FolderState, Summary

Value = TypeVar("Value")

MOST_FOLDERS = 2000
SIZE_EVERY_S = 60.0  # how often the files of a library are measured


class OverviewMethods(LibraryCore):
    """Counts of the photos of a library, for everything or for what meets a filter."""

    def summary(self) -> "Summary":
        """The library at a glance, for those who ask often. Raises NotFound if there is no library."""
        from searcher.library.reports import Summary

        revision = self.revision
        folders = self._remembered.get("folders", revision, self._folders)
        model = self._remembered.get("model", revision, self._current)
        now = time.monotonic()
        size = self._remembered.get("size", str(int(now // SIZE_EVERY_S)), self._bytes)
        return Summary(
            revision=revision,
            model=None if model is None else model.name,
            bytes=size,
            folders=tuple(
                folder._replace(missing=not os.path.isdir(folder.path))  # noqa: PTH112
                for folder in folders
            ),
        )

    def timeline(self, filter: Filter = EVERYTHING) -> "list[Month]":
        """How many photos that meet `filter` were taken in each month, newest first; those without a date last."""
        return self._counted("timeline", filter, lambda view: view.photos.timeline(filter))

    def facets(self) -> "Facets":
        """What photos can be narrowed to: cameras, formats, shapes, folders, sources of labels, each with a count."""
        return self._counted("facets", EVERYTHING, _facets)

    def places(self, filter: Filter = EVERYTHING, precision: float = 1.0) -> "list[Place]":
        """Where photos that meet `filter` were taken, in the cells of a grid, most photos first; at most 2,000 cells.

        precision: the side of a cell in degrees; it is doubled as long as there are too many cells.
        """
        return self._counted(("places", precision), filter, lambda view: view.overview.places(filter, precision))

    def label_overview(self, filter: Filter = EVERYTHING, samples: int = 4, most: int = 1000) -> "list[LabelOverview]":
        """Every label that a photo has, most photos first, with a few of the photos, and every taught label.

        With `filter`, only the photos that meet it count, and only tags from its sources.
        """
        return self._counted(
            ("labels", samples, most), filter, lambda view: view.labels.overview(filter, samples, most)
        )

    def taught_with(self, label: str) -> list[tuple[int, bool]]:
        """(image id, whether it shows the label) of those photos a label was taught with that are in the library."""
        with self._catalog.read() as view:
            return view.labels.taught_with(label)

    def _folders(self) -> "list[FolderState]":
        from searcher.library.reports import FolderState

        with self._catalog.read() as view:
            roots, counts = view.files.roots(), view.files.counts_by_root()
        return [FolderState(os.fsdecode(root.path), *counts.get(root.id, (0, 0))) for root in roots]

    def image_files(self, image_ids: Iterable[int]) -> "dict[int, ImageFile]":
        """image id → what and where it is. Unknown ids are left out, and files that failed."""
        with self._catalog.read() as view:
            return view.overview.image_files(image_ids)

    def with_copies(self, image_ids: Iterable[int]) -> list[Photo]:
        """These images and all others with the same contents, by id, without tags. Unknown ids are left out."""
        with self._catalog.read() as view:
            return view.photos.with_copies(image_ids)

    def _counted(self, name: object, filter: Filter, count: "Callable[[View], Value]") -> Value:
        def compute() -> Value:
            with self._catalog.read() as view:
                return count(view)

        return self._remembered.get((name, filter), self.revision, compute)


def _facets(view: "View") -> "Facets":
    from searcher.library.reports import Counted, Facets

    cameras, formats, shapes = Counter[str](), Counter[str](), Counter[str]()
    for camera, format, shape, photos in view.overview.facets():
        if camera is not None:
            cameras[camera] += photos
        formats[format] += photos
        shapes[shape] += photos
    roots = view.files.root_paths()
    folders = [
        Counted(os.fsdecode(without_slash(os.path.join(roots[row.root_id], row.prefix))), row.images)  # noqa: PTH118
        for row in view.overview.folders()
    ]
    largest = sorted(folders, key=lambda folder: -folder.photos)[:MOST_FOLDERS]
    return Facets(
        cameras=_sorted(cameras),
        formats=_sorted(formats),
        orientations=_sorted(shapes),
        folders=tuple(sorted(largest)),
        sources=tuple(view.labels.sources()),
    )


def _sorted(counts: Counter[str]) -> "tuple[Counted, ...]":
    from searcher.library.reports import Counted

    return tuple(Counted(name, photos) for name, photos in counts.most_common())
