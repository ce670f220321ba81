"""Turns a question into weights, from the wordings of zero-shot labels and the classifiers of taught labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from searcher.datasets.kinds import kinds_digest
from searcher.models.relevance import calibration, logit, read_labels, stacked
from searcher.tagger.prompts import StoredVectors, label_vectors, text_vectors
from searcher.tagger.question import Question, digest
from searcher.tagger.taught import Taught

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


@dataclass(frozen=True, slots=True)
class Scorer:
    """The labels of a question, as the numbers that `answer` needs.

    A label has one or more wordings. `weights` is (w, dim) float32 and `offsets` is (w,) float32, the wordings of one
    label after those of another. `starts` (n,) says where those of each label begin. The score of a label is the
    largest of its wordings.

    With `one`, the softmax of `scale` * score gives the probabilities over all labels. Otherwise the sigmoid of the
    score is the probability of each label by itself, and a photo gets the label if its score reaches `cut`.
    """

    one: bool
    weights: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    scale: float
    cut: float


def is_calibrated(question: Question, model: "DualEncoder") -> bool:
    """Whether the model's relevance was measured on labelled photos. True with `one`, which does not need it."""
    return question.one or calibration(model).measured


def conditions_of(question: Question, model: "DualEncoder", taught: Mapping[str, str]) -> str:
    """A digest of everything that affects the answers, except the question itself.

    taught: every taught label, with a text that changes when its examples do.
    """
    names = set(question.names)
    states = {name: state for name, state in taught.items() if name in names}
    judged = None if question.one else (calibration(model), kinds_digest())
    return digest(repr((model.digest, sorted(states.items()), judged)))


def make_scorer(
    question: Question, model: "DualEncoder", taught: Mapping[str, Taught], stored: StoredVectors | None = None
) -> Scorer:
    """Compute the weights for a question.

    taught: label → classifier, for those of its labels that were taught. stored: where embeddings of texts are
    looked up and kept. Without it, all of them are computed.
    """
    scale, _ = model.scale_and_bias
    if question.one:
        vectors = label_vectors(model, question.labels, question.templates, stored)
        parts = [(vector[None], np.zeros(1, np.float32)) for vector in vectors]
    else:
        read = read_labels(model, question.labels, lambda texts: text_vectors(model, texts, stored))
        parts = [(wordings.weights, wordings.offsets) for wordings in read]
    for number, name in enumerate(question.names):
        if (label := taught.get(name)) is None:
            continue
        factor, shift = (label.spread, label.level) if question.one else (label.slope, -label.slope * label.boundary)
        parts[number] = (factor * label.weights[None], np.array([factor * label.offset + shift], np.float32))
    return Scorer(question.one, *stacked(parts), scale, logit(question.least))
