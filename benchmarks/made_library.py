"""Make a library of any size without any photo: files, a catalog, vector files, and a model that searches them.

The photos are files of a few bytes, one for each, because an index run opens no file that has not changed. What the
catalog says about them is made, with bulk SQL in its own schema. The vectors are made (benchmarks/made_vectors.py). The
model is the built-in one with a random projection to the dimensions of the vectors.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks import ann
from benchmarks.made_vectors import APART, FACTORS, Shapes
from searcher.catalog import Catalog
from searcher.models import Model
from searcher.models.folder import ModelFolder
from searcher.models.layout import CONFIG, FLOAT32, SIDES
from searcher.models.manifest import write_manifest
from searcher.photos.metadata import Metadata
from searcher.vectors.store import GRAPH_FROM, VectorStore

A_FOLDER = 1000  # files in each folder
AT_ONCE = 2000  # photos written to all tables before the next ones, so that the rows of a photo lie near one another
COPIES = 100  # one photo in so many has a copy
DATED, PLACED, RATED = 0.9, 0.4, 0.05  # shares of the photos
BY_HAND = 50  # one photo in so many has a label by hand
CAMERAS = ("Apple iPhone 12", "Apple iPhone 15 Pro", "Canon EOS 5D", "NIKON Z 6", "Pixel 7", "SM-G991B", "FinePix X100")
SIZES = ((4032, 3024), (3024, 4032), (6000, 4000), (1600, 1200), (1080, 1920), (1024, 1024))
LABELS = [f"{kind} {number}" for kind in ("animal", "place", "thing", "person") for number in range(25)]
MINE = ("family", "best of", "to print")
_CONTENT = (
    "INSERT INTO contents (id, digest, width, height, format, taken_at, camera, latitude, longitude, rating, phash, "
    "sharpness, embedded) VALUES (?, randomblob(16), ?, ?, 'JPEG', ?, ?, ?, ?, ?, ?, ?, ?)"
)
_IMAGE = "INSERT INTO images (id, root_id, relpath, size, mtime_ns, content_id) VALUES (?, ?, ?, ?, ?, ?)"
_EMBEDDING = "INSERT INTO embeddings (id, model_id, content_id, precision, vector) VALUES (?, ?, ?, 'compact', ?)"
_RESULT = (
    "INSERT INTO content_tags (content_id, label_id, source, probability, model_id, tagged_at) "
    "VALUES (?, ?, 'zero-shot', ?, ?, '2026-01-01T00:00:00Z')"
)
_BY_HAND = (
    "INSERT INTO tags (image_id, label_id, source, tagged_at) SELECT id, ?, 'user', '2026-01-01T00:00:00Z' "
    "FROM images WHERE id % ? = ?"
)


@dataclass(frozen=True, slots=True)
class MadeLibrary:
    """A library of `count` photos. library, photos, model: its folder, that of its photos, and that of its model."""

    count: int
    library: Path
    photos: Path
    model: Path


def made_library(folder: Path, vectors: Path, count: int, dim: int) -> MadeLibrary:
    """Make a library in `folder`, or take the one that is there. vectors: the folder of made vectors and their files,
    as benchmarks/ann.py keeps them.
    """
    made = MadeLibrary(count, folder / "library", folder / "photos", folder / "model")
    if (folder / "done").exists():
        return made
    print(f"Making a library of {count:,} photos in {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    shapes = Shapes(dim)
    rows = ann.made(vectors, shapes, count)
    made_model(made.model, shapes)
    made_photos(made.photos, count)
    with closing(Catalog(made.library)) as catalog:
        model_id, root_id, label_ids = _prepared(catalog, made)
        with closing(sqlite3.connect(made.library / "catalog.sqlite")) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for start in range(0, count, AT_ONCE):
                with connection:
                    _fill(connection, made, rows, start, model_id, root_id)
            with connection:
                _label(connection, count, model_id, label_ids)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _vector_files(catalog, made, vectors, rows)
        with catalog.write() as change:
            change.models.set_refreshed(model_id)
    (folder / "done").touch()
    return made


def made_model(folder: Path, shapes: Shapes) -> None:
    """The built-in model, with embeddings shaped like the made ones."""
    builtin = ModelFolder.read(Model.open("builtin").folder)
    shutil.copytree(builtin.path, folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"embed_dim": shapes.dim}))
    random = np.random.default_rng(7)
    # to what the vectors have in common, and to one of their kinds
    factors = random.standard_normal((builtin.dim, FACTORS)).astype(np.float32)
    projection = (factors * shapes._strength) @ shapes._basis
    projection /= np.linalg.norm(projection, axis=1).mean()
    for side, mean in zip(SIDES, (shapes._photo_mean, shapes._text_mean), strict=True):
        file = folder / side / "model.onnx"
        encoder = onnx.load(file)
        (out,) = encoder.graph.output
        encoder.graph.initializer.extend(
            [
                numpy_helper.from_array(projection.astype(np.float32), "made.projection"),
                numpy_helper.from_array((APART * mean).astype(np.float32), "made.mean"),
            ]
        )
        encoder.graph.node.extend(
            [
                helper.make_node("MatMul", [out.name, "made.projection"], ["made.projected"]),
                helper.make_node("Add", ["made.projected", "made.mean"], ["made.embedding"]),
            ]
        )
        out.name = "made.embedding"
        out.type.tensor_type.shape.dim[1].dim_value = shapes.dim
        onnx.save(encoder, file)
    facts = {name: getattr(builtin.manifest, name) for name in ("logit_scale", "relevance", "languages")}
    write_manifest(folder, name="made", precision="compact", precisions={"compact": FLOAT32}, **facts)


def _name(number: int) -> str:
    return f"album {number // A_FOLDER:04}/IMG_{number:07}.JPG"


def made_photos(folder: Path, count: int) -> None:
    """`count` files of a few bytes, and copies of some of them."""
    for number in range(count):
        path = folder / _name(number)
        if number % A_FOLDER == 0:
            path.parent.mkdir(parents=True)
            (folder / "copies" / path.parent.name).mkdir(parents=True)
        data = f"{number}".encode()
        _write(path, data)
        if number % COPIES == 0:
            _write(folder / "copies" / _name(number), data)


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 (a million times)
        file.write(data)


def _prepared(catalog: Catalog, made: MadeLibrary) -> tuple[int, int, list[int]]:
    """The ids of the model, the root, and the labels of a new catalog."""
    with catalog.write() as change:
        model_id = change.models.add(Model.open(made.model), made.model)
        change.models.use(model_id)
        root = change.files.add_root(os.fsencode(made.photos), whole=True)
        labels = change.tags.add_labels(dict.fromkeys([*LABELS, *MINE]))
    return model_id, root.id, [labels[name] for name in (*LABELS, *MINE)]


def _fill(
    connection: sqlite3.Connection, made: MadeLibrary, vectors: np.ndarray, start: int, model_id: int, root_id: int
) -> None:
    """Photos from number `start` on. The id of a photo in each table is its number + 1; those of copies follow."""
    numbers = range(start, min(made.count, start + AT_ONCE))
    random = np.random.default_rng((8, start))
    hashes = random.integers(-(2**63), 2**63, len(numbers)).tolist()
    values = random.random((len(numbers), 8)).tolist()
    contents, images, copies = [], [], []
    for number, phash, (dated, moment, placed, latitude, longitude, rated, camera, sharpness) in zip(
        numbers, hashes, values, strict=True
    ):
        taken_at = datetime(2005, 1, 1) + timedelta(seconds=int(moment * 20 * 365 * 86_400)) if dated < DATED else None
        said = Metadata(
            taken_at=taken_at,
            camera=CAMERAS[int(camera * len(CAMERAS))] if dated < DATED else None,
            latitude=round(latitude * 120 - 50, 5) if placed < PLACED else None,
            longitude=round(longitude * 360 - 180, 5) if placed < PLACED else None,
            rating=5 if rated < RATED else None,
        )
        size = SIZES[int(sharpness * 1000) % len(SIZES)]
        when = None if taken_at is None else taken_at.isoformat()
        place = (when, said.camera, said.latitude, said.longitude, said.rating)
        contents.append((number + 1, *size, *place, phash, sharpness, said.as_json()))
        images.append(_image(made, number + 1, root_id, _name(number), number))
        if number % COPIES == 0:
            copy = made.count + number // COPIES + 1
            copies.append(_image(made, copy, root_id, f"copies/{_name(number)}", number))
    connection.executemany(_CONTENT, contents)
    connection.executemany(_IMAGE, images)
    connection.executemany(_IMAGE, copies)
    some = np.ascontiguousarray(vectors[numbers.start : numbers.stop], np.float16)
    blobs = ((number + 1, model_id, number + 1, row.tobytes()) for number, row in zip(numbers, some, strict=True))
    connection.executemany(_EMBEDDING, blobs)


def _image(made: MadeLibrary, id: int, root_id: int, name: str, number: int) -> tuple[object, ...]:
    status = os.stat(made.photos / name)  # noqa: PTH116 (a million times)
    return id, root_id, name.encode(), status.st_size, status.st_mtime_ns, number + 1


def _label(connection: sqlite3.Connection, count: int, model_id: int, label_ids: list[int]) -> None:
    """Give each photo about two labels by a run, some labels to many photos and some to few; and some by hand."""
    random = np.random.default_rng(9)
    by_run, mine = label_ids[: len(LABELS)], label_ids[len(LABELS) :]
    likely = 1 / np.arange(2, len(by_run) + 2)
    likely *= 2 / likely.sum()

    def results() -> Iterator[tuple[int, int, float, int]]:
        for start in range(0, count, AT_ONCE):
            number = min(AT_ONCE, count - start)
            content, label = np.nonzero(random.random((number, len(by_run))) < likely)
            chances = (0.5 + random.random(len(content)) / 2).round(4).tolist()
            for row, column, chance in zip(content.tolist(), label.tolist(), chances, strict=True):
                yield start + row + 1, by_run[column], chance, model_id

    connection.execute("PRAGMA cache_size = -200000")
    connection.executemany(_RESULT, results())
    for number, label_id in enumerate(mine):
        connection.execute(_BY_HAND, (label_id, BY_HAND, number))


def _vector_files(catalog: Catalog, made: MadeLibrary, vectors: Path, rows: np.ndarray) -> None:
    with catalog.read() as view:
        row = view.models.current()
    assert row is not None
    store = VectorStore(made.library, row)
    if made.count < GRAPH_FROM:
        store.rebuild(catalog)
        return
    parts, *_ = ann.our_files(vectors, rows)
    with catalog.write() as change:
        for part in parts:
            change.models.add_vector_files(row.id, [part.file])
    for part in parts:
        shutil.copy(vectors / f"{made.count}x{row.dim}-{part.file.after_id}.faiss", store.path(part.file.after_id))
