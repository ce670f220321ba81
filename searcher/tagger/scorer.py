"""From a question to numbers: the prompts of zero-shot labels, and the classifiers of taught ones."""

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

# What a label by itself is weighed against: what is in most photos. Their mean is one direction of the embedding
# space, "a photo of anything", so a label that is one of them is not its own rival.
BACKGROUND = tuple(
    f"a photo of {what}."
    for what in """a person, a group of people, an animal, a plant, food, a vehicle, a building, a room, a street,
    a landscape, the sky, water, furniture, a tool, a machine, clothing, a toy, a sign, text, a pattern""".replace(
        "\n", ""
    ).split(", ")
)


MORE_PROBABLE_THAN_NOT = 0.5  # from where on a taught label is given: its own examples say what that is


class Cache(Protocol):
    """Vectors of one model that were computed before, under the digest of what they were made of."""

    def get(self, keys: Sequence[str]) -> Mapping[str, np.ndarray]: ...

    def put(self, vectors: Mapping[str, np.ndarray]) -> None: ...


class NoCache:
    """Computes everything anew."""

    def get(self, keys: Sequence[str]) -> Mapping[str, np.ndarray]:
        return {}

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Taught:
    """A label that was taught, as a model sees it. Its score is z = v·weights + offset: how many standard deviations
    of the library's photos a photo is like the examples. From `boundary` on it is more probable than not; `slope`
    says how fast. `level`, `spread`: mean and standard deviation of a prompt's cosine in this library, to stand
    beside zero-shot labels."""

    weights: np.ndarray
    offset: float
    boundary: float
    slope: float
    level: float
    spread: float

    def pack(self) -> np.ndarray:
        """As one vector, to be kept."""
        return np.append(self.weights, [self.offset, self.boundary, self.slope, self.level, self.spread])

    @classmethod
    def unpack(cls, vector: np.ndarray) -> "Taught":
        return cls(vector[:-5], *(float(number) for number in vector[-5:]))


def is_calibrated(question: Question, model: "Model") -> bool:
    """Whether the model says from which probability on a label is given; `--one` needs no threshold."""
    return question.one or bool(thresholds(model))


def make_scorer(question: Question, model: "Model", taught: Mapping[str, Taught], cache: Cache) -> Scorer:
    """The numbers to answer `question` with. `taught`: those of its labels that were taught."""
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
    """The mean (dim,) of the embeddings of BACKGROUND: not of unit length."""
    labels = [Label(text, (text,)) for text in BACKGROUND]
    mean: np.ndarray = encode_cached(model, labels, ("{}",), cache).mean(axis=0)
    return mean


def encode_cached(model: "Model", labels: Sequence[Label], templates: Sequence[str], cache: Cache) -> np.ndarray:
    """What `encode_labels` returns, computing only what the cache does not know. (n, dim) float32, writable."""
    keys = [digest(json.dumps([label.wordings, label.templates or tuple(templates)])) for label in labels]
    known = dict(cache.get(keys))
    missing = {key: label for key, label in zip(keys, labels, strict=True) if key not in known}
    if missing:
        made = dict(zip(missing, encode_labels(model, list(missing.values()), templates), strict=True))
        cache.put(made)
        known |= made
    return np.stack([known[key] for key in keys])
