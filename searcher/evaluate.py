"""How well a model does: zero-shot accuracy on class folders, recall@k on pairs of images and captions.

Images go the way that `index` takes them, and are rounded as it stores them, so that the numbers are those of
searching and tagging. No torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from searcher.datasets.labels import Label
from searcher.datasets.pairs import ClassFolder, Source, holds_photos, read_class_folder, read_source
from searcher.datasets.templates import BARE, ENSEMBLE
from searcher.errors import SearcherError
from searcher.models.files import embed_files
from searcher.models.prompts import encode_labels, nearest

if TYPE_CHECKING:
    from searcher.models import Model

Progress = Callable[[int, int | None], None]

SCORES_AT_ONCE = 1 << 24  # numbers; 64 MB


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo or a record that could not be used."""

    path: str
    error: str


@dataclass(frozen=True)
class ZeroShot:
    """Zero-shot classification of `n` photos: the shares whose label is the nearest, and among the nearest five.

    labels: names; truth and predicted: int64 (n,), numbers of labels. templates: how many; bare: top-1 and top-5 with
    the bare names, None if that is what was asked.
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
        """int64 (labels, labels): photos by what they are (row) and what they are taken for (column)."""
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
    """Shares of queries with a right answer among the nearest 1, 5 and 10."""

    r1: float
    r5: float
    r10: float

    @classmethod
    def of(cls, ranks: np.ndarray) -> "Recall":
        """From each query's rank of its best right answer, 0 for the nearest."""
        return cls(*(float((ranks < k).mean()) for k in (1, 5, 10)))

    def as_dict(self) -> dict[str, float]:
        return {"r1": self.r1, "r5": self.r5, "r10": self.r10}


@dataclass(frozen=True)
class Retrieval:
    """Finding `n` photos by their captions, and captions by their photo."""

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
    """Class folders, or pairs: a file of them, or a folder of photos with captions. Raises SearcherError."""
    if path.is_dir() and not holds_photos(path):
        return read_class_folder(path)
    return read_source(path)


def zero_shot(
    model: "Model",
    classes: ClassFolder,
    *,
    templates: Sequence[str] = ENSEMBLE,
    labels: Sequence[Label] | None = None,
    progress: Progress | None = None,
) -> ZeroShot:
    """Give each photo in class folders the nearest of the labels, and count how often that is its folder's name.

    labels: without them, the names of the folders; else those, among which each folder's name must be.
    progress(done, total): prompts, then photos. Raises SearcherError when nothing can be evaluated.
    """
    labels = list(labels) if labels else [Label(name, (name,)) for name in dict.fromkeys(classes.names)]
    row = {label.name.replace("_", " "): number for number, label in enumerate(labels)}
    strangers = [name for name in classes.names if name not in row]
    if strangers:
        raise SearcherError(f"{classes.path}: no label for the folder {strangers[0]!r}")
    prompts = encode_labels(model, labels, templates, progress)
    names_alone = [replace(label, templates=BARE) for label in labels]
    asked_bare = tuple(templates) == BARE and not any(label.templates for label in labels)
    bare = None if asked_bare else encode_labels(model, names_alone)
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
        failures=images.failures,
    )


def retrieval(model: "Model", source: Source, *, progress: Progress | None = None) -> Retrieval:
    """Search each caption's photo among all photos, and each photo's captions among all captions.

    A photo with several captions finds any of them. A caption of several photos is one query, and finds any of them.
    progress(done, total): photos, then captions. Raises SearcherError when no photo can be read.
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
    """How many items are nearer to each query than the nearest of its right ones; int64 (queries,).

    queries (m, dim), items (n, dim); `of_query[k]`, `of_item[k]` say that this item is right for this query; each query
    has one at least. Of items that are equally near, the first one is nearer. Memory is bounded.
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
    """Those of the files that could be read: their numbers, and their embeddings (n, dim), float16."""

    kept: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)

    @cached_property
    def vectors(self) -> np.ndarray:
        return np.stack(self.rows)


def _embed(model: "Model", files: Sequence[Path | str], progress: Progress | None) -> _Images:
    images = _Images()
    for number, embedded in enumerate(embed_files(model, files)):
        if embedded.vector is None:
            images.failures.append(Failure(str(Path(embedded.path).absolute()), embedded.error or ""))
        else:
            images.kept.append(number)
            images.rows.append(embedded.vector)
        if progress is not None:
            progress(number + 1, len(files))
    if not images.kept:
        raise SearcherError(f"no photo can be read; the first is {files[0]}: {images.failures[0].error}")
    return images


def _encode_texts(model: "Model", texts: list[str], progress: Progress | None) -> np.ndarray:
    parts = []
    for start in range(0, len(texts), 1024):
        parts.append(model.encode_texts(texts[start : start + 1024]))
        if progress is not None:
            progress(min(start + 1024, len(texts)), len(texts))
    return np.concatenate(parts)


def _accuracy(images: np.ndarray, labels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """What each image is taken for, and top-1 and top-5 as shares."""
    predicted = nearest(images, labels)
    ranks = best_ranks(images, labels, np.arange(len(truth)), truth)
    return predicted, (float((predicted == truth).mean()), float((ranks < 5).mean()))


def _failures_as_dict(failures: list[Failure]) -> dict[str, Any]:
    rows = [{"path": failure.path, "error": failure.error} for failure in failures]
    return {"failed": len(rows), "failures": rows}
