"""Measures how reliable the tags of a model are: precision, recall, F1, and how honest its probabilities are."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searcher.datasets import ClassFolder, Label
from searcher.datasets.text import read_text
from searcher.errors import Failure, InvalidInput
from searcher.evaluate.measure import embed
from searcher.evaluate.results import failures_as_dict
from searcher.models.encoder import DualEncoder
from searcher.models.relevance import FITS, logits, read_labels, relevance, stacked
from searcher.progress import SILENT, Progress

BINS = 15  # of equal width: the usual choice (Guo et al. 2017)


@dataclass(frozen=True)
class Bin:
    """Pairs of photo and label with similar probabilities: how many, their mean probability, the share that holds."""

    pairs: int
    probability: float
    share: float


@dataclass(frozen=True)
class TagQuality:
    """The answers to the default question ("which of these labels apply?") for `n` photos.

    labels: label names. truth: bool (n, labels), which labels are true of a photo. chances: float32 (n, labels), the
    relevance. least: the relevance from which on a label is given.
    """

    dataset: Path
    n: int
    labels: list[str]
    truth: np.ndarray
    chances: np.ndarray
    failures: list[Failure]
    least: float = FITS

    @property
    def counts(self) -> np.ndarray:
        """For each label: how often it was given rightly, was given, and is true. int64 (labels, 3)."""
        given = self.chances >= self.least
        return np.stack([(given & self.truth).sum(0), given.sum(0), self.truth.sum(0)], axis=1)

    @property
    def micro(self) -> tuple[float, float, float]:
        """Precision, recall and F1 over all pairs of photo and label."""
        return precision_recall_f1(*self.counts.sum(axis=0).tolist())

    @property
    def calibration_error(self) -> float:
        """The expected calibration error over all pairs: the mean distance of probability and truth over the bins."""
        bins = self.reliability()
        total = sum(each.pairs for each in bins)
        return sum(each.pairs * abs(each.probability - each.share) for each in bins) / max(1, total)

    def reliability(self) -> list[Bin]:
        """The bins that hold pairs, from improbable to probable."""
        chances, truth = self.chances.ravel().astype(np.float64), self.truth.ravel()
        of = np.minimum((chances * BINS).astype(int), BINS - 1)
        found = []
        for number in range(BINS):
            here = of == number
            if here.any():
                found.append(Bin(int(here.sum()), float(chances[here].mean()), float(truth[here].mean())))
        return found

    def as_dict(self) -> dict[str, Any]:
        """What `evaluate --tags --json` prints."""
        precision, recall, f1 = self.micro
        rows = {}
        for label, (right, given, true) in zip(self.labels, self.counts.tolist(), strict=True):
            values = precision_recall_f1(right, given, true)
            rows[label] = {
                **dict(zip(("precision", "recall", "f1"), values, strict=True)),
                "given": given,
                "true": true,
            }
        return {
            "dataset": str(self.dataset),
            "n": self.n,
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "calibration_error": self.calibration_error,
            "labels": rows,
            "reliability": [vars(each) for each in self.reliability()],
            **failures_as_dict(self.failures),
        }


def precision_recall_f1(right: int, given: int, true: int) -> tuple[float, float, float]:
    """From the number of labels that were given rightly, that were given, and that are true."""
    return right / max(1, given), right / max(1, true), 2 * right / max(1, given + true)


def read_truth(path: Path) -> dict[str, list[str]]:
    """Read a TOML file that says which labels are true of the photos of each class: `beagle = ["dog", "animal"]`.

    Raises NotFound or InvalidInput if it cannot be read.
    """
    try:
        table = tomllib.loads(read_text(path, "true labels"))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error
    found = {}
    for name, value in table.items():
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(label, str) and label.strip() for label in values):
            raise InvalidInput(f"{path}: the labels of {name!r} must be a string or a list of strings")
        found[" ".join(name.replace("_", " ").split())] = [" ".join(label.split()) for label in values]
    return found


def tag_quality(
    model: DualEncoder,
    classes: ClassFolder,
    *,
    truth: Mapping[str, Sequence[str]] | None = None,
    labels: Sequence[Label] | None = None,
    progress: Progress = SILENT,
) -> TagQuality:
    """Ask which labels apply to the photos of class folders.

    truth: class → its true labels. A class that is not in it has its name as its only label. labels: the labels to
    ask for. By default they are all true labels. progress: counts photos.

    Raises InvalidInput if a true label is not among `labels` or no photo can be read.
    """
    true_of = [list((truth or {}).get(name, [name])) for name in classes.names]
    if truth and (strangers := set(truth) - set(classes.names)):
        raise InvalidInput(f"{classes.path}: there is no class folder {sorted(strangers)[0]!r}")
    if labels is None:
        labels = [Label(name, (name,)) for name in dict.fromkeys(name for names in true_of for name in names)]
    column = {label.name: number for number, label in enumerate(labels)}
    if missing := [name for names in true_of for name in names if name not in column]:
        raise InvalidInput(f"{classes.path}: no label is called {missing[0]!r}, which is true of a class")
    holds = np.zeros((len(classes.names), len(labels)), bool)
    for row, names in enumerate(true_of):
        holds[row, [column[name] for name in names]] = True
    images = embed([model], [file for files in classes.images for file in files], progress)
    rows = np.repeat(np.arange(len(holds)), [len(files) for files in classes.images])[images.kept]
    asked = stacked([(each.weights, each.offsets) for each in read_labels(model, labels)])
    return TagQuality(
        dataset=classes.path.absolute(),
        n=len(rows),
        labels=[label.name for label in labels],
        truth=holds[rows],
        chances=relevance(logits(images.vectors[0], *asked)),
        failures=[Failure(str(classes.path.absolute()), reason) for reason in classes.bad] + images.failures,
    )
