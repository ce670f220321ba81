"""Labels that a person gives to photos by hand, or takes away.

A person's word stands above that of runs and files. A label that was taken away is refused: runs do not give it to the
photo again, and a keyword in the file does not count, until the person gives it again. All copies of a photo get and
lose a label together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from searcher.catalog import Catalog
from searcher.catalog.read.tags import Tags
from searcher.catalog.read.view import View
from searcher.catalog.rows import USER, Photo, PhotoTag
from searcher.datasets.labels import lineage
from searcher.errors import InvalidInput, NotFound
from searcher.progress import SILENT, Progress


class TagEdit(NamedTuple):
    """What an edit changed, or would change in a dry run. Copies of a photo count once.

    photos: how many photos were named. added: label → how many of them did not have it by hand before. removed:
    label → how many of them had it, from any source. narrower: removed label → the labels below it that some of the
    photos still have, so that a search for the removed label still finds them. images: the photos and all of their
    copies, each with those of the added labels.
    """

    photos: int
    added: dict[str, int]
    removed: dict[str, int]
    narrower: dict[str, tuple[str, ...]]
    images: tuple[Photo, ...]


def edit_tags(
    catalog: Catalog,
    image_ids: Iterable[int],
    add: Sequence[str],
    remove: Sequence[str],
    *,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> TagEdit:
    """Give the labels `add` to images and their copies, and take the labels `remove` away from them, all or nothing.

    Ids that are no photos are left out. Raises NotFound if a label to remove does not exist, InvalidInput for a label
    that is both added and removed.
    """
    if both := set(add) & set(remove):
        raise InvalidInput(f"the label {min(both)!r} is both added and removed: choose one")
    ids = list(image_ids)
    if dry_run:
        with catalog.read() as view:
            return _planned(view, ids, add, remove)
    with catalog.write(progress) as change:
        edit = _planned(change.view, ids, add, remove)
        images = [photo.id for photo in edit.images]
        for label_id in change.tags.add_labels(dict.fromkeys(add)).values():
            change.tags.add_user_tag(images, label_id)
        for label_id in change.view.tags.label_ids(remove).values():
            change.tags.refuse_tag(images, label_id)
        return edit


def _planned(view: View, image_ids: Iterable[int], add: Sequence[str], remove: Sequence[str]) -> TagEdit:
    known = view.tags.label_ids(remove)
    if missing := [name for name in remove if name not in known]:
        raise NotFound(f"no such label: {missing[0]!r}; `searcher tags` lists the labels")
    photos = view.photos.with_copies(image_ids)
    tags = view.photos.tags(photo.id for photo in photos)
    having: dict[str, set[int]] = {}  # label → the contents that have it
    by_hand: dict[str, dict[int, int]] = {}  # label → content → how many of its images have it by hand
    copies: dict[int, int] = {}
    for photo in photos:
        copies[photo.content_id] = copies.get(photo.content_id, 0) + 1
        for tag in tags.get(photo.id, ()):
            having.setdefault(tag.label, set()).add(photo.content_id)
            if tag.source == USER:
                counts = by_hand.setdefault(tag.label, {})
                counts[photo.content_id] = counts.get(photo.content_id, 0) + 1
    return TagEdit(
        photos=len(copies),
        added={name: sum(by_hand.get(name, {}).get(id) != count for id, count in copies.items()) for name in add},
        removed={name: len(having.get(name, ())) for name in remove},
        narrower=_narrower(view.tags, remove, having.keys() - set(remove)),
        images=tuple(photo._replace(tags=tuple(PhotoTag(name, USER, 1.0) for name in add)) for photo in photos),
    )


def _narrower(tags: Tags, names: Sequence[str], candidates: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each of `names` that is above some of the candidates, with these. Labels without any are left out."""
    rows = tags.labels()
    parents: Mapping[str, str | None] = {
        row.name: None if row.parent is None else rows[row.parent].name for row in rows.values()
    }
    above = {name: set(lineage(name, parents)) for name in sorted(candidates)}
    found = {name: tuple(label for label, wider in above.items() if name in wider) for name in names}
    return {name: below for name, below in found.items() if below}
