"""What measuring a model found: with the result of each query, so that two models can be compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from searcher.errors import Failure


@dataclass(frozen=True)
class ZeroShot:
    """The result of zero-shot classification of `n` photos.

    templates: the number of templates.
    bare: top-1 and top-5 with the names alone as prompts. None if the prompts were the names alone, or if this was not
    measured.
    labels: label names. truth, predicted: int64 (n,), indexes into `labels`. ranks: int64 (n,), the number of labels
    that are nearer than the true one.
    """

    dataset: Path
    n: int
    templates: int
    bare: tuple[float, float] | None
    labels: list[str]
    truth: np.ndarray
    predicted: np.ndarray
    ranks: np.ndarray
    failures: list[Failure]
    photos: ClassVar[None] = None  # as in Recall: each photo has one query

    @property
    def hits(self) -> dict[str, np.ndarray]:
        """For each photo, whether its true label is the nearest, or one of the five nearest. bool (n,)."""
        return {"top1": self.predicted == self.truth, "top5": self.ranks < 5}

    @property
    def top1(self) -> float:
        """The share of photos whose true label is the nearest."""
        return float(self.hits["top1"].mean())

    @property
    def top5(self) -> float:
        """The share of photos whose true label is one of the five nearest."""
        return float(self.hits["top5"].mean())

    @property
    def confusion(self) -> np.ndarray:
        """Number of photos per true label (row) and predicted label (column), int64 (labels, labels)."""
        size = len(self.labels)
        return np.bincount(self.truth * size + self.predicted, minlength=size**2).reshape(size, size)

    def as_dict(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {
            "dataset": str(self.dataset),
            "n": self.n,
            "top1": self.top1,
            "top5": self.top5,
            "labels": len(self.labels),
            "templates": self.templates,
            "bare": None if self.bare is None else {"top1": self.bare[0], "top5": self.bare[1]},
            **failures_as_dict(self.failures),
        }


@dataclass(frozen=True, eq=False)
class Recall:
    """Shares of queries with a correct result among the nearest 1, 5 and 10.

    ranks: int64 (queries,), the rank of the best correct result of each query, from 0.
    photos: int64 (queries,), the number of the photo that a query is about. None if each is about another one.
    """

    ranks: np.ndarray
    photos: np.ndarray | None = None

    @property
    def hits(self) -> dict[str, np.ndarray]:
        """For each query, whether a correct result is among the nearest 1, 5 and 10. bool (queries,)."""
        return {f"r{k}": self.ranks < k for k in (1, 5, 10)}

    @property
    def r1(self) -> float:
        return float(self.hits["r1"].mean())

    @property
    def r5(self) -> float:
        return float(self.hits["r5"].mean())

    @property
    def r10(self) -> float:
        return float(self.hits["r10"].mean())

    def as_dict(self) -> dict[str, float]:
        return {"r1": self.r1, "r5": self.r5, "r10": self.r10}


@dataclass(frozen=True)
class Retrieval:
    """The result of finding `n` photos by their captions, and captions by their photos.

    captions: the number of different captions.
    """

    dataset: Path
    n: int
    captions: int
    text_to_image: Recall
    image_to_text: Recall
    failures: list[Failure]

    @property
    def ways(self) -> dict[str, Recall]:
        """Both directions under the names that `--json` uses."""
        return {"text_to_image": self.text_to_image, "image_to_text": self.image_to_text}

    def as_dict(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {
            "dataset": str(self.dataset),
            "n": self.n,
            "captions": self.captions,
            **{way: recall.as_dict() for way, recall in self.ways.items()},
            **failures_as_dict(self.failures),
        }


def failures_as_dict(failures: list[Failure]) -> dict[str, Any]:
    return {"failed": len(failures), "failures": [failure.as_dict() for failure in failures]}
