"""Labels as vectors: each label's prompts, averaged in embedding space, and the label nearest to an image."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from searcher.datasets.labels import Label
from searcher.datasets.templates import ENSEMBLE, fill

if TYPE_CHECKING:
    from searcher.models.model import Model

TEXTS_AT_ONCE = 1024
# float32 sums of 1,000 products differ by less than this with the shape of the matrices
CLOSE = 1e-5


def encode_labels(
    model: "Model",
    labels: Sequence[Label],
    templates: Sequence[str] = ENSEMBLE,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Labels → float32 (n, dim), unit length: the mean over wordings and templates of the prompts' embeddings.

    A label's own templates win over `templates`. progress(done, total): prompts. Memory is bounded, however many
    labels there are.
    """
    sums = np.zeros((len(labels), model.dim), dtype=np.float32)
    total = sum(len(label.wordings) * len(label.templates or templates) for label in labels)
    prompts = _prompts(labels, templates)
    done = 0
    while batch := list(islice(prompts, TEXTS_AT_ONCE)):
        np.add.at(sums, [row for row, _ in batch], model.encode_texts([text for _, text in batch]))
        done += len(batch)
        if progress is not None:
            progress(done, total)
    unit: np.ndarray = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-12))
    return unit


def nearest(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images (m, dim) and labels (n, dim), n > 0, of unit length → int64 (m,): the label most similar to each image.

    Images count as the catalog stores them, rounded to float16. The answer does not depend on how many images are
    asked at once; of labels that are equally near, the first one wins.
    """
    stored = np.asarray(images, np.float16)
    labels = np.asarray(labels, np.float32)
    return nearest_of(stored, labels, stored.astype(np.float32) @ labels.T)


def nearest_of(stored: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """What `nearest` answers, where the cosines `scores` (m, n) of float16 images and float32 labels are known."""
    best: np.ndarray = scores.argmax(axis=1)
    bar = scores[np.arange(len(best)), best] - np.float32(CLOSE)
    for row in np.flatnonzero((scores >= bar[:, None]).sum(axis=1) > 1):
        candidates = np.flatnonzero(scores[row] >= bar[row])
        exact = [np.dot(stored[row].astype(np.float64), labels[c].astype(np.float64)) for c in candidates]
        best[row] = candidates[int(np.argmax(exact))]
    return best


def _prompts(labels: Sequence[Label], templates: Sequence[str]) -> Iterator[tuple[int, str]]:
    for row, label in enumerate(labels):
        for wording in label.wordings:
            for template in label.templates or templates:
                yield row, fill(template, wording)
