"""Which columns of a Parquet file hold images and their names, whichever program wrote it."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.types as types

IMAGES = ("image", "bytes", "jpg", "jpeg", "png", "webp", "img", "image_bytes", "picture", "photo", "content", "data")
NAMES = ("path", "file_path", "filepath", "file_name", "filename", "url", "uri", "key", "__key__", "image_path", "id")

Column = tuple[str, ...]
"""The name of a column, and of the field inside it: ("image", "bytes") is how Hugging Face's datasets write images."""


def image_column(schema: pa.Schema) -> Column | None:
    """The column with the bytes of image files: by its name, or else the only one with bytes. None if there is none."""
    found = [column for column, kind in _columns(schema) if _is_bytes(kind)]
    for name in IMAGES:
        for column in found:
            if column[0].lower() == name:
                return column
    return found[0] if len(found) == 1 else None


def name_column(schema: pa.Schema, image: Column) -> Column | None:
    """The column with the path, the URL or the key of each image, best one in the same column as the bytes."""
    found = [column for column, kind in _columns(schema) if _is_name(kind) and column != image]
    inside = [column for column in found if len(image) > 1 and column[:-1] == image[:-1]]
    for name in NAMES:
        for column in (*inside, *found):
            if column[-1].lower() == name and (column in inside or len(column) == 1):
                return column
    return None


def _columns(schema: pa.Schema) -> Iterator[tuple[Column, pa.DataType]]:
    for field in schema:
        yield (field.name,), field.type
        if types.is_struct(field.type):
            yield from (((field.name, inner.name), inner.type) for inner in field.type)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_name(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind))
