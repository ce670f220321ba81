"""Questions put to photos that are in no library."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searcher.photos.ahead import ahead
from searcher.photos.decode import PhotoError, open_photo
from searcher.tagger.answers import Scorer, answer
from searcher.tagger.question import Question
from searcher.tagger.scorer import NoCache, Taught, make_scorer

if TYPE_CHECKING:
    from searcher.models import Model

BATCH = 32


class Classified(NamedTuple):
    """A photo's absolute path and the labels that it was given, most probable first; or why it cannot be read."""

    path: str
    tags: tuple[tuple[str, float], ...]
    error: str | None = None


def classify(
    model: "Model", question: Question, paths: Iterable[Path], taught: Mapping[str, Taught] | None = None
) -> Iterator[Classified]:
    """The labels of image files, in their order. `taught`: those of the question's labels that were taught."""
    scorer = make_scorer(question, model, taught or {}, NoCache())

    def read(path: Path) -> tuple[Path, np.ndarray | str]:
        try:
            return path, model.preprocess(open_photo(path, min_side=model.image_size).image)
        except PhotoError as error:
            return path, error.reason

    batch: list[tuple[Path, np.ndarray | str]] = []
    with closing(ahead(read, paths)) as reads:
        for found in reads:
            batch.append(found)
            if len(batch) == BATCH:
                yield from _answered(model, question, scorer, batch)
                batch = []
    yield from _answered(model, question, scorer, batch)


def _answered(
    model: "Model", question: Question, scorer: Scorer, batch: Sequence[tuple[Path, np.ndarray | str]]
) -> Iterator[Classified]:
    pixels = [found for _, found in batch if not isinstance(found, str)]
    tags: list[list[tuple[str, float]]] = [[] for _ in pixels]
    if pixels:
        answers = answer(model.encode_pixels(np.stack(pixels)), scorer, question.most)
        chances = np.round(answers.probabilities.astype(np.float64), 6)
        for row, label, chance in zip(answers.rows.tolist(), answers.labels.tolist(), chances.tolist(), strict=True):
            tags[row].append((question.labels[label].name, chance))
    given = iter(tags)
    for path, found in batch:
        where = os.path.abspath(path)  # noqa: PTH100  without following links, and any bytes
        yield Classified(where, (), found) if isinstance(found, str) else Classified(where, tuple(next(given)))
