"""Answer a query: embed what was asked, search the collection, look up the photos behind the best embeddings."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from searcher.catalog.rows import Photo, PhotoTag
from searcher.errors import NotFound
from searcher.filters import Filter
from searcher.search.collection import Collection
from searcher.search.query import Hit, Hits, Query

if TYPE_CHECKING:
    import numpy as np

    from searcher.models.encoder import DualEncoder

# Queries that mean nothing. A photo that fits a real query scores better than the best photo for one of these.
MEANINGLESS = (
    "asdf qwer zxcv",
    "xkcd blorf wug",
    "qzxv",
    "hjkl fdsa uiop vbnm",
    "wq xj zk vb pq",
    "fnord glarp squiv",
    "of the and to in",
    "0000 1111",
)


def encode(model: "DualEncoder", query: Query) -> "np.ndarray | None":
    """The vector (1, dim) float32 of what a query asks for, None for a filter alone. Raises PhotoError."""
    if query.text is not None:
        return model.encode_texts([query.text])
    if query.like is None:
        return None
    from searcher.photos.decode import open_photo

    photo = open_photo(query.like, min_side=model.image_size)  # as photos are read to be indexed
    return model.encode_images([photo.image])


def remarks(model: "DualEncoder", query: Query) -> tuple[str, ...]:
    """What the user should know about a query."""
    if query.text is None:
        return ()
    remark = language_remark(model, query.text)
    found = [] if remark is None else [remark]
    if model.cuts(query.text):
        found.append(f"The query is longer than the model {model.name} reads: only its beginning counts.")
    return tuple(found)


def language_remark(model: "DualEncoder", text: str) -> str | None:
    """A line that says that a model does not know the script or the language of a text. None if it seems to know it."""
    if not model.languages:
        return None
    from searcher.models.available import MULTILINGUAL
    from searcher.models.languages import LANGUAGE_NAMES, languages_of

    def named(codes: Sequence[str], conjunction: str) -> str:
        *rest, last = [LANGUAGE_NAMES.get(code, code) for code in codes]
        return f"{', '.join(rest)} {conjunction} {last}" if rest else last

    if not model.known_script(text):
        said = f"“{text}” has letters of another script"
    else:
        spoken = languages_of(text)
        if not spoken or {code.split("-")[0].lower() for code in model.languages} & set(spoken):
            return None
        said = f"“{text}” seems to be {named(spoken, 'or')}"
    knows = f"the model {model.name} knows only {named(model.languages, 'and')}"
    return f"{said}, but {knows}. For other languages: `searcher models pull {MULTILINGUAL}`"


def find(collection: Collection, query: Query, vector: "np.ndarray | None", noise_floor: float | None) -> Hits:
    """The best photos for a query whose vector is (1, dim), or None for a filter alone.

    noise_floor: the score of a meaningless query here, None if it is not known. Raises NotFound for a tag that no
    photo has.
    """
    unknown = [tag for tag in query.filter.not_tags if not _is_label(collection, tag)]
    notices = tuple(f"No photo has the label {tag!r}, so all photos are without it." for tag in unknown)
    filter = replace(query.filter, not_tags=tuple(tag for tag in query.filter.not_tags if tag not in unknown))
    ranked = _ranked(collection, query, filter, vector) if all(_is_text(tag) for tag in filter.tags) else []
    if not ranked:
        _check_tags(collection, query)
        return Hits(notices=notices)
    photos = collection.photos([id for id, _ in ranked])
    present = [(_existing_roots_first(photos[id]), score) for id, score in ranked if id in photos]
    tags = collection.tags([copy.id for copies, _ in present for copy in copies])
    hits = [_hit(rank, copies, score, tags) for rank, (copies, score) in enumerate(present, start=1)]
    doubtful = query.text is not None and noise_floor is not None and hits and hits[0].score <= noise_floor
    return Hits(hits, nothing_fits=bool(doubtful), notices=notices)


def _ranked(
    collection: Collection, query: Query, filter: Filter, vector: "np.ndarray | None"
) -> list[tuple[int, float]]:
    if vector is None:
        return collection.browse(filter, order="probability", limit=query.top)
    return collection.nearest(vector, query.top, filter)[0]


def _check_tags(collection: Collection, query: Query) -> None:
    """Raise NotFound for a tag that no photo has, so that a typing error does not look like an empty result."""
    for tag in query.filter.tags:
        if not _is_label(collection, tag):
            raise NotFound(f"no photo has the label {tag!r}: `searcher tags` lists the labels")


def _is_label(collection: Collection, tag: str) -> bool:
    """Whether any photo has a label, from any source."""
    return _is_text(tag) and bool(collection.browse(Filter(tags=(tag,)), limit=1))


def _is_text(tag: str) -> bool:
    """False for bytes of a shell argument that are not UTF-8. No label has such a name."""
    return not any("\ud800" <= letter <= "\udfff" for letter in tag)


def _hit(rank: int, copies: list[Photo], score: float, tags: dict[int, list[PhotoTag]]) -> Hit:
    first, *others = copies
    # the tags of the copies together, most probable first
    found = sorted((tag for copy in copies for tag in tags.get(copy.id, [])), key=lambda tag: -tag.probability)
    labels = dict.fromkeys(tag.label for tag in found)
    return Hit(
        rank=rank,
        id=first.id,
        path=first.path,
        copies=tuple(copy.path for copy in others),
        score=round(score, 6),
        relevance=None,
        taken_at=first.taken_at,
        tags=tuple(labels),
    )


def _existing_roots_first(copies: list[Photo]) -> list[Photo]:
    """Oldest first, but copies in a missing root come after those that can be opened."""
    roots = {copy.root for copy in copies}
    if len(roots) == 1:
        return copies
    missing = {root for root in roots if not os.path.isdir(root)}  # noqa: PTH112 (pathlib does not know bytes)
    return sorted(copies, key=lambda copy: copy.root in missing)


def noise_floor(collection: Collection, vectors: "np.ndarray") -> float | None:
    """The score of a meaningless query in this library: of such queries (n, dim), the lowest best hit.

    The lowest, because a small model finds something for most of them. To doubt a good query is worse than to miss a
    bad one. None for an empty library.
    """
    best = [round(hits[0][1], 6) for hits in collection.nearest(vectors, 1) if hits]
    return min(best, default=None)
