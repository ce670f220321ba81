"""The rows of images in Milvus: from the rows of shards, and as what the rest of searcher knows."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from searcher.catalog.rows import Content, Photo
from searcher.scale.milvus.connection import Row
from searcher.scale.milvus.filtering import ancestors, name_text, path_bytes, path_bytes_of, seconds, text_of
from searcher.scale.milvus.marks import Marks, marks_text, tokens
from searcher.scale.milvus.schema import LONGEST_PATH, LONGEST_TEXT, MOST_ELEMENTS

PHOTO_FIELDS = ("id", "content", "path", "path_bytes", "taken_at", "rating", "facts")
CONTENT_FIELDS = (*PHOTO_FIELDS, "digest", "format", "latitude", "longitude")

_FACTS = ("width", "height", "camera", "lens", "description", "taken_offset", "size", "mtime_ns", "phash", "sharpness")


def row_of(image: Mapping[str, Any], id: int, content: int, marks: Marks) -> Row | None:
    """The row of an image, given as a row of a shard that has an embedding. None if its path is too long for Milvus.

    content: the id of the first row with the same digest.
    """
    path = path_bytes_of(image)
    text = text_of(path)
    folders = ancestors(path)
    if len(text.encode()) > LONGEST_PATH or len(folders) > MOST_ELEMENTS:
        return None
    width, height = image["width"] or 0, image["height"] or 0
    facts = {name: image[name] for name in _FACTS if image.get(name) is not None}
    row = {
        "id": id,
        "embedding": image["embedding"],
        "content": content,
        "first": id == content,
        "key": image["id"],
        "digest": image["digest"] or image["id"],
        "path": text,
        "path_bytes": "" if path == text.encode() else path.hex(),
        "name": name_text(path),
        "folders": folders,
        "taken_at": image["taken_at"] or "",
        "taken": None if image["taken_at"] is None else seconds(image["taken_at"]),
        "camera": (image["camera"] or "").casefold(),
        "latitude": image["latitude"],
        "longitude": image["longitude"],
        "rating": image["rating"],
        "pixels": width * height,
        "orientation": "landscape" if width > height else "portrait" if width < height else "square",
        "format": image["format"] or "",
        "facts": json.dumps(facts, ensure_ascii=False, separators=(",", ":")),
    }
    return with_marks(row, marks)


def with_marks(row: Row, marks: Marks) -> Row:
    """A row with other tags. Of more than Milvus can hold, the least probable ones are left out."""
    while True:
        wanted, text = tokens(marks), marks_text(marks)
        if len(wanted) <= MOST_ELEMENTS and len(text.encode()) <= LONGEST_TEXT:
            return row | {"tags": wanted, "marks": text}
        likely = sorted(marks.items(), key=lambda each: -(each[1] or 1.0))  # a refusal is as sure as a tag by hand
        marks = dict(likely[: len(likely) * 9 // 10])


def facts_of(row: Row) -> dict[str, Any]:
    """What is only shown of an image, by the name of the column of shards. What is not known is left out."""
    facts: dict[str, Any] = json.loads(row["facts"])
    return facts


def photo_of(row: Row, meant: bool = True) -> Photo:
    """The image of a row with PHOTO_FIELDS, without its tags."""
    facts = facts_of(row)
    return Photo(
        row["id"],
        row["content"],
        b"",
        path_bytes(row),
        row["taken_at"] or None,
        row["rating"],
        facts.get("width", 0),
        facts.get("height", 0),
        meant=meant,
    )


def content_of(row: Row) -> Content:
    """What the file of a row with CONTENT_FIELDS says."""
    facts = facts_of(row)
    return Content(
        bytes.fromhex(row["digest"]),
        facts.get("width", 0),
        facts.get("height", 0),
        row["format"],
        row["taken_at"] or None,
        facts.get("camera"),
        row["latitude"],
        row["longitude"],
        facts.get("taken_offset"),
        facts.get("lens"),
        row["rating"],
        facts.get("description"),
        facts.get("phash"),
        facts.get("sharpness"),
    )


def by_id(rows: Iterable[Row]) -> list[Row]:
    """Rows ascending by their ids, which is the order in which they were loaded."""
    return sorted(rows, key=lambda row: int(row["id"]))
