"""Turns a question into weights, from the prompts of zero-shot labels and the classifiers of taught labels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from searcher.datasets.labels import Label
from searcher.models.prompts import encode_labels
from searcher.tagger.answers import Scorer
from searcher.tagger.question import FOR_ALL, UNCALIBRATED, Question, digest, thresholds

if TYPE_CHECKING:
    from searcher.models import Model

# Prompts for what most photos show. A label that is judged by itself competes with their mean, which is one direction
# of the embedding space ("a photo of anything"). So a label that is in this list does not compete with itself.
BACKGROUND = tuple(
    f"a photo of {what}."
    for what in """a person, a group of people, an animal, a plant, food, a vehicle, a building, a room, a street,
    a landscape, the sky, water, furniture, a tool, a machine, clothing, a toy, a sign, text, a pattern""".replace(
        "\n", ""
    ).split(", ")
)


MORE_PROBABLE_THAN_NOT = 0.5  # threshold of taught labels; their examples set where this probability lies


class Cache(Protocol):
    """Stores vectors of one model. The key is a digest of what a vector was computed from."""

    def get(self, keys: Sequence[str]) -> Mapping[str, np.ndarray]: ...

    def put(self, vectors: Mapping[str, np.ndarray]) -> None: ...


class NoCache:
    """Stores nothing, so that everything is computed each time."""

    def get(self, keys: Sequence[str]) -> Mapping[str, np.ndarray]:
        return {}

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Taught:
    """The classifier of a taught label, for one model.

    The score of a photo v is z = v·weights + offset. It measures how similar the photo is to the examples, in standard
    deviations of the library's photos. At `boundary` the probability is 0.5, and `slope` says how fast it changes with
    the score. `level` and `spread` are the mean and standard deviation of a prompt's cosine similarity in this
    library. They convert the score so that it can be compared with zero-shot labels.
    """

    weights: np.ndarray
    offset: float
    boundary: float
    slope: float
    level: float
    spread: float

    def pack(self) -> np.ndarray:
        """All values as one vector (dim + 5,), which can be stored in a `Cache`."""
        return np.append(self.weights, [self.offset, self.boundary, self.slope, self.level, self.spread])

    @classmethod
    def unpack(cls, vector: np.ndarray) -> "Taught":
        return cls(vector[:-5], *(float(number) for number in vector[-5:]))


def is_calibrated(question: Question, model: "Model") -> bool:
    """Whether the model has a calibrated threshold. True with `one`, which needs none."""
    return question.one or bool(thresholds(model))


def make_scorer(question: Question, model: "Model", taught: Mapping[str, Taught], cache: Cache) -> Scorer:
    """Compute the weights for a question. taught: label → classifier, for those of its labels that were taught."""
    scale, _ = model.scale_and_bias
    prompts = encode_cached(model, question.labels, question.templates, cache)
    offsets = np.zeros(len(prompts), np.float32)
    if not question.one:
        background = background_vector(model, cache)
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


def background_vector(model: "Model", cache: Cache) -> np.ndarray:
    """The mean (dim,) of the embeddings of BACKGROUND. Its length is not 1."""
    labels = [Label(text, (text,)) for text in BACKGROUND]
    mean: np.ndarray = encode_cached(model, labels, ("{}",), cache).mean(axis=0)
    return mean


def encode_cached(model: "Model", labels: Sequence[Label], templates: Sequence[str], cache: Cache) -> np.ndarray:
    """Like `encode_labels`, but compute only what is not in the cache. Returns (n, dim) float32, writable."""
    keys = [digest(json.dumps([label.wordings, label.templates or tuple(templates)])) for label in labels]
    known = dict(cache.get(keys))
    missing = {key: label for key, label in zip(keys, labels, strict=True) if key not in known}
    if missing:
        made = dict(zip(missing, encode_labels(model, list(missing.values()), templates), strict=True))
        cache.put(made)
        known |= made
    return np.stack([known[key] for key in keys])
