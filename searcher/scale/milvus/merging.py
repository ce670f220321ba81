"""Puts a batch of images into a library in Milvus, beside what is there.

The row of a path is replaced. It keeps its id and its tags if its content is the same; else it gets a new id, as ids
ascend in the order of what is new. Copies of a content know the first of them, and have its tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from searcher.filters import FILE
from searcher.scale.milvus.connection import Connection, Row, literal
from searcher.scale.milvus.labels import LabelTree
from searcher.scale.milvus.marks import Marks, mark, read_marks
from searcher.scale.milvus.rows import row_of
from searcher.scale.shards import keyword_of

Image = Mapping[str, Any]
"""A row of a shard that has an embedding."""

_KNOWN = ("id", "key", "digest", "content", "marks")


@dataclass(slots=True)
class Merged:
    """What to write: rows to upsert first, then ids to remove. added, replaced, failed: how many images."""

    rows: list[Row] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    added: int = 0
    replaced: int = 0
    failed: int = 0


def merge(connection: Connection, images: Sequence[Image], ids: Sequence[int], labels: LabelTree) -> Merged:
    """ids: the id of each image, if it is new. Nothing is written, and `labels` gets what the keywords say."""
    merged = Merged()
    collection = connection.address.collection
    by_key = {image["id"]: (image, id) for image, id in zip(images, ids, strict=True)}
    there: dict[str, list[Row]] = {}
    for row in connection.query_in(collection, "key", list(by_key), _KNOWN, strong=True):
        there.setdefault(row["key"], []).append(row)
    placed: dict[str, list[tuple[int, Image]]] = {}  # digest → the images with it, under their ids
    touched: set[str] = set()
    for key, (image, fresh) in by_key.items():
        digest, old = _digest(image), there.get(key, [])
        same = next((row["id"] for row in old if row["digest"] == digest), None)
        placed.setdefault(digest, []).append((fresh if same is None else same, image))
        merged.gone += [row["id"] for row in old if row["id"] != same and row["id"] != fresh]
        touched |= {digest, *(row["digest"] for row in old)}
        merged.added += not old
        merged.replaced += bool(old)
    copies: dict[str, list[Row]] = {}
    for row in connection.query_in(collection, "digest", sorted(touched), _KNOWN, strong=True):
        copies.setdefault(row["digest"], []).append(row)
    moved: dict[int, int] = {}  # id of a row that is not in this batch → its new content
    gone = set(merged.gone)
    for digest in touched:
        here = placed.get(digest, [])
        staying = [row for row in copies.get(digest, []) if row["id"] not in gone]
        known = {id for id, _ in here} | {row["id"] for row in staying}
        if not known:
            continue
        firsts = {row["content"] for row in staying} & known
        content = min(firsts or known)
        marks = _marks(copies.get(digest, []), here, labels)
        for id, image in here:
            if (new := row_of(image, id, content, marks)) is not None:
                merged.rows.append(new)
            else:
                merged.failed += 1
        batch = {id for id, _ in here}
        moved |= {row["id"]: content for row in staying if row["content"] != content and row["id"] not in batch}
    merged.rows += _rewritten(connection, moved)
    return merged


def _digest(image: Image) -> str:
    """What copies have in common. A photo without a digest has no copies."""
    return str(image["digest"] or image["id"])


def _marks(copies: Sequence[Row], here: Sequence[tuple[int, Image]], labels: LabelTree) -> Marks:
    """What was said about a content before, or what its keywords say."""
    if copies:
        return read_marks(min(copies, key=lambda row: int(row["id"]))["marks"])
    paths = [keyword_of(text) for _, image in here[:1] for text in image["keywords"] or ()]
    return {mark(FILE, label): 1.0 for label in sorted(labels.of_keywords(paths))}


def _rewritten(connection: Connection, contents: Mapping[int, int]) -> list[Row]:
    """Rows (by id) that belong to another first row now."""
    collection = connection.address.collection
    found = connection.query_in(collection, "id", sorted(contents), ["*"], strong=True)
    return [row | {"content": contents[row["id"]], "first": row["id"] == contents[row["id"]]} for row in found]


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Remove rows."""
    if ids:
        connection.delete(connection.address.collection, f"id in [{', '.join(map(literal, ids))}]")
