"""Turns a question into weights, from the prompts of zero-shot labels and the classifiers of taught labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from searcher.tagger.prompts import BACKGROUND, StoredVectors, background_vector, label_vectors
from searcher.tagger.question import FOR_ALL, UNCALIBRATED, Question, thresholds
from searcher.tagger.taught import Taught

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

MORE_PROBABLE_THAN_NOT = 0.5  # threshold of taught labels; their examples set where this probability lies


@dataclass(frozen=True, slots=True)
class Scorer:
    """The labels of a question, as the numbers that `answer` needs.

    `weights` is (n, dim) float32, and `offsets` is (n,) float32. With `one`, the softmax of `scale` * score gives the
    probabilities over all labels. Otherwise the sigmoid of the score is the probability of each label by itself, and
    a photo gets the label if this probability reaches `thresholds`, which is (n,) float64.
    """

    one: bool
    weights: np.ndarray
    offsets: np.ndarray
    scale: float
    thresholds: np.ndarray


def is_calibrated(question: Question, model: "DualEncoder") -> bool:
    """Whether the model has a calibrated threshold. True with `one`, which needs none."""
    return question.one or bool(thresholds(model))


def make_scorer(
    question: Question, model: "DualEncoder", taught: Mapping[str, Taught], stored: StoredVectors | None = None
) -> Scorer:
    """Compute the weights for a question.

    taught: label → classifier, for those of its labels that were taught. stored: where embeddings of prompts are
    looked up and kept. Without it, all of them are computed.
    """
    scale, _ = model.scale_and_bias
    prompts = label_vectors(model, question.labels, question.templates, stored)
    offsets = np.zeros(len(prompts), np.float32)
    if not question.one:
        background = background_vector(model, stored)
        prompts = (np.float32(scale) * (prompts - background)).astype(np.float32)
        offsets -= np.float32(np.log(len(BACKGROUND)))
    bar = thresholds(model)
    cuts = np.array([bar.get(name, bar.get(FOR_ALL, UNCALIBRATED)) for name in question.names], np.float64)
    for number, name in enumerate(question.names):
        if (label := taught.get(name)) is None:
            continue
        factor, shift = (label.spread, label.level) if question.one else (label.slope, -label.slope * label.boundary)
        prompts[number] = factor * label.weights
        offsets[number] = factor * label.offset + shift
        cuts[number] = MORE_PROBABLE_THAN_NOT
    return Scorer(question.one, prompts, offsets, scale, cuts)
