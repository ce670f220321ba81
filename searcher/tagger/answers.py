"""Computes which labels a photo gets: exactly one of them, or every label that fits.

Both cases start with a score per photo and label: the largest w·v + o of the label's wordings, where v is the photo's
embedding. With `one`, a zero-shot label has one w, the embedding of its prompts, and o is 0, so the score is the cosine
similarity. Otherwise the score is the logit of the relevance (see `searcher.models.relevance`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from searcher.models.prompts import nearest_of
from searcher.models.relevance import logits, relevance
from searcher.tagger.scorer import Scorer


@dataclass(frozen=True, slots=True)
class Answers:
    """The labels that photos get, with one entry per photo and label.

    `rows` (k,) int64 are indices of photos. `labels` (k,) int64 are indices of labels. `probabilities` is (k,)
    float32. Entries are sorted by row, and then by probability in descending order.
    """

    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    def entries(self) -> Iterator[tuple[int, int, float]]:
        """The entries as (index of the photo, index of the label, probability to six decimals)."""
        return zip(self.rows.tolist(), self.labels.tolist(), self.rounded.tolist(), strict=True)

    @property
    def rounded(self) -> np.ndarray:
        """The probabilities to six decimals, as they are stored: (k,) float64."""
        return np.round(self.probabilities.astype(np.float64), 6)


def answer(vectors: np.ndarray, scorer: Scorer, most: int) -> Answers:
    """Compute the labels of photos, at most `most` labels per photo.

    vectors (m, dim): the photos' embeddings. They are first rounded to float16, as the catalog stores them.
    """
    stored = np.asarray(vectors, np.float16)
    scores = logits(stored, scorer.weights, scorer.offsets, scorer.starts)
    if scorer.one:
        return _one_of(stored, scores, scorer, min(most, scores.shape[1]))
    return _which_of(scores, scorer.cut, most)


def _one_of(stored: np.ndarray, scores: np.ndarray, scorer: Scorer, top: int) -> Answers:
    count = len(scores)
    # Without offsets, choose the best label exactly as `searcher evaluate` does, including ties.
    first = scores.argmax(axis=1) if scorer.offsets.any() else nearest_of(stored, scorer.weights, scores)
    scores *= np.float32(scorer.scale)
    scores -= scores.max(axis=1, keepdims=True, initial=-np.inf)
    best = _best(scores, top, first)
    total = np.exp(scores, out=scores).sum(axis=1, keepdims=True)
    chances = np.take_along_axis(scores, best, 1) / total
    return Answers(np.repeat(np.arange(count), top), best.ravel(), chances.ravel())


def _best(scores: np.ndarray, top: int, first: np.ndarray) -> np.ndarray:
    """The indices (m, top) of the best labels, best first. `first` (m,) is the best label of each photo."""
    if top == 1:
        return first[:, None]
    scores = scores.copy()
    scores[np.arange(len(first)), first] = np.inf
    best = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    return np.take_along_axis(best, order, 1)


def _which_of(scores: np.ndarray, cut: float, most: int) -> Answers:
    places = np.flatnonzero(scores >= cut)  # several times faster than in two dimensions
    rows, labels = np.divmod(places, scores.shape[1])
    given = scores.ravel()[places]
    order = np.lexsort((labels, -given, rows))
    rows, labels, given = rows[order], labels[order], given[order]
    first = np.searchsorted(rows, np.arange(len(scores)))  # where each photo's labels begin
    keep = np.arange(len(rows)) - first[rows] < most
    return Answers(rows[keep], labels[keep], relevance(given[keep]))
