"""The three collections of a library in Milvus, and their fields.

NAME holds a row for each image, that is each path. NAME_registry holds what is about the whole library, and
NAME_thumbnails small pictures under the digests of contents, so that a row is written again without its picture.
"""

from collections.abc import Sequence

from pymilvus import DataType, MilvusClient

from searcher.scale.milvus.connection import Connection

LONGEST_TEXT = 65_535  # bytes of a text field
LONGEST_PATH = 16_384
LONGEST_LABEL = 1024
MOST_ELEMENTS = 4096  # of an array
EMPTY_VECTOR = [0.0, 0.0]  # each collection must have a vector
PIECE = 60_000  # characters of ASCII in one row of the registry


def registry_of(collection: str) -> str:
    """The name of the collection with labels, shards and runs."""
    return f"{collection}_registry"


def thumbnails_of(collection: str) -> str:
    """The name of the collection with small pictures."""
    return f"{collection}_thumbnails"


def create_images(connection: Connection, dim: int) -> None:
    """Make the collection of images, or let searches use the one that there is.

    id: ascends in the order of loading. A row with another content at the same path gets a new id. content: the id of
    the first row with the same digest. first: whether that is this row, so that a search finds a photo once. key: the
    digest of the path. path_bytes: in hexadecimal digits, "" if the path is UTF-8. name: the file name in lower case.
    folders: all that the image is in, up to the root. taken: seconds since 1970 in local time. taken_at: ISO 8601.
    camera: in lower case. tags: "SOURCE:LABEL" of each tag that counts, and "SOURCE:" for each source that has one.
    marks: JSON, "SOURCE:LABEL" → probability; a refusal has the source user and 0. facts: JSON, what is only shown.
    Texts are "" and others null if they are not known.
    """
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dim)
    schema.add_field("content", DataType.INT64)
    schema.add_field("first", DataType.BOOL)
    schema.add_field("key", DataType.VARCHAR, max_length=64)
    schema.add_field("digest", DataType.VARCHAR, max_length=64)
    for name, length in (("path", LONGEST_PATH), ("path_bytes", LONGEST_PATH), ("name", LONGEST_PATH)):
        schema.add_field(name, DataType.VARCHAR, max_length=length)
    for name, length in (("folders", LONGEST_PATH), ("tags", LONGEST_LABEL)):
        options = {"element_type": DataType.VARCHAR, "max_capacity": MOST_ELEMENTS, "max_length": length}
        schema.add_field(name, DataType.ARRAY, **options)
    for name in ("taken_at", "camera", "orientation", "format"):
        schema.add_field(name, DataType.VARCHAR, max_length=LONGEST_LABEL)
    schema.add_field("taken", DataType.INT64, nullable=True)
    schema.add_field("latitude", DataType.DOUBLE, nullable=True)
    schema.add_field("longitude", DataType.DOUBLE, nullable=True)
    schema.add_field("rating", DataType.INT32, nullable=True)
    schema.add_field("pixels", DataType.INT64)
    for name in ("marks", "facts"):
        schema.add_field(name, DataType.VARCHAR, max_length=LONGEST_TEXT)
    scalars = ["content", "key", "digest", "taken", "camera", "format", "latitude", "longitude", "folders", "tags"]
    _create(connection, connection.address.collection, schema, "embedding", scalars)


def create_others(connection: Connection) -> None:
    """Make the registry and the collection of thumbnails, or let reads use those that there are."""
    registry = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    registry.add_field("key", DataType.VARCHAR, max_length=128, is_primary=True)
    registry.add_field("kind", DataType.VARCHAR, max_length=32)
    registry.add_field("name", DataType.VARCHAR, max_length=LONGEST_LABEL)
    registry.add_field("part", DataType.INT64)
    registry.add_field("value", DataType.VARCHAR, max_length=LONGEST_TEXT)
    registry.add_field("vector", DataType.FLOAT_VECTOR, dim=len(EMPTY_VECTOR))
    _create(connection, registry_of(connection.address.collection), registry, "vector", ["kind"])
    pictures = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    pictures.add_field("digest", DataType.VARCHAR, max_length=64, is_primary=True)
    pictures.add_field("picture", DataType.VARCHAR, max_length=LONGEST_TEXT)
    pictures.add_field("vector", DataType.FLOAT_VECTOR, dim=len(EMPTY_VECTOR))
    _create(connection, thumbnails_of(connection.address.collection), pictures, "vector", [])


def _create(connection: Connection, name: str, schema: object, vector: str, scalars: Sequence[str]) -> None:
    if connection.call("has_collection", name):
        connection.call("load_collection", name)
        return
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index(vector, index_type="AUTOINDEX", metric_type="IP")
    if not connection.address.is_lite:  # Milvus Lite has none of arrays
        for field in scalars:
            indexes.add_index(field, index_type="INVERTED")
    connection.call("create_collection", name, schema=schema, index_params=indexes, consistency_level="Session")
