"""The probability from which on a label is given, found on photos whose labels are known."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searcher.models.folder import FACTS, read_json, write_manifest
from searcher.tagger.answers import sigmoid
from searcher.tagger.question import FOR_ALL, Question
from searcher.tagger.scorer import NoCache, make_scorer

if TYPE_CHECKING:
    from pathlib import Path

    from searcher.models import Model


class Calibration(NamedTuple):
    """A threshold and what it reaches, over all pairs of photo and label. `folds`: F1 on each half of the photos by the
    threshold of the other half; close to `f1` when the threshold is no accident."""

    threshold: float
    precision: float
    recall: float
    f1: float
    per_photo: float
    folds: tuple[float, float]


def calibrate(
    model: "Model", question: Question, vectors: np.ndarray, truth: np.ndarray, beta: float = 1.0
) -> Calibration:
    """The threshold for all labels that makes F1 (or another F-beta) largest, micro-averaged.

    vectors (m, dim): embeddings of photos; truth (m, n) bool: which of the question's labels each of them shows.
    The question is the one that is put without `one`. With a `beta` below 1, precision counts more than recall.
    """
    scorer = make_scorer(question, model, {}, NoCache())
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
    """The threshold on probabilities that makes F-beta against `truth` (bool, the same shape) largest."""
    order = np.argsort(-chances, axis=None, kind="stable")
    values, right = chances.ravel()[order].astype(np.float64), np.cumsum(truth.ravel()[order])
    score = (1 + beta**2) * right / (np.arange(1, len(values) + 1) + beta**2 * right[-1])
    last = np.append(values[1:] < values[:-1], True)  # equal probabilities are given together
    best = int(np.argmax(np.where(last, score, -1)))
    below = values[best + 1] if best + 1 < len(values) else 0.0
    return float((values[best] + below) / 2)  # between two photos, and not at one


def measured(chances: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Precision, recall and F1 of giving every label at or above a threshold."""
    given = chances >= threshold
    right = float((given & truth).sum())
    precision, recall = right / max(1, int(given.sum())), right / max(1, int(truth.sum()))
    return precision, recall, 2 * right / max(1, int(given.sum()) + int(truth.sum()))


def store_thresholds(folder: "Path", thresholds: Mapping[str, float]) -> None:
    """Write thresholds ({label: probability}, "*" for all others) into a model folder's searcher.json, all else in it
    as it was."""
    manifest = read_json(folder, "searcher.json")
    facts = {key: manifest.get(key) for key in FACTS}
    facts["thresholds"] = {name: round(value, 6) for name, value in thresholds.items()}
    write_manifest(folder, name=manifest["name"], precision=manifest.get("precision", "float32"), **facts)


def for_all(calibration: Calibration) -> dict[str, float]:
    """The thresholds that `store_thresholds` takes."""
    return {FOR_ALL: calibration.threshold}
