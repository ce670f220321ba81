"""Relevance: the probability that a person would say "yes, this photo shows it".

For a text and a model, relevance(photo) = max over the wordings w of sigmoid(a_w · cos_w + b_w), with at most 16
wordings. The first wording is the text itself. If the text names a kind of things ("bird"), the others are things that
belong to it ("robin, thrush, …"), each joined with the text. The slope a_w and the offset b_w are linear in the
logarithm of the breadth of a wording: how many kinds of things belong to it. A photo is never as near to a broad word
("animal") as to a narrow one ("beagle"). docs/relevance.md has the measurements.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from searcher.datasets.kinds import ALONE, find_kind
from searcher.datasets.labels import Label
from searcher.datasets.templates import fill

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

FITS = 0.5  # from this relevance on, a photo is said to show what was asked for
MOST_WORDINGS = 16
SHORT = 3  # words: a text of so few is a name, and is also put into a sentence
SENTENCE = "a photo of {}"
LEAST_SLOPE = 1.0  # a wording always ranks photos by their cosine

Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns cosines into relevance.

    The slope of a wording is slope[0] + slope[1] · ln(breadth), and its offset likewise. measured: whether the values
    were fitted to labelled photos. Otherwise they are those of the built-in model, moved to the cosines that this
    model has for photos and texts that do not belong together.
    """

    slope: tuple[float, float]
    offset: tuple[float, float]
    measured: bool

    def lines(self, breadths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slopes and offsets (n,) float32 of wordings with these breadths (n,)."""
        height = np.log(breadths)
        slopes = np.maximum(self.slope[0] + self.slope[1] * height, LEAST_SLOPE)
        return slopes.astype(np.float32), (self.offset[0] + self.offset[1] * height).astype(np.float32)

    def moved(self, known: tuple[float, float], other: tuple[float, float]) -> "Calibration":
        """This calibration for another model, as a guess.

        known, other: mean and standard deviation of the cosines of photos and texts that do not belong together, in
        the model that was measured and in the other one.
        """
        ratio = known[1] / max(other[1], 1e-6)
        shift = known[0] - ratio * other[0]
        slope = (self.slope[0] * ratio, self.slope[1] * ratio)
        offset = (self.offset[0] + self.slope[0] * shift, self.offset[1] + self.slope[1] * shift)
        return Calibration(slope, offset, measured=False)

    def as_dict(self) -> dict[str, Any]:
        """The calibration as searcher.json stores it."""
        return {
            "slope": [round(value, 5) for value in self.slope],
            "offset": [round(value, 5) for value in self.offset],
            "measured": self.measured,
        }


# Fitted by recipes/relevance/calibrate.py, which also prints the cosines that do not belong together (see `strangers`).
BUILTIN = Calibration((14.125, -0.865), (-6.181, 0.657), measured=True)
BUILTIN_STRANGERS = (0.032, 0.076)
# Typical means and standard deviations of such cosines in published models, for a model that was never imported.
FAMILY_STRANGERS = {"clip": (0.17, 0.035), "siglip": (0.0, 0.035)}


def calibration(model: "DualEncoder") -> Calibration:
    """The calibration in the model's searcher.json, or a guess for its family."""
    found = model.info.get("relevance")
    if isinstance(found, Mapping):
        return Calibration(
            (found["slope"][0], found["slope"][1]),
            (found["offset"][0], found["offset"][1]),
            bool(found["measured"]),
        )
    family = "siglip" if model.scale_and_bias[1] else "clip"
    return BUILTIN.moved(BUILTIN_STRANGERS, FAMILY_STRANGERS[family])


def strangers(photos: np.ndarray, texts: np.ndarray) -> tuple[float, float]:
    """The typical cosine of a photo and a text that do not belong together, and its standard deviation.

    photos (m, dim) and texts (n, dim): embeddings, of which few belong together. These few do not count, because the
    median and the distance between the quartiles do not depend on them.
    """
    low, middle, high = np.quantile(photos @ texts.T, [0.25, 0.5, 0.75])
    return float(middle), float((high - low) / 1.349)


@dataclass(frozen=True, slots=True)
class Wordings:
    """The wordings of one text, for one model.

    vectors is (w, dim) float32 of unit length; slopes and offsets are (w,) float32. The first wording is the text.
    """

    vectors: np.ndarray
    slopes: np.ndarray
    offsets: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """The vectors times their slopes: (w, dim) float32."""
        weights: np.ndarray = self.vectors * self.slopes[:, None]
        return weights

    def logits(self, photos: np.ndarray) -> np.ndarray:
        """The logit of the relevance of each photo: (m, dim) → (m,) float32."""
        return logits(photos, self.weights, self.offsets, np.zeros(1, np.intp))[:, 0]


def logits(photos: np.ndarray, weights: np.ndarray, offsets: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The logits of the relevance of photos for several texts.

    photos (m, dim); weights (w, dim) and offsets (w,): the wordings of all texts, one text after another; starts (n,):
    where the wordings of each text begin. Returns (m, n) float32.
    """
    scores: np.ndarray = photos.astype(np.float32) @ weights.T
    scores += offsets
    if len(starts) == len(weights):
        return scores
    best: np.ndarray = np.maximum.reduceat(scores, starts, axis=1)
    return best


def stacked(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `logits` takes for several texts, from the weights (w, dim) and offsets (w,) of the wordings of each."""
    sizes = [len(weights) for weights, _ in parts]
    weights, offsets = (np.concatenate(column) for column in zip(*parts, strict=True))
    return weights, offsets, np.cumsum([0, *sizes[:-1]])


def relevance(logits: np.ndarray) -> np.ndarray:
    """Logits → probabilities (float32, same shape), without overflow."""
    small = np.exp(-np.abs(logits, dtype=np.float64))
    chances: np.ndarray = np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
    return chances


def logit(probability: float) -> float:
    """The inverse of `relevance` for one number; 0 and 1 become the infinities."""
    return -np.inf if probability <= 0 else np.inf if probability >= 1 else log(probability / (1 - probability))


def read_text(model: "DualEncoder", text: str) -> Wordings:
    """The wordings of a text that was searched for."""
    return read_labels(model, [Label(text, (text,))])[0]


def read_labels(model: "DualEncoder", labels: Sequence[Label], encode: Encode | None = None) -> list[Wordings]:
    """The wordings of labels: their own ones, and what belongs to the kinds that these name.

    encode: texts → (n, dim) float32, for example with a cache. By default the model's.
    """
    plans = [_Plan.of(label) for label in labels]
    texts = list(dict.fromkeys(text for plan in plans for text in plan.texts()))
    embedded = (encode or model.encode_texts)(texts)
    rows = {text: row for row, text in enumerate(texts)}
    fitted = calibration(model)
    found = []
    for plan in plans:
        own = [_unit(embedded[[rows[text] for text in group]].mean(axis=0)) for group in plan.own]
        joined = [_unit(embedded[rows[text]] + own[of]) for of, text, _ in plan.narrower]
        breadths = np.array([*plan.breadths, *(breadth for _, _, breadth in plan.narrower)], np.float64)
        found.append(Wordings(np.stack([*own, *joined]).astype(np.float32), *fitted.lines(breadths)))
    return found


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to embed for a label.

    own: for each of its wordings the sentences that stand for it. breadths: of each. narrower: which of them, a list
    of things that belong to it, and the breadth of that list.
    """

    own: list[list[str]]
    breadths: list[float]
    narrower: list[tuple[int, str, float]]

    @classmethod
    def of(cls, label: Label) -> "_Plan":
        own, breadths, narrower = [], [], []
        for number, wording in enumerate(label.wordings[:MOST_WORDINGS]):
            kind = find_kind(wording) or ALONE
            own.append(_sentences(wording, label.templates))
            breadths.append(float(kind.breadth))
            for text in kind.narrower:
                narrower.append((number, text, max(1.0, kind.breadth / len(kind.narrower))))
        return cls(own, breadths, narrower[: MOST_WORDINGS - len(own)])

    def texts(self) -> list[str]:
        return [text for group in self.own for text in group] + [text for _, text, _ in self.narrower]


def _sentences(wording: str, templates: Sequence[str] | None) -> list[str]:
    if templates is not None:
        return [fill(template, wording) for template in templates]
    return [wording, fill(SENTENCE, wording)] if len(wording.split()) <= SHORT else [wording]


def _unit(vector: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit
