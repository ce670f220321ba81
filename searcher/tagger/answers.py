"""The maths of the two questions: which one of these labels fits a photo, and which of them do.

Both begin with a score for each label and photo that is linear in the photo's embedding v: w·v + o. For a zero-shot
label w is the embedding of its prompts and o is 0, so that the score is the cosine; docs/tagging.md has the rest.
"""

from dataclasses import dataclass

import numpy as np

from searcher.models.prompts import nearest_of


@dataclass(frozen=True, slots=True)
class Scorer:
    """Labels that photos can be asked about.

    `weights` (n, dim), `offsets` (n,), float32. With `one`, the softmax of `scale` * score is a probability among
    all labels; else the sigmoid of the score is the probability of each label by itself, and it is given where that
    reaches `thresholds` (n,).
    """

    one: bool
    weights: np.ndarray
    offsets: np.ndarray
    scale: float
    thresholds: np.ndarray


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels given to photos: `rows` and `labels` (k,) int64 are the numbers of photo and label, `probabilities` (k,)
    float32. Ordered by row, then most probable first."""

    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray


def answer(vectors: np.ndarray, scorer: Scorer, most: int) -> Answers:
    """The labels of photos (m, dim), at most `most` a photo. Embeddings count as the catalog stores them: float16."""
    stored = np.asarray(vectors, np.float16)
    scores = stored.astype(np.float32) @ scorer.weights.T
    if scorer.offsets.any():
        scores += scorer.offsets
    if scorer.one:
        return _one_of(stored, scores, scorer, min(most, scores.shape[1]))
    return _which_of(scores, scorer.thresholds, most)


def _one_of(stored: np.ndarray, scores: np.ndarray, scorer: Scorer, top: int) -> Answers:
    count = len(scores)
    # without offsets as `searcher evaluate` decides, ties and all
    first = scores.argmax(axis=1) if scorer.offsets.any() else nearest_of(stored, scorer.weights, scores)
    scores *= np.float32(scorer.scale)
    scores -= scores.max(axis=1, keepdims=True, initial=-np.inf)
    best = _best(scores, top, first)
    total = np.exp(scores, out=scores).sum(axis=1, keepdims=True)
    chances = np.take_along_axis(scores, best, 1) / total
    return Answers(np.repeat(np.arange(count), top), best.ravel(), chances.ravel())


def _best(scores: np.ndarray, top: int, first: np.ndarray) -> np.ndarray:
    """The numbers (m, top) of the best labels, best first; the very first one is known."""
    if top == 1:
        return first[:, None]
    scores = scores.copy()
    scores[np.arange(len(first)), first] = np.inf
    best = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    return np.take_along_axis(best, order, 1)


def _which_of(logits: np.ndarray, thresholds: np.ndarray, most: int) -> Answers:
    with np.errstate(divide="ignore"):  # thresholds of 0 and 1: always, never
        cuts = (np.log(thresholds) - np.log1p(-thresholds)).astype(np.float32)
    rows, labels = np.nonzero(logits >= cuts)
    given = logits[rows, labels]
    order = np.lexsort((labels, -given, rows))
    rows, labels, given = rows[order], labels[order], given[order]
    first = np.searchsorted(rows, np.arange(len(logits)))  # where each photo's labels begin
    keep = np.arange(len(rows)) - first[rows] < most
    chances = sigmoid(given[keep])
    return Answers(rows[keep], labels[keep], chances)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logits → probabilities, float32, without overflow."""
    small = np.exp(-np.abs(logits, dtype=np.float64))
    chances: np.ndarray = np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
    return chances
