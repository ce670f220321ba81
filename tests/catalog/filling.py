"""Fills catalogs with made-up images."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from searcher.catalog import Catalog
from searcher.catalog.connect import CATALOG_NAME
from searcher.catalog.rows import Content, Place
from tests.histogram_model import HistogramModel

MODEL_FOLDER = Path("/models/histogram")


def content(number: int) -> Content:
    return Content(number.to_bytes(16, "big"), 40, 30, "PNG", taken_at="2023-06-01T12:00:00")


def vector(number: int) -> np.ndarray:
    row = np.zeros(HistogramModel.dim, np.float32)
    row[number % len(row)] = 1
    return row


def fill(catalog: Catalog, count: int, start: int = 0, vectors: np.ndarray | None = None) -> int:
    """Commit `count` images, named by the numbers from `start`, in one root. Returns the id of the model.

    vectors: their embeddings (count, dim). Without them, each image gets `vector` of its number.
    """
    rows = map(vector, range(start, start + count)) if vectors is None else vectors
    with catalog.write() as change:
        root = change.files.add_root(b"/photos", whole=True)
        model_id = change.models.add(HistogramModel(), MODEL_FOLDER)
        change.models.use(model_id)
        for number, row in enumerate(rows, start):
            content_id = change.files.add_content(content(number))
            change.embeddings.add(content_id, model_id, "float32", row)
            change.files.put_image(Place(root.id, b"%d.png" % number, 100, 200), content_id)
    return model_id


def image_count(catalog: Catalog) -> int:
    """How many images a new view of the catalog has."""
    with catalog.read() as view:
        return view.files.image_count()


@contextmanager
def other_program(folder: Path) -> Iterator[sqlite3.Connection]:
    """Change the catalog in `folder` as another program would."""
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as connection, connection:
        yield connection
