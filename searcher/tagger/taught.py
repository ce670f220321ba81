"""Classifiers of taught labels. A few photos show the label, and the library's own embeddings show what is ordinary.

A classifier is a ridge probe in closed form (linear discriminant analysis with a shrunk covariance). Its direction
goes from the library's mean to the examples' mean and is whitened. A second score is added to it: the similarity to
the embedding of the label's name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searcher.catalog.rows import TAUGHT, ZERO_SHOT, Example
from searcher.datasets.labels import Label
from searcher.datasets.templates import ENSEMBLE
from searcher.errors import NotFound
from searcher.models.prompts import encode_labels
from searcher.progress import SILENT, Progress
from searcher.tagger.context import Context
from searcher.tagger.prompts import BACKGROUND, StoredVectors
from searcher.tagger.question import Question, digest

# Chosen on Caltech-101 and CIFAR-10 with five examples per class. Halving or doubling a value changes little.
RIDGE = 3.0  # added to the covariance, in units of its mean variance
NAME_WEIGHT = 1.0  # of the name's score, in standard deviations; the examples' score has weight 1
SAMPLE = 4096  # largest number of embeddings that represent ordinary photos
ORDINARY = 0.02  # share of ordinary photos that may get a label; above it, the boundary is raised
LEAST_OUTSIDE = 5  # at least this many of the ordinary photos may get the label
GUESSED_VARIANCE, GUESS_COUNTS = 0.5, 8  # assumed sum of the variances of all directions, and its weight in photos
MIN_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class Taught:
    """The classifier of a taught label, for one model.

    The score of a photo v is z = v·weights + offset. It measures how similar the photo is to the examples, in standard
    deviations of the library's photos. `weights` is (dim,) float32. At `boundary` the probability is 0.5, and `slope`
    says how fast it changes with the score. `level` and `spread` are the mean and standard deviation of a prompt's
    cosine similarity in this library. They convert the score so that it can be compared with zero-shot labels.
    """

    weights: np.ndarray
    offset: float
    boundary: float
    slope: float
    level: float
    spread: float

    def pack(self) -> np.ndarray:
        """All values as one vector (dim + 5,) float32, as the catalog stores it."""
        numbers = [self.offset, self.boundary, self.slope, self.level, self.spread]
        return np.append(self.weights, numbers).astype(np.float32)

    @classmethod
    def unpack(cls, vector: np.ndarray) -> "Taught":
        """The classifier that `pack` made `vector` (dim + 5,) from."""
        return cls(vector[:-5], *(float(number) for number in vector[-5:]))


def taught_labels(
    context: Context, question: Question, *, store: bool = False, progress: Progress = SILENT
) -> dict[str, Taught]:
    """Map those of a question's labels that were taught to their classifiers. `store`: see `classifier`."""
    with context.catalog.read() as view:
        known = view.tags.taught()
    names = [name for name in question.names if name in known]
    return {name: classifier(context, name, store=store, progress=progress) for name in names}


def sources(question: Question, taught: Mapping[str, Taught]) -> list[str]:
    """What decides each label of a question, as the catalog calls it: TAUGHT or ZERO_SHOT, in the order of labels."""
    return [TAUGHT if name in taught else ZERO_SHOT for name in question.names]


def classifier(context: Context, name: str, *, store: bool = False, progress: Progress = SILENT) -> Taught:
    """The classifier of a taught label, for the library's model.

    With `store`, it is written to the catalog, and so is computed once per model and set of examples. progress: gets
    a notice if another writer must be waited for. Raises NotFound if the label was never taught.
    """
    catalog, model, row = context.catalog, context.model, context.row
    with catalog.read() as view:
        if (state := view.tags.taught().get(name)) is None:
            raise NotFound(f"the label {name!r} was never taught")
        key = digest(f"taught {name}\n{state}")
        if (packed := view.tags.prompts([key], row).get(key)) is not None:
            return Taught.unpack(packed)
        examples = view.tags.examples(name)
        known = view.embeddings.of_contents([example.digest for example in examples], row)
        sample = view.embeddings.sample(row, SAMPLE)
    if not len(sample):
        raise NotFound("the library holds no photos to compare examples with: index some first")
    embeddings = _embeddings(context, examples, known)
    positive = np.array([example.positive for example in examples])
    text = encode_labels(model, [Label(name, (name,))], ENSEMBLE)[0]
    background = model.encode_texts(BACKGROUND)
    found = fit(embeddings[positive], embeddings[~positive], _without(sample, embeddings), text, background)
    packed = found.pack()
    StoredVectors(context, store, progress).put({key: packed})
    return Taught.unpack(packed)


def fit(
    examples: np.ndarray, against: np.ndarray, sample: np.ndarray, text: np.ndarray, background: np.ndarray
) -> Taught:
    """Compute a classifier from float32 embeddings of unit length.

    examples (n, dim): photos of the label. against (n, dim): photos against it; n may be 0. sample (n, dim): ordinary
    photos. text (dim,): the label's name. background (n, dim): prompts for what most photos show.

    The score is the sum of one score for the examples and one for the name. Over `sample`, each of the two has mean 0
    and a standard deviation of about 1.
    """
    center = sample.mean(axis=0)
    deviation = sample - center
    # A small sample says little about the covariance, so it is combined with a guess that is equal in all directions.
    guess = GUESSED_VARIANCE / len(center) * np.eye(len(center))
    covariance = (deviation.T @ deviation + GUESS_COUNTS * guess) / (len(sample) + GUESS_COUNTS)
    ridge = RIDGE * np.trace(covariance) / len(center) * np.eye(len(center))
    whiten = np.linalg.inv(covariance + ridge)
    # The examples are compared with ordinary photos and, with equal weight, with the photos against the label.
    other = (center + against.mean(axis=0)) / 2 if len(against) else center

    def look(chosen: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights and offset of the standardised similarity to the `chosen` examples."""
        return standardised(whiten @ (chosen.mean(axis=0) - other))

    def standardised(direction: np.ndarray) -> tuple[np.ndarray, float]:
        weights = direction / max(float(np.sqrt(direction @ covariance @ direction)), MIN_SPREAD)
        return weights.astype(np.float32), -float(center @ weights)

    words = standardised(text)
    weights, offset = look(examples)
    weights, offset = weights + NAME_WEIGHT * words[0], offset + NAME_WEIGHT * words[1]
    scores = sample @ weights + offset
    typical = float(np.mean(_left_out(examples, look) + NAME_WEIGHT * (examples @ words[0] + words[1])))
    share = min(0.5, max(ORDINARY, LEAST_OUTSIDE / len(sample)))
    boundary = max(typical / 2, float(np.quantile(scores, 1 - share)))
    if len(against):
        boundary = max(boundary, (typical + float((against @ weights + offset).mean())) / 2)
    slope = float(np.log(9)) / max(typical - boundary, 1.0)  # a typical example has probability 0.9
    level = float((background @ center).mean())
    spread = float(np.sqrt(((background @ covariance) * background).sum(axis=1)).mean())
    return Taught(weights, offset, boundary, slope, level, spread)


def _left_out(examples: np.ndarray, look: Callable[[np.ndarray], tuple[np.ndarray, float]]) -> np.ndarray:
    """Score each example with a classifier computed without it. A single example is scored with its own."""
    scores = []
    for number, example in enumerate(examples):
        others = np.delete(examples, number, axis=0) if len(examples) > 1 else examples
        weights, offset = look(others)
        scores.append(float(example @ weights + offset))
    return np.array(scores)


def _without(sample: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The sample without the examples, or the whole sample if fewer than two embeddings would be left."""
    alike = (sample @ examples.T > 0.9999).any(axis=1)
    rest = sample[~alike]
    return rest if len(rest) >= 2 else sample


def _embeddings(context: Context, examples: Sequence[Example], known: Mapping[bytes, np.ndarray]) -> np.ndarray:
    """The embeddings (n, dim) float32 of examples.

    known: digest → embedding, from the catalog. The others are computed from the stored pictures.
    """
    from searcher.photos.decode import decode

    missing = [example for example in examples if example.digest not in known]
    made: dict[bytes, np.ndarray] = {}
    if missing:
        images = [decode(example.picture, min_side=context.model.image_size).image for example in missing]
        vectors = context.model.encode_images(images)
        made = {example.digest: vector for example, vector in zip(missing, vectors, strict=True)}
    found = {**known, **made}
    return np.stack([found[example.digest] for example in examples])
