"""Labels photo files that do not have to be in a library."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searcher.models.files import BATCH_SIZE, Embedded, embed_files
from searcher.tagger.answers import Scorer, answer
from searcher.tagger.question import Question
from searcher.tagger.scorer import NoCache, Taught, make_scorer

if TYPE_CHECKING:
    from searcher.models import Model


class Classified(NamedTuple):
    """A photo's absolute path and its labels with their probabilities, most probable first.

    If the photo cannot be read, `error` says why, and there are no labels.
    """

    path: str
    tags: tuple[tuple[str, float], ...]
    error: str | None = None


def classify(
    model: "Model", question: Question, paths: Iterable[Path], taught: Mapping[str, Taught] | None = None
) -> Iterator[Classified]:
    """Yield the labels of image files, in the order of `paths`.

    taught: label → classifier, for those of the question's labels that were taught.
    """
    scorer = make_scorer(question, model, taught or {}, NoCache())
    embedded = embed_files(model, paths)
    with closing(embedded):
        while batch := list(islice(embedded, BATCH_SIZE)):
            yield from _answered(question, scorer, batch)


def _answered(question: Question, scorer: Scorer, batch: Sequence[Embedded]) -> Iterator[Classified]:
    vectors = [photo.vector for photo in batch if photo.vector is not None]
    tags: list[list[tuple[str, float]]] = [[] for _ in vectors]
    if vectors:
        answers = answer(np.stack(vectors), scorer, question.most)
        chances = np.round(answers.probabilities.astype(np.float64), 6)
        for row, label, chance in zip(answers.rows.tolist(), answers.labels.tolist(), chances.tolist(), strict=True):
            tags[row].append((question.labels[label].name, chance))
    given = iter(tags)
    for photo in batch:
        where = os.path.abspath(photo.path)  # noqa: PTH100  does not follow links, allows any bytes
        yield Classified(where, () if photo.vector is None else tuple(next(given)), photo.error)
