"""Measures a model: zero-shot accuracy on class folders, and recall@k on pairs of images and captions.

Images are embedded and rounded in the same way as by `index`, so the results apply to searching and tagging. This
module does not need PyTorch.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from searcher.datasets import (
    BARE,
    ENSEMBLE,
    ClassFolder,
    Label,
    Source,
    holds_photos,
    read_class_folder,
    read_source,
)
from searcher.errors import Failure, InvalidInput
from searcher.models.encoder import DualEncoder
from searcher.models.prompts import encode_labels, nearest
from searcher.progress import SILENT, Progress
from searcher.vectors.pipeline import embed_files

SCORES_AT_ONCE = 1 << 24  # float32 scores in memory at once: 64 MB
TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class ZeroShot:
    """The result of zero-shot classification of `n` photos.

    top1, top5: shares of photos whose true label is the nearest, or one of the five nearest.
    templates: the number of templates.
    bare: top-1 and top-5 with the names alone as prompts. None if the prompts were the names alone, or if this was not
    measured.
    labels: label names. truth, predicted: int64 (n,), indexes into `labels`.
    """

    dataset: Path
    n: int
    top1: float
    top5: float
    templates: int
    bare: tuple[float, float] | None
    labels: list[str]
    truth: np.ndarray
    predicted: np.ndarray
    failures: list[Failure]

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
            **_failures_as_dict(self.failures),
        }


@dataclass(frozen=True)
class Recall:
    """Shares of queries with a correct result among the nearest 1, 5 and 10."""

    r1: float
    r5: float
    r10: float

    @classmethod
    def of(cls, ranks: np.ndarray) -> "Recall":
        """Compute recall from ranks (queries,): the rank of the best correct result of each query, from 0."""
        return cls(*(float((ranks < k).mean()) for k in (1, 5, 10)))

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

    def as_dict(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {
            "dataset": str(self.dataset),
            "n": self.n,
            "captions": self.captions,
            "text_to_image": self.text_to_image.as_dict(),
            "image_to_text": self.image_to_text.as_dict(),
            **_failures_as_dict(self.failures),
        }


def read_data(path: Path) -> ClassFolder | Source:
    """Read class folders, or pairs from a file or from a folder of photos with captions.

    Raises NotFound or InvalidInput if the data cannot be read.
    """
    if path.is_dir() and not holds_photos(path):
        return read_class_folder(path)
    return read_source(path)


def zero_shot(
    model: DualEncoder,
    classes: ClassFolder,
    *,
    templates: Sequence[str] = ENSEMBLE,
    labels: Sequence[Label] | None = None,
    compare_bare: bool = True,
    progress: Progress = SILENT,
) -> ZeroShot:
    """Predict the nearest label of each photo in class folders, and compare it with the name of the photo's folder.

    labels: the labels to choose from, which must include the name of each folder. Default: the folder names.
    compare_bare: whether to measure the names alone, too. progress: counts prompts, then photos. Of the model, only
    `dim`, `image_size`, `preprocess`, `encode_pixels` and `encode_texts` are used.

    Raises InvalidInput if a folder has no label or no photo can be read.
    """
    labels = list(labels) if labels else [Label(name, (name,)) for name in dict.fromkeys(classes.names)]
    row = {label.name.replace("_", " "): number for number, label in enumerate(labels)}
    strangers = [name for name in classes.names if name not in row]
    if strangers:
        raise InvalidInput(f"{classes.path}: no label for the folder {strangers[0]!r}")
    prompts = encode_labels(model, labels, templates, progress)
    names_alone = [replace(label, templates=BARE) for label in labels]
    asked_bare = tuple(templates) == BARE and not any(label.templates for label in labels)
    bare = encode_labels(model, names_alone) if compare_bare and not asked_bare else None
    files = [file for images in classes.images for file in images]
    numbers = [row[name] for name, images in zip(classes.names, classes.images, strict=True) for _ in images]
    images = _embed(model, files, progress)
    truth = np.array(numbers)[images.kept]
    predicted, (top1, top5) = _accuracy(images.vectors, prompts, truth)
    return ZeroShot(
        dataset=classes.path.absolute(),
        n=len(truth),
        top1=top1,
        top5=top5,
        templates=len(templates),
        bare=None if bare is None else _accuracy(images.vectors, bare, truth)[1],
        labels=[label.name for label in labels],
        truth=truth,
        predicted=predicted,
        failures=[Failure(str(classes.path.absolute()), reason) for reason in classes.bad] + images.failures,
    )


def retrieval(model: DualEncoder, source: Source, *, progress: Progress = SILENT) -> Retrieval:
    """Search each caption's photo among all photos, and each photo's captions among all captions.

    For a photo with several captions, any of them is a correct result. A caption of several photos is one query, and
    any of these photos is a correct result. progress: counts photos, then captions. The model is used as by
    `zero_shot`.

    Raises InvalidInput if no photo can be read.
    """
    images = _embed(model, [pair.image for pair in source.pairs], progress)
    pairs = [source.pairs[number] for number in images.kept]
    number = {text: n for n, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair.captions))}
    texts = _encode_texts(model, list(number), progress)
    of_image = np.array([i for i, pair in enumerate(pairs) for _ in pair.captions])
    of_text = np.array([number[text] for pair in pairs for text in pair.captions])
    return Retrieval(
        dataset=source.path.absolute(),
        n=len(pairs),
        captions=len(number),
        text_to_image=Recall.of(best_ranks(texts, images.vectors, of_text, of_image)),
        image_to_text=Recall.of(best_ranks(images.vectors, texts, of_image, of_text)),
        failures=[Failure(str(source.path.absolute()), reason) for reason in source.bad] + images.failures,
    )


def best_ranks(queries: np.ndarray, items: np.ndarray, of_query: np.ndarray, of_item: np.ndarray) -> np.ndarray:
    """For each query, count the items that are nearer than its nearest correct item. Returns int64 (m,).

    queries: (m, dim). items: (n, dim). of_query, of_item: integers (pairs,). Item `of_item[k]` is a correct result of
    query `of_query[k]`. Each query has at least one correct item. If two items are equally near, the first one counts
    as nearer. Memory use is bounded.
    """
    queries, items = queries.astype(np.float32), items.astype(np.float32)
    order = np.argsort(of_query, kind="stable")
    of_query, of_item = of_query[order], of_item[order]
    step = max(1, SCORES_AT_ONCE // len(items))
    ranks = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ items.T
        few = slice(*np.searchsorted(of_query, [start, start + len(scores)]))
        rows, right = of_query[few] - start, of_item[few]
        best = np.full((len(scores), 1), -np.inf, np.float32)
        np.maximum.at(best[:, 0], rows, scores[rows, right])
        place = np.full((len(scores), 1), len(items))
        equal = scores[rows, right] == best[rows, 0]
        np.minimum.at(place[:, 0], rows[equal], right[equal])
        nearer = (scores > best) | ((scores == best) & (np.arange(len(items)) < place))
        ranks[start : start + step] = nearer.sum(axis=1)
    return ranks


@dataclass
class _Images:
    """The files that could be read. kept: their indexes. vectors: their embeddings, float16 (n, dim)."""

    kept: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)

    @cached_property
    def vectors(self) -> np.ndarray:
        return np.stack(self.rows)


def _embed(model: DualEncoder, files: Sequence[Path | str], progress: Progress) -> _Images:
    images = _Images()
    with closing(embed_files(model, files)) as found:
        for number, embedded in enumerate(found):
            if embedded.vector is None:
                images.failures.append(Failure(str(Path(embedded.key).absolute()), embedded.error or ""))
            else:
                images.kept.append(number)
                images.rows.append(embedded.vector.astype(np.float16))  # as the catalog stores it
            progress.advance(number + 1, len(files))
    if not images.kept:
        raise InvalidInput(f"no photo can be read; the first error is {files[0]}: {images.failures[0].error}")
    return images


def _encode_texts(model: DualEncoder, texts: list[str], progress: Progress) -> np.ndarray:
    parts = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        parts.append(model.encode_texts(texts[start : start + TEXTS_AT_ONCE]))
        progress.advance(min(start + TEXTS_AT_ONCE, len(texts)), len(texts))
    return np.concatenate(parts)


def _accuracy(images: np.ndarray, labels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The predicted label of each image, int64 (n,), and top-1 and top-5 as shares."""
    predicted = nearest(images, labels)
    ranks = best_ranks(images, labels, np.arange(len(truth)), truth)
    return predicted, (float((predicted == truth).mean()), float((ranks < 5).mean()))


def _failures_as_dict(failures: list[Failure]) -> dict[str, Any]:
    return {"failed": len(failures), "failures": [failure.as_dict() for failure in failures]}
