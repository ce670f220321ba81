"""Labels photo files that do not have to be in a library."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searcher.catalog.rows import PhotoTag
from searcher.tagger.answers import answer
from searcher.tagger.question import Question
from searcher.tagger.scorer import make_scorer
from searcher.tagger.taught import Taught, sources
from searcher.vectors.pipeline import BATCH_SIZE, embed_files

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


class Classified(NamedTuple):
    """A photo's absolute path and its labels, most probable first.

    If the photo cannot be read, `error` says why, and there are no labels.
    """

    path: str
    tags: tuple[PhotoTag, ...]
    error: str | None = None


def classify(
    model: "DualEncoder", question: Question, paths: Iterable[Path], taught: Mapping[str, Taught] | None = None
) -> Iterator[Classified]:
    """Yield the labels of image files, in the order of `paths`.

    taught: label → classifier, for those of the question's labels that were taught.
    """
    taught = taught or {}
    scorer = make_scorer(question, model, taught)
    names, source_of = question.names, sources(question, taught)
    with closing(embed_files(model, paths)) as embedded:
        while batch := list(islice(embedded, BATCH_SIZE)):
            vectors = [photo.vector for photo in batch if photo.vector is not None]
            tags: list[list[PhotoTag]] = [[] for _ in vectors]
            if vectors:
                for index, number, probability in answer(np.stack(vectors), scorer, question.most).entries():
                    tags[index].append(PhotoTag(names[number], source_of[number], probability))
            given = iter(tags)
            for photo in batch:
                path = os.path.abspath(photo.key)  # noqa: PTH100  does not follow links, allows any bytes
                yield Classified(path, () if photo.vector is None else tuple(next(given)), photo.error)
