"""Catalogs of random embeddings, and an exact search among them in plain NumPy."""

from collections.abc import Sequence

import numpy as np

from searcher.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.catalog.rows import ModelRow
from tests.catalog.filling import fill
from tests.histogram_model import HistogramModel

DIM = HistogramModel.dim


def unit_vectors(count: int, seed: int) -> np.ndarray:
    """Random unit vectors (count, DIM) float32."""
    rows = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def add(catalog: Catalog, count: int, start: int = 0) -> ModelRow:
    """Commit `count` images with random embeddings, named by the numbers from `start`. Returns the model."""
    fill(catalog, count, start, unit_vectors(count, seed=start))
    with catalog.read() as view:
        model = view.models.current()
    assert model is not None
    return model


def remove(catalog: Catalog, numbers: Sequence[int], orphans: bool = True) -> None:
    """Remove the images with these numbers, and their embeddings with `orphans`."""
    with catalog.write() as change:
        for number in numbers:
            change.files.remove_image(1, b"%d.png" % number)
        if orphans:
            change.files.remove_orphans()


def all_vectors(view: View, model: ModelRow) -> dict[int, np.ndarray]:
    """Every embedding of a photo that is there: id → (dim,) float32."""
    found = {
        int(id): vector.astype(np.float32)
        for ids, vectors in view.embeddings.chunks(model)
        for id, vector in zip(ids, vectors, strict=True)
    }
    existing = view.embeddings.existing(found)
    return {id: vector for id, vector in found.items() if id in existing}


def check_ranking(hits: Sequence[tuple[int, float]], vectors: dict[int, np.ndarray], query: np.ndarray, k: int) -> None:
    """`hits` (id, score) are the `k` nearest of `vectors`, best first, each with its score."""
    ids = [id for id, _ in hits]
    assert len(set(ids)) == len(ids) == min(k, len(vectors))
    scores = [score for _, score in hits]
    np.testing.assert_allclose(scores, [float(vectors[id] @ query) for id in ids], atol=1e-5)
    best = sorted((float(vector @ query) for vector in vectors.values()), reverse=True)[:k]
    np.testing.assert_allclose(scores, best, atol=1e-5)
    assert scores == sorted(scores, reverse=True)
