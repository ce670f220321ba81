"""What the photos of a library in Milvus can be narrowed to: cameras, formats, shapes, folders, places."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from searcher.catalog.read.overview import MOST_CELLS, Place
from searcher.filters import EVERYTHING, ORIENTATIONS, Filter
from searcher.scale.milvus.connection import literal
from searcher.scale.milvus.counting import FEW, CountMethods
from searcher.scale.milvus.notes import CAMERA, FOLDER, FORMAT, disjoint, is_inside, noted
from searcher.scale.milvus.registry import SHARD
from searcher.scale.milvus.rows import facts_of
from searcher.search.overview import Counted, Facets, FolderState, VectorState

MOST_FACETS = 2000  # names of each kind that are counted
LEVELS = 2  # of folders below a root


class OverviewMethods(CountMethods):
    """A library at a glance."""

    def facets(self) -> Facets:
        """What photos can be narrowed to. Of very many photos, the names are those that `loading` has noted."""
        cameras, formats, folders = Counter[str](), Counter[str](), Counter[str]()
        names = noted(self._registry)
        roots = [folder.path for folder in self.folders()]
        inside = [name for name in names[FOLDER] if _level(name, roots) <= LEVELS]
        if self._connection.count(self._images) <= FEW:
            shapes = Counter[str]()
            for row in self._connection.rows(self._images, "", ["first", "folders", "orientation", "format", "facts"]):
                folders.update(row["folders"])
                if row["first"]:
                    shapes[row["orientation"]] += 1
                    formats[row["format"]] += 1
                    cameras[facts_of(row).get("camera", "")] += 1
            folders = Counter({name: folders[name] for name in inside})
        else:
            cameras = self._count("camera == {} and first == true", names[CAMERA], fold=True)
            formats = self._count("format == {} and first == true", names[FORMAT])
            shapes = self._count("orientation == {} and first == true", ORIENTATIONS)
            folders = self._count("ARRAY_CONTAINS(folders, {})", inside[:MOST_FACETS])
        cameras.pop("", None)
        largest = [Counted(name, photos) for name, photos in folders.most_common(MOST_FACETS) if photos]
        return Facets(_sorted(cameras), _sorted(formats), _sorted(shapes), tuple(sorted(largest)), self.label_sources())

    def places(self, filter: Filter = EVERYTHING, precision: float = 1.0) -> list[Place]:
        """Where the photos that meet `filter` were taken, in the cells of a grid, most photos first. All are read.

        precision: the side of a cell in degrees. It is doubled until there are at most MOST_CELLS cells.
        """
        compiled = self._compile(filter)
        located = compiled.expression + " and latitude is not null and longitude is not null"
        cells: dict[tuple[int, int], tuple[float, float, int, int]] = {}
        for row in self._matching(replace(compiled, expression=located), ("latitude", "longitude")):
            latitude, longitude = row["latitude"], row["longitude"]
            cell = math.floor((latitude + 90) / precision), math.floor((longitude + 180) / precision)
            north, east, photos, id = cells.get(cell, (0.0, 0.0, 0, 0))
            cells[cell] = north + latitude, east + longitude, photos + 1, max(id, row["content"])
        while len(cells) > MOST_CELLS:
            cells = _coarser(cells)
        found = [Place(north / photos, east / photos, photos, id) for north, east, photos, id in cells.values()]
        return sorted(found, key=lambda place: -place.photos)

    def folders(self) -> list[FolderState]:
        """The folders that hold all photos, one for this machine and one for each bucket, and their failed files."""
        failed = Counter[str]()
        for entry in self._registry.all(SHARD).values():
            for folder, files in entry["folders"].items():
                failed[folder] += files
        tops = disjoint(failed)
        return [
            FolderState(
                top,
                self._connection.count(self._images, f"ARRAY_CONTAINS(folders, {literal(top)})"),
                sum(files for folder, files in failed.items() if is_inside(folder, top)),
            )
            for top in tops
        ]

    def vector_state(self) -> VectorState:
        """What searches look for vectors in: an index of Milvus."""
        return VectorState("milvus", self._connection.count(self._images, "first == true"), 0)

    def _count(self, expression: str, names: Sequence[str], fold: bool = False) -> Counter[str]:
        """How many rows meet an expression with each of these names in it."""
        filters = [expression.format(literal(name.casefold() if fold else name)) for name in names]
        return Counter(dict(zip(names, self._connection.counts(self._images, filters), strict=True)))


def _level(folder: str, roots: Iterable[str]) -> int:
    """How far a folder is below a root; more than LEVELS if it is in none."""
    return min(
        (folder[len(root.rstrip("/")) :].count("/") for root in roots if is_inside(folder, root)), default=LEVELS + 1
    )


def _coarser(
    cells: dict[tuple[int, int], tuple[float, float, int, int]],
) -> dict[tuple[int, int], tuple[float, float, int, int]]:
    """Cells of a grid with twice the precision."""
    wider: dict[tuple[int, int], tuple[float, float, int, int]] = {}
    for (row, column), (north, east, photos, id) in cells.items():
        cell = row // 2, column // 2
        there = wider.get(cell, (0.0, 0.0, 0, 0))
        wider[cell] = there[0] + north, there[1] + east, there[2] + photos, max(there[3], id)
    return wider


def _sorted(counts: Counter[str]) -> tuple[Counted, ...]:
    return tuple(Counted(name, photos) for name, photos in counts.most_common() if photos)
