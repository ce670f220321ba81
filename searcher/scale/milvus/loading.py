"""Loads Parquet shards of `searcher embed` into a library in Milvus.

A shard is known by its end and its size. One that was loaded is not read again, and one whose loading was interrupted
is written again under the same ids, which changes nothing about the rows that are there.
"""

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from searcher import __version__
from searcher.errors import Failure, InvalidInput
from searcher.progress import SILENT, Progress
from searcher.scale.milvus.address import read_address
from searcher.scale.milvus.connection import Connection, Row
from searcher.scale.milvus.labels import LabelTree
from searcher.scale.milvus.merging import Image, merge, remove
from searcher.scale.milvus.notes import Notes, failures_by_folder
from searcher.scale.milvus.registry import LIBRARY, SCHEMA, SHARD, Registry
from searcher.scale.milvus.schema import (
    EMPTY_VECTOR,
    LONGEST_TEXT,
    create_images,
    create_others,
    thumbnails_of,
)
from searcher.scale.shards import Facts, list_shards, read_facts, read_rows

PICTURES_AT_ONCE = 256  # of up to 64 KB: a call of Milvus has 64 MB
TAIL = 65_536  # bytes at the end of a shard that tell it from others


@dataclass(slots=True)
class LoadReport:
    """shards: how many were read. skipped: how many had been loaded before. added: images at new paths. replaced:
    images at paths that were known. failed: rows with an error, which are not loaded. damaged: shards that could not be
    read, or not to their end.
    """

    shards: int = 0
    skipped: int = 0
    added: int = 0
    replaced: int = 0
    failed: int = 0
    seconds: float = 0.0
    damaged: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report as `load --to --json` prints it."""
        damaged = [failure.as_dict() for failure in self.damaged]
        return asdict(self) | {"seconds": round(self.seconds, 3), "damaged": damaged}


def load_folder(folder: str, address: str, progress: Progress = SILENT) -> LoadReport:
    """Load the shards in a folder, a path or a URI, into the library at an address: see `load` and `read_address`.

    Raises NotFound if there are none.
    """
    files, paths = list_shards(folder)
    connection = Connection(read_address(address))
    try:
        return load(files, paths, connection, progress)
    finally:
        connection.close()


def load(
    files: pafs.FileSystem, paths: Sequence[str], connection: Connection, progress: Progress = SILENT
) -> LoadReport:
    """Load the shards at `paths`. An interrupted run is continued by the next one. One program may load at a time.

    A damaged shard is in the report, and the others are loaded. Raises InvalidInput for shards of another model than
    that of the library, and SearcherError if the server fails.
    """
    started = time.monotonic()
    report = LoadReport()
    facts, sizes = _one_model(files, paths, report)
    registry = _prepare(connection, facts)
    known = registry.all(SHARD)
    next_id = max((entry["base"] + entry["rows"] for entry in known.values()), default=1)
    labels, notes = LabelTree(registry), Notes(registry)
    done, total = 0, sum(sizes.values())
    progress.advance(done, total)
    for path, rows in sizes.items():
        name = _identity(files, path)
        entry = known.get(name)
        if entry is not None and entry["done"]:
            report.skipped += 1
            done += rows
            progress.advance(done, total)
            continue
        if entry is None or entry["base"] + entry["rows"] < next_id:
            # also for the rest of a shard that others came after: `tag` asks only about ids that it has not passed
            entry = {"base": next_id, "rows": rows, "folders": {}, "done": False}
            next_id += rows
            registry.put(SHARD, {name: entry})
        ids, damaged = count(entry["base"]), len(report.damaged)
        for batch in _batches(files, path, report):
            _load_batch(connection, batch, ids, labels, notes, report)
            done += len(batch)
            progress.advance(done, total)
        if len(report.damaged) == damaged:
            known[name] = entry | {"folders": failures_by_folder(_places(files, path)), "done": True}
            registry.put(SHARD, {name: known[name]})
        registry.touch()
        report.shards += 1
    report.seconds = time.monotonic() - started
    return report


def _batches(files: pafs.FileSystem, path: str, report: LoadReport) -> Iterator[pa.RecordBatch]:
    """The rows of a shard, as far as it can be read."""
    try:
        yield from read_rows(files, path)
    except InvalidInput as error:
        report.damaged.append(Failure(path, str(error)))


def _load_batch(
    connection: Connection,
    batch: pa.RecordBatch,
    ids: Iterator[int],
    labels: LabelTree,
    notes: Notes,
    report: LoadReport,
) -> None:
    """Write one batch."""
    own = np.array([next(ids) for _ in range(len(batch))], np.int64)
    usable = pc.and_(pc.is_null(batch.column("error")), pc.is_valid(batch.column("embedding")))
    images = _images(batch.filter(usable))
    merged = merge(connection, images, own[np.asarray(usable, bool)].tolist(), labels)
    labels.store()
    notes.add(images)
    notes.store()
    pictures = _thumbnails(images)
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        part = pictures[start : start + PICTURES_AT_ONCE]
        connection.upsert(thumbnails_of(connection.address.collection), part)
    connection.upsert(connection.address.collection, merged.rows)
    remove(connection, merged.gone)
    report.added += merged.added
    report.replaced += merged.replaced
    report.failed += len(batch) - len(images) + merged.failed


def _places(files: pafs.FileSystem, path: str) -> Iterator[dict[str, Any]]:
    """The paths and errors in a shard."""
    for batch in read_rows(files, path, ["path", "path_bytes", "error"]):
        yield from batch.to_pylist()


def _images(batch: pa.RecordBatch) -> list[Image]:
    embeddings = batch.column("embedding")
    vectors = np.asarray(embeddings.flatten(), np.float32).reshape(len(batch), embeddings.type.list_size)
    rest = batch.drop_columns(["embedding"]).to_pylist()
    return [image | {"embedding": vector} for image, vector in zip(rest, vectors, strict=True)]


def _thumbnails(images: Sequence[Image]) -> list[Row]:
    """The pictures of images, under their digests. One that is too large for Milvus is drawn from its file instead."""
    found: dict[str, Any] = {}
    for image in images:
        if (picture := image.get("thumbnail")) is not None and image["digest"]:
            text = base64.b64encode(picture).decode()
            if len(text) <= LONGEST_TEXT:
                found[image["digest"]] = text
    return [{"digest": digest, "picture": text, "vector": EMPTY_VECTOR} for digest, text in found.items()]


def _one_model(files: pafs.FileSystem, paths: Sequence[str], report: LoadReport) -> tuple[Facts, dict[str, int]]:
    """Which model made the shards, and path → rows of those that are not damaged.

    Raises InvalidInput if several models did, or if all are damaged.
    """
    found: dict[str, Facts] = {}
    sizes: dict[str, int] = {}
    for path in paths:
        try:
            found[path] = read_facts(files, path)
            sizes[path] = _count(files, path)
        except InvalidInput as error:
            report.damaged.append(Failure(path, str(error)))
    if not sizes:
        raise InvalidInput(report.damaged[0].error)
    first = next(iter(sizes))
    for path in sizes:
        if (found[path].digest, found[path].dim) != (found[first].digest, found[first].dim):
            raise InvalidInput(
                f"{path} was made with the model {found[path].model}, and {first} with {found[first].model}: "
                "put the shards of each model into a folder of their own"
            )
    return found[first], sizes


def _prepare(connection: Connection, facts: Facts) -> Registry:
    """Make the collections, or see that they are of this version and of this model."""
    address, registry = connection.address, Registry(connection)
    is_new = not connection.call("has_collection", address.collection)
    create_others(connection)
    entry = registry.get(LIBRARY)
    if entry is None:
        if not is_new:
            raise InvalidInput(f"{address} is a collection of another program: choose another name")
        registry.put(LIBRARY, {"": {"schema": SCHEMA, "searcher": __version__, "model": asdict(facts)}})
    model = registry.library()["model"]
    if (model["digest"], model["dim"]) != (facts.digest, facts.dim):
        raise InvalidInput(
            f"{address} holds embeddings of the model {model['model']}, and the shards those of {facts.model}: "
            "load them into another collection"
        )
    create_images(connection, facts.dim)
    return registry


def _count(files: pafs.FileSystem, path: str) -> int:
    with files.open_input_file(path) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


def _identity(files: pafs.FileSystem, path: str) -> str:
    """A digest of the size of a shard and of its end, where Parquet says what is in it."""
    with files.open_input_file(path) as file:
        size = file.size()
        file.seek(max(0, size - TAIL))
        return blake2b(b"%d " % size + file.read(TAIL), digest_size=16).hexdigest()
