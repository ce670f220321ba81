"""Copies of photos in a library: the same bytes (exact), or the same shot in another size, quality or cut (near).

Candidates have hashes that differ in few bits, and embeddings that are not far apart. Then their pixels decide, so that
shots of a burst are told apart. A photo joins the group of the best photo that it is a copy of, never that of another
copy: so a chain of similar photos does not become one group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from searcher.catalog import Catalog
from searcher.catalog.folders import Part
from searcher.catalog.read.likeness import Look
from searcher.catalog.read.view import View
from searcher.catalog.rows import Photo
from searcher.photos.copies import SIDE, outline, same_shot
from searcher.photos.errors import PhotoError
from searcher.progress import SILENT, Progress
from searcher.search.alike import alike, distance
from searcher.vectors.store import VectorStore

LEAST_COSINE = 0.6
"""The least cosine of the embeddings of candidates. A photo of a quarter of the pixels can have so small a one."""
UNSEEN_BITS, UNSEEN_COSINE = 10, 0.85
"""The same for photos that cannot be opened, so that their pixels cannot decide."""
_OUTLINES = 2048  # kept in memory, 37 kB each

Kind = Literal["exact", "near"]


@dataclass(frozen=True, slots=True)
class DuplicatePhoto:
    """A copy of a photo to keep. id: of the image. similarity: the cosine of their embeddings, 1 if the bytes are the
    same.
    """

    id: int
    path: str
    similarity: float


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Copies of one photo. keep_id, keep: the image and the path of the best one, by pixels, then by sharpness. kind:
    "exact" if all of them have the same bytes.
    """

    kind: Kind
    keep_id: int
    keep: str
    others: tuple[DuplicatePhoto, ...]

    def as_dict(self) -> dict[str, Any]:
        """The group as `duplicates --json` prints it."""
        others = [{"path": other.path, "similarity": other.similarity} for other in self.others]
        return {"kind": self.kind, "keep": self.keep, "others": others}


def find_duplicates(
    catalog: Catalog, store: VectorStore, parts: Sequence[Part] | None = None, progress: Progress = SILENT
) -> list[DuplicateGroup]:
    """All groups of copies: exact ones first, then by path. parts: see `Likenesses`; None for the whole library.

    `progress` gets one notice if photos were not measured when they were indexed, and one if some cannot be opened.
    """
    with catalog.read() as view:
        looks = view.likenesses.looks(parts)
        unmeasured, unmeasured_copies = view.likenesses.unmeasured(parts)
        store.sync(view)
        ids = _embeddings(view, store, looks)
    if unmeasured:
        photos = f"{unmeasured:,} photo{'' if unmeasured == 1 else 's'}"
        progress.notice(f"{photos} can only be compared by content: run `searcher index` to have the others compared")
    pixels = _Pixels(catalog, parts)
    members = _near(looks, ids, store, pixels, progress)
    if pixels.unseen:
        progress.notice(
            f"{len(pixels.unseen):,} of the photos that look alike cannot be opened: they are compared without their "
            "pixels, and shots of a burst may pass for copies"
        )
    return _groups(catalog, parts, looks, members, unmeasured_copies)


def _embeddings(view: View, store: VectorStore, looks: Sequence[Look]) -> np.ndarray:
    """The ids of the embeddings of `looks`: (n,) int64, -1 for those that have none."""
    contents, ids = view.embeddings.by_content(store.model.id)
    wanted = np.fromiter((look.content_id for look in looks), np.int64, len(looks))
    rows = np.searchsorted(contents, wanted)
    known = np.append(contents, -1)[rows] == wanted
    return np.where(known, np.append(ids, -1)[rows], -1)


class _Pixels:
    """The outlines of photos, read when they are needed. unseen: contents that cannot be opened."""

    def __init__(self, catalog: Catalog, parts: Sequence[Part] | None) -> None:
        self._catalog, self._parts = catalog, parts
        self.unseen: set[int] = set()
        self.outline = lru_cache(_OUTLINES)(self._read)

    def _read(self, content_id: int) -> np.ndarray | None:
        from searcher.photos.decode import open_photo

        with self._catalog.read() as view:
            photos = view.likenesses.images([content_id], self._parts).get(content_id, [])
        for photo in photos:
            try:
                return outline(open_photo(photo.path_bytes, min_side=SIDE).image)
            except PhotoError:
                continue
        self.unseen.add(content_id)
        return None


def _near(
    looks: Sequence[Look], ids: np.ndarray, store: VectorStore, pixels: _Pixels, progress: Progress
) -> dict[int, list[tuple[int, float]]]:
    """Row of a photo to keep → its copies: (row, cosine). Rows are in the order in which photos are kept.

    ids: those of their embeddings (n,) int64, -1 for a photo without one.
    """
    members: dict[int, list[tuple[int, float]]] = {}
    taken = ids < 0  # nothing can be said about a photo without an embedding
    for keepers, rows in alike(looks, taken, progress):
        cosines = np.einsum("ij,ij->i", *(store.vectors(ids[some]).astype(np.float32) for some in (keepers, rows)))
        close = cosines >= LEAST_COSINE
        pairs = zip(keepers[close].tolist(), rows[close].tolist(), cosines[close].tolist(), strict=True)
        for keeper, row, cosine in pairs:
            if not taken[keeper] and not taken[row] and _is_copy(looks[keeper], looks[row], cosine, pixels):
                taken[row] = True
                members.setdefault(keeper, []).append((row, min(1.0, round(cosine, 6))))
    return members


def _is_copy(first: Look, second: Look, cosine: float, pixels: _Pixels) -> bool:
    if first.taken_at is not None and second.taken_at is not None and first.taken_at != second.taken_at:
        return False  # another shot
    one, other = pixels.outline(first.content_id), pixels.outline(second.content_id)
    if one is None or other is None:
        return distance(first, second) <= UNSEEN_BITS and cosine >= UNSEEN_COSINE
    return same_shot(one, other)


def _groups(
    catalog: Catalog,
    parts: Sequence[Part] | None,
    looks: Sequence[Look],
    members: dict[int, list[tuple[int, float]]],
    unmeasured_copies: Sequence[int],
) -> list[DuplicateGroup]:
    joined = {row for rows in members.values() for row, _ in rows}
    contents: list[list[tuple[int, float]]] = [[(content, 1.0)] for content in unmeasured_copies]
    for row, look in enumerate(looks):
        if row in members:
            near = sorted(members[row], key=lambda member: -member[1])
            contents.append([(look.content_id, 1.0), *((looks[each].content_id, cosine) for each, cosine in near)])
        elif look.copies > 1 and row not in joined:
            contents.append([(look.content_id, 1.0)])
    with catalog.read() as view:
        images = view.likenesses.images([content for group in contents for content, _ in group], parts)
    groups = [_group(group, images) for group in contents]
    return sorted((group for group in groups if group is not None), key=lambda group: (group.kind, group.keep))


def _group(contents: Sequence[tuple[int, float]], images: dict[int, list[Photo]]) -> DuplicateGroup | None:
    """None if photos have gone meanwhile."""
    photos = [(photo, cosine) for content, cosine in contents for photo in images.get(content, [])]
    if len(photos) < 2:
        return None
    kind: Kind = "exact" if len({photo.content_id for photo, _ in photos}) == 1 else "near"
    others = tuple(DuplicatePhoto(photo.id, photo.path, cosine) for photo, cosine in photos[1:])
    return DuplicateGroup(kind, photos[0][0].id, photos[0][0].path, others)
