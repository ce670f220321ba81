"""Photos with the labels that runs and a person gave them."""

from collections.abc import Iterator, Mapping, Sequence, Set

from searcher.catalog.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.catalog.rows import USER, Photo, PhotoTag

IMAGES_AT_ONCE = 4096


def tagged_photos(catalog: Catalog, names: Sequence[str]) -> Iterator[Photo]:
    """Yield all photos in the order of their ids. Each has those of the labels `names` that a person or a run gave to
    it. Labels that a person gave come first. Their source is USER, even if a run gave them too.
    """
    with catalog.read() as view:
        wanted = {id: name for name, id in view.tags.label_ids(names).items()}
    after = 0
    while True:
        with catalog.read() as view:
            photos = view.photos.after(after, IMAGES_AT_ONCE)
            tagged = _read_tags(view, photos, wanted)
        if not photos:
            return
        after = photos[-1].id
        yield from tagged


def labelled_photos(catalog: Catalog, image_ids: Sequence[int]) -> Iterator[Photo]:
    """Yield these images and their copies, each once, with all labels that a person or a run gave to it, as
    `tagged_photos` does. Unknown ids are left out.
    """
    seen: set[int] = set()
    for start in range(0, len(image_ids), IMAGES_AT_ONCE):
        with catalog.read() as view:
            names = {label.id: label.name for label in view.tags.labels().values()}
            photos = view.photos.with_copies(image_ids[start : start + IMAGES_AT_ONCE])
            tagged = _read_tags(view, [photo for photo in photos if photo.id not in seen], names)
        seen |= {photo.id for photo in photos}
        yield from tagged


def _read_tags(view: View, photos: Sequence[Photo], names: Mapping[int, str]) -> list[Photo]:
    """Photos with those of the labels `names` (by id) that a person or a run gave."""
    given: dict[int, list[PhotoTag]] = {}
    for content_id, label_id, source, probability in view.tags.results(sorted({photo.content_id for photo in photos})):
        if label_id in names:
            given.setdefault(content_id, []).append(PhotoTag(names[label_id], source, probability))
    by_hand = view.tags.by_hand(photo.id for photo in photos)
    return list(with_tags(photos, given, by_hand, frozenset(names.values())))


def with_tags(
    photos: Sequence[Photo],
    given: Mapping[int, Sequence[PhotoTag]],
    by_hand: Mapping[int, Mapping[str, bool]],
    names: Set[str],
) -> Iterator[Photo]:
    """Yield photos with what runs have given to their contents, corrected by what a person gave and refused.

    given: content id → tags. by_hand: see `Tags.by_hand`. names: the labels that are asked for.
    """
    for photo in photos:
        decided = by_hand.get(photo.id, {})
        mine = [PhotoTag(name, USER, 1.0) for name, is_given in decided.items() if is_given and name in names]
        others = (tag for tag in given.get(photo.content_id, ()) if tag.label not in decided)
        yield photo._replace(tags=(*mine, *others))
