"""Finds the threshold at which a model gives a label, on photos whose labels are known."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searcher.models.manifest import update_manifest
from searcher.tagger.answers import sigmoid
from searcher.tagger.question import FOR_ALL, Question
from searcher.tagger.scorer import make_scorer

if TYPE_CHECKING:
    from pathlib import Path

    from searcher.models.encoder import DualEncoder


class Calibration(NamedTuple):
    """A threshold and its quality over all pairs of photo and label.

    `per_photo` is the mean number of labels that a photo gets. `folds` is the F1 on each half of the photos, with the
    threshold found on the other half. It is close to `f1` if the threshold is not due to chance.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    per_photo: float
    folds: tuple[float, float]


def calibrate(
    model: "DualEncoder", question: Question, vectors: np.ndarray, truth: np.ndarray, beta: float = 1.0
) -> Calibration:
    """Find the threshold for all labels that maximizes the micro-averaged F1 (or another F-beta).

    question: must not have `one` set. vectors (m, dim): embeddings of photos, of unit length. truth (m, n) bool: which
    of the question's labels each photo shows. beta: below 1, precision counts more than recall.
    """
    scorer = make_scorer(question, model, {})
    stored = np.asarray(vectors, np.float16).astype(np.float32)
    chances = sigmoid(stored @ scorer.weights.T + scorer.offsets)
    threshold = best_threshold(chances, truth, beta)
    halves = [np.arange(start, len(truth), 2) for start in (0, 1)]
    crossed = [
        measured(chances[test], truth[test], best_threshold(chances[learn], truth[learn], beta))[2]
        for learn, test in (halves, halves[::-1])
    ]
    precision, recall, f1 = measured(chances, truth, threshold)
    given = float((chances >= threshold).sum()) / max(1, len(truth))
    return Calibration(threshold, precision, recall, f1, given, (crossed[0], crossed[1]))


def best_threshold(chances: np.ndarray, truth: np.ndarray, beta: float = 1.0) -> float:
    """The threshold that maximizes F-beta.

    chances: probabilities. truth (bool, same shape): which of them belong to a label that the photo shows.
    """
    order = np.argsort(-chances, axis=None, kind="stable")
    values, right = chances.ravel()[order].astype(np.float64), np.cumsum(truth.ravel()[order])
    score = (1 + beta**2) * right / (np.arange(1, len(values) + 1) + beta**2 * right[-1])
    last = np.append(values[1:] < values[:-1], True)  # no threshold separates equal probabilities
    best = int(np.argmax(np.where(last, score, -1)))
    below = values[best + 1] if best + 1 < len(values) else 0.0
    return float((values[best] + below) / 2)  # between two probabilities, not at one of them


def measured(chances: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Precision, recall and F1 if all labels with a probability of at least `threshold` are given."""
    given = chances >= threshold
    right = float((given & truth).sum())
    precision, recall = right / max(1, int(given.sum())), right / max(1, int(truth.sum()))
    return precision, recall, 2 * right / max(1, int(given.sum()) + int(truth.sum()))


def store_thresholds(folder: "Path", thresholds: Mapping[str, float]) -> None:
    """Write thresholds to the searcher.json of a model folder. The rest of the file stays the same.

    thresholds: label → probability. The label "*" stands for all labels without their own threshold. Raises
    SearcherError if the file cannot be read or written.
    """
    update_manifest(folder, thresholds={name: round(value, 6) for name, value in thresholds.items()})


def for_all(calibration: Calibration) -> dict[str, float]:
    """A calibration in the form that `store_thresholds` takes."""
    return {FOR_ALL: calibration.threshold}
