"""A library at a glance: cameras, formats, folders, places."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from searcher.catalog.read.queries import IN_LIST, Queries, in_list
from searcher.catalog.rows import Photo
from searcher.filters import EVERYTHING, Filter

MOST_CELLS = 2000  # of a map
_PHOTO = "i.id, i.content_id, r.path, i.relpath, c.taken_at, c.rating"


class Place(NamedTuple):
    """Photos that were taken near one another: the middle of them in degrees, how many, the id of one image."""

    latitude: float
    longitude: float
    photos: int
    id: int


class FolderCount(NamedTuple):
    """A folder, and how many images are in it and below. Each copy of a photo counts."""

    root_id: int
    prefix: bytes  # b"" or ending in "/"
    images: int


class ImageFile(NamedTuple):
    """An image with the size of what it shows, in pixels, and of its file, in bytes."""

    photo: Photo
    width: int
    height: int
    bytes: int


class Overview(Queries):
    """Counts of the photos of a library."""

    def facets(self) -> list[tuple[str | None, str, str, int]]:
        """(camera, format, orientation, number of photos) of each combination that there is."""
        shape = "CASE WHEN width > height THEN 'landscape' WHEN width < height THEN 'portrait' ELSE 'square' END"
        return self._rows(
            f"SELECT camera, format, {shape} AS shape, count(*) FROM contents c "
            "WHERE EXISTS (SELECT 1 FROM images i WHERE i.content_id = c.id) GROUP BY camera, format, shape"
        )

    def folders(self) -> list[FolderCount]:
        """Each root and the folders of its first two levels."""
        slash = "instr(relpath, x'2f')"
        sql = (
            "SELECT root_id, substr(relpath, 1, first + instr(substr(relpath, first + 1), x'2f')) AS inner, count(*) "
            f"FROM (SELECT root_id, relpath, {slash} AS first FROM images WHERE content_id IS NOT NULL) "
            "GROUP BY root_id, inner"
        )
        counts: Counter[tuple[int, bytes]] = Counter()
        # SQLite joins what is not divided: without a slash, `first` is 0, and a second one is not looked for
        for root_id, prefix, images in self._rows(sql):
            first, slash_here, rest = prefix.partition(b"/")
            for folder in {b"", first + slash_here, prefix} if rest else {b"", prefix}:
                counts[root_id, folder] += images
        return [FolderCount(root_id, prefix, images) for (root_id, prefix), images in sorted(counts.items())]

    def places(self, filter: Filter = EVERYTHING, precision: float = 1.0) -> list[Place]:
        """Photos that meet `filter` and say where they were taken, in the cells of a grid, most photos first.

        precision: the side of a cell in degrees. It is doubled until there are at most MOST_CELLS cells.
        """
        matching, parameters = self._compiled(filter)
        rows = self._rows(
            "SELECT CAST((c.latitude + 90) / ? AS INTEGER) AS row, CAST((c.longitude + 180) / ? AS INTEGER) AS column, "
            f"sum(c.latitude), sum(c.longitude), count(*), max(c.id) FROM ({matching}) f "
            "JOIN contents c ON c.id = f.content_id WHERE c.latitude IS NOT NULL AND c.longitude IS NOT NULL "
            "GROUP BY row, column",
            precision,
            precision,
            *parameters,
        )
        while len(rows) > MOST_CELLS:
            rows = _coarser(rows)
        images = self._first_images(row[5] for row in rows)
        cells = [
            Place(latitude / count, longitude / count, count, images[content_id])
            for _, _, latitude, longitude, count, content_id in rows
        ]
        return sorted(cells, key=lambda cell: -cell.photos)

    def _first_images(self, content_ids: Iterable[int]) -> dict[int, int]:
        """content id → the id of its oldest image."""
        sql = f"SELECT content_id, min(id) FROM images WHERE content_id IN {IN_LIST} GROUP BY content_id"
        return dict(self._rows(sql, in_list(content_ids)))

    def image_files(self, image_ids: Iterable[int]) -> dict[int, ImageFile]:
        """image id → what and where it is. Unknown ids are left out, and files that failed."""
        sql = (
            f"SELECT {_PHOTO}, c.width, c.height, i.size FROM images i JOIN contents c ON c.id = i.content_id "
            f"JOIN roots r ON r.id = i.root_id WHERE i.id IN {IN_LIST}"
        )
        rows = self._rows(sql, in_list(image_ids))
        return {row[0]: ImageFile(Photo(*row[:-3]), *row[-3:]) for row in rows}


def _coarser(rows: list[Any]) -> list[Any]:
    """Cells of a grid with twice the precision."""
    cells: dict[tuple[int, int], tuple[float, float, int, int]] = {}
    for row, column, latitude, longitude, count, content_id in rows:
        cell = (row // 2, column // 2)
        there = cells.get(cell, (0.0, 0.0, 0, 0))
        cells[cell] = (there[0] + latitude, there[1] + longitude, there[2] + count, max(there[3], content_id))
    return [(*cell, *values) for cell, values in cells.items()]
