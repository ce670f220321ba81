"""Measures models: zero-shot accuracy on class folders, and recall@k on pairs of images and captions.

Several models are measured on the same photos, so that `compare` can pair their results. Images are embedded and
rounded in the same way as by `index`, so the results apply to searching and tagging.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

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
from searcher.evaluate.results import Recall, Retrieval, ZeroShot
from searcher.models.encoder import DualEncoder
from searcher.models.prompts import encode_labels, nearest
from searcher.progress import SILENT, Progress
from searcher.vectors.pipeline import embed_files

SCORES_AT_ONCE = 1 << 24  # float32 scores in memory at once: 64 MB
TEXTS_AT_ONCE = 1024


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
    return zero_shots(
        [model], classes, templates=templates, labels=labels, compare_bare=compare_bare, progress=progress
    )[0]


def zero_shots(
    models: Sequence[DualEncoder],
    classes: ClassFolder,
    *,
    templates: Sequence[str] = ENSEMBLE,
    labels: Sequence[Label] | None = None,
    compare_bare: bool = True,
    progress: Progress = SILENT,
) -> list[ZeroShot]:
    """Like `zero_shot` for several models. All results are for the same photos in the same order."""
    labels = list(labels) if labels else [Label(name, (name,)) for name in dict.fromkeys(classes.names)]
    row = {label.name.replace("_", " "): number for number, label in enumerate(labels)}
    strangers = [name for name in classes.names if name not in row]
    if strangers:
        raise InvalidInput(f"{classes.path}: no label for the folder {strangers[0]!r}")
    prompts = [encode_labels(model, labels, templates, progress) for model in models]
    names_alone = [replace(label, templates=BARE) for label in labels]
    asked_bare = tuple(templates) == BARE and not any(label.templates for label in labels)
    use_bare = compare_bare and not asked_bare
    bare = [encode_labels(model, names_alone) if use_bare else None for model in models]
    files = [file for images in classes.images for file in images]
    numbers = [row[name] for name, images in zip(classes.names, classes.images, strict=True) for _ in images]
    images = embed(models, files, progress)
    truth = np.array(numbers)[images.kept]

    def result(vectors: np.ndarray, prompts: np.ndarray, bare: np.ndarray | None) -> ZeroShot:
        found = ZeroShot(
            dataset=classes.path.absolute(),
            n=len(truth),
            templates=len(templates),
            bare=None,
            labels=[label.name for label in labels],
            truth=truth,
            predicted=nearest(vectors, prompts),
            ranks=best_ranks(vectors, prompts, np.arange(len(truth)), truth),
            failures=[Failure(str(classes.path.absolute()), reason) for reason in classes.bad] + images.failures,
        )
        if bare is None:
            return found
        alone = result(vectors, bare, None)
        return replace(found, bare=(alone.top1, alone.top5))

    return [result(*each) for each in zip(images.vectors, prompts, bare, strict=True)]


def retrieval(model: DualEncoder, source: Source, *, progress: Progress = SILENT) -> Retrieval:
    """Search each caption's photo among all photos, and each photo's captions among all captions.

    For a photo with several captions, any of them is a correct result. A caption of several photos is one query, and
    any of these photos is a correct result. progress: counts photos, then captions. The model is used as by
    `zero_shot`.

    Raises InvalidInput if no photo can be read.
    """
    return retrievals([model], source, progress=progress)[0]


def retrievals(models: Sequence[DualEncoder], source: Source, *, progress: Progress = SILENT) -> list[Retrieval]:
    """Like `retrieval` for several models. All results are for the same photos and captions in the same order."""
    images = embed(models, [pair.image for pair in source.pairs], progress)
    pairs = [source.pairs[number] for number in images.kept]
    number = {text: n for n, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair.captions))}
    of_image = np.array([i for i, pair in enumerate(pairs) for _ in pair.captions])
    of_text = np.array([number[text] for pair in pairs for text in pair.captions])
    first = np.full(len(number), len(pairs))  # the first photo of each caption
    np.minimum.at(first, of_text, of_image)
    results = []
    for model, vectors in zip(models, images.vectors, strict=True):
        texts = _encode_texts(model, list(number), progress)
        results.append(
            Retrieval(
                dataset=source.path.absolute(),
                n=len(pairs),
                captions=len(number),
                text_to_image=Recall(best_ranks(texts, vectors, of_text, of_image), first),
                image_to_text=Recall(best_ranks(vectors, texts, of_image, of_text)),
                failures=[Failure(str(source.path.absolute()), reason) for reason in source.bad] + images.failures,
            )
        )
    return results


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


@dataclass(frozen=True)
class Images:
    """The files that every model could read.

    kept: their indexes. vectors: for each model their embeddings, float16 (n, dim). failures: the other files.
    """

    kept: list[int]
    vectors: list[np.ndarray]
    failures: list[Failure]


def embed(models: Sequence[DualEncoder], files: Sequence[Path | str], progress: Progress) -> Images:
    found: list[dict[int, np.ndarray]] = [{} for _ in models]
    failures: dict[int, Failure] = {}
    for turn, (model, rows) in enumerate(zip(models, found, strict=True)):
        with closing(embed_files(model, files)) as stream:
            for number, embedded in enumerate(stream):
                if embedded.vector is None:
                    failure = Failure(str(Path(embedded.key).absolute()), embedded.error or "")
                    failures.setdefault(number, failure)
                else:
                    rows[number] = embedded.vector.astype(np.float16)  # as the catalog stores it
                progress.advance(turn * len(files) + number + 1, len(models) * len(files))
    # a file that takes too long to decode can fail for one model only
    kept = [number for number in range(len(files)) if number not in failures]
    bad = [failures[number] for number in sorted(failures)]
    if not kept:
        raise InvalidInput(f"no photo can be read; the first error is {files[0]}: {bad[0].error}")
    return Images(kept, [np.stack([rows[number] for number in kept]) for rows in found], bad)


def _encode_texts(model: DualEncoder, texts: list[str], progress: Progress) -> np.ndarray:
    parts = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        parts.append(model.encode_texts(texts[start : start + TEXTS_AT_ONCE]))
        progress.advance(min(start + TEXTS_AT_ONCE, len(texts)), len(texts))
    return np.concatenate(parts)
