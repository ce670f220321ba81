"""Embed labels by averaging the embeddings of their prompts, and find the label nearest to an image."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from searcher.datasets.labels import Label
from searcher.datasets.templates import ENSEMBLE, fill
from searcher.models.encoder import DualEncoder
from searcher.progress import SILENT, Progress

TEXTS_AT_ONCE = 1024
# Float32 sums of 1,000 products depend on the shape of the matrices. They differ by less than this.
CLOSE = 1e-5


def encode_labels(
    model: DualEncoder,
    labels: Sequence[Label],
    templates: Sequence[str] = ENSEMBLE,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Embed labels. Returns float32 (n, dim) of unit length.

    The embedding of a label is the normalised mean of its prompts' embeddings, over all wordings and templates.
    If a label has its own templates, they are used instead of `templates`. `progress` counts prompts. The prompts
    are encoded in batches, so memory use does not grow with the number of prompts.
    """
    sums = np.zeros((len(labels), model.dim), dtype=np.float32)
    total = sum(len(label.wordings) * len(label.templates or templates) for label in labels)
    prompts = _prompts(labels, templates)
    done = 0
    while batch := list(islice(prompts, TEXTS_AT_ONCE)):
        np.add.at(sums, [row for row, _ in batch], model.encode_texts([text for _, text in batch]))
        done += len(batch)
        progress.advance(done, total)
    unit: np.ndarray = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-12))
    return unit


def nearest(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the index of the most similar label for each image, as int64 (m,).

    `images` (m, dim) and `labels` (n, dim), n > 0, are of unit length. The images are first rounded to
    float16, as the catalog stores them. The result for an image does not depend on how many images are passed
    at once. If several labels are equally near, the first one is returned.
    """
    stored = np.asarray(images, np.float16)
    labels = np.asarray(labels, np.float32)
    return nearest_of(stored, labels, stored.astype(np.float32) @ labels.T)


def nearest_of(stored: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Like `nearest`, but with known cosine similarities.

    `stored` are the float16 images (m, dim), `labels` is float32 (n, dim), and `scores` (m, n) are their
    cosine similarities. Labels that score within CLOSE of the best one are compared again in float64.
    """
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
