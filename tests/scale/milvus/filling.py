"""Copies of local libraries in Milvus Lite: the same photos under the same ids of images, with the same tags."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from searcher.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.catalog.rows import USER, ModelRow
from searcher.scale.milvus.address import Address
from searcher.scale.milvus.collection import MilvusCollection
from searcher.scale.milvus.connection import Connection
from searcher.scale.milvus.filtering import text_of
from searcher.scale.milvus.loading import load
from searcher.scale.milvus.marks import Marks, mark
from searcher.scale.milvus.schema import registry_of, thumbnails_of
from searcher.scale.shards import Facts, schema

FILES = pafs.LocalFileSystem()


def facts_of(model: ModelRow) -> Facts:
    return Facts(model.name, model.digest, model.version, model.slug, "/models/histogram", model.dim, "float32")


def write_shard(path: Path, facts: Facts, rows: Sequence[Mapping[str, Any]], thumbnails: bool = False) -> str:
    """A shard with these rows, which need only the columns that matter."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema(facts, thumbnails)), path)
    return str(path)


def key_of(path: bytes) -> str:
    return blake2b(path, digest_size=16).hexdigest()


def shard_rows(view: View, model: ModelRow) -> list[Mapping[str, Any]]:
    """A row for each id of an image from 1 on, with an error where there is none, or where it has no embedding."""
    photos = {photo.id: photo for photo in view.photos.after(0, 1_000_000)}
    vectors = view.embeddings.of_images(photos, model)
    files = view.overview.image_files(photos)
    rows: list[Mapping[str, Any]] = []
    for id in range(1, max(photos, default=0) + 1):
        if id not in vectors:
            rows.append({"id": key_of(b"%d" % id), "path": f"/photos/{id}", "error": "not there"})
            continue
        photo = photos[id]
        said = view.photos.content(photo.content_id)._asdict()
        said["digest"] = said["digest"].hex()
        rows.append(
            said
            | {"id": key_of(photo.path_bytes), "path": text_of(photo.path_bytes), "path_bytes": photo.path_bytes}
            | {"embedding": vectors[id], "size": files[id].bytes}
        )
    return rows


def marks_of(view: View) -> dict[int, Marks]:
    """image id → the marks that its photo has in Milvus, where tags belong to a content, with all of its copies."""
    photos = view.photos.after(0, 1_000_000)
    ids = [photo.id for photo in photos]
    tags, by_hand = view.photos.tags(ids), view.tags.by_hand(ids)
    contents: dict[int, Marks] = {photo.content_id: {} for photo in photos}
    for photo in photos:
        contents[photo.content_id] |= {mark(tag.source, tag.label): tag.probability for tag in tags.get(photo.id, ())}
    for photo in photos:
        marks = contents[photo.content_id]
        labels = {key.partition(":")[2] for key in marks}
        refused = [label for label, given in by_hand.get(photo.id, {}).items() if not given and label not in labels]
        marks |= {mark(USER, label): 0.0 for label in refused}
    return {photo.id: contents[photo.content_id] for photo in photos}


def empty(connection: Connection) -> None:
    """Remove all photos and tags of a library. Making its collections again would take a second and a half."""
    name = connection.address.collection
    if connection.call("has_collection", name):
        connection.delete(name, "id >= 0")
        connection.delete(registry_of(name), 'kind != "library"')
        connection.delete(thumbnails_of(name), 'digest != ""')


def copy_to_milvus(catalog: Catalog, model: ModelRow, where: Address | Connection, folder: Path) -> MilvusCollection:
    """A library in Milvus, with what a catalog holds and nothing else. folder: for a shard."""
    connection = where if isinstance(where, Connection) else Connection(where)
    empty(connection)
    with catalog.read() as view:
        rows, marks = shard_rows(view, model), marks_of(view)
        labels = view.tags.labels()
    load(FILES, [write_shard(folder / "0.parquet", facts_of(model), rows)], connection)
    collection = MilvusCollection(connection, model)
    collection.add_labels(
        {row.name: None if row.parent is None else labels[row.parent].name for row in labels.values()}
    )
    collection._rewrite(marks, lambda content, _: marks[content])
    return collection
