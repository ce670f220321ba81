# Paths are bytes here because names need not be UTF-8, and pathlib does not support bytes.
# ruff: noqa: PTH118
"""Answers a question for a whole library, from its stored embeddings. No photo is opened.

A run reads the embeddings block by block, in the order of their ids. It commits the answers together with the last id
it has read. An interrupted run continues from that id, and a run that finds nothing new does nothing.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from searcher.catalog.records import TAUGHT, ZERO_SHOT, ModelRow
from searcher.catalog.tags import PhotoAt, RunRow, TagReader
from searcher.errors import SearcherError
from searcher.tagger.answers import Answers, Scorer, answer
from searcher.tagger.question import Question, digest, parents, read_definition, thresholds
from searcher.tagger.scorer import BACKGROUND, Taught, is_calibrated, make_scorer

if TYPE_CHECKING:
    from searcher.catalog.reader import Reader
    from searcher.catalog.tag_writer import TagWriter
    from searcher.models import Model

Progress = Callable[[int, int | None], None]
Notice = Callable[[str], None]

SCORES_AT_ONCE = 1 << 22  # scores per block: 16 MB of float32
MOST_ROWS = 8192
COMMIT_EMBEDDINGS = 65_536  # commit after this many embeddings
COMMIT_RESULTS = 500_000  # or after this many tags
IMAGES_AT_ONCE = 4096


class Target(Protocol):
    """The part of a library that a run needs."""

    folder: Path

    @property
    def model(self) -> "Model": ...

    def reader(self) -> "Reader": ...


class TagReport(NamedTuple):
    """The result of a run.

    `asked`: the number of embeddings that this run checked. `photos`: the number of embeddings in the library.
    `tagged`: label → number of photos that have it now, in descending order. Labels of the question that no photo has
    come last. `calibrated`: whether the model has a measured threshold. True with `one`, which needs none.
    """

    asked: int
    photos: int
    tagged: dict[str, int]
    calibrated: bool


class Tagged(NamedTuple):
    """A photo and its labels with their probabilities, most probable first."""

    photo: PhotoAt
    tags: tuple[tuple[str, float], ...]

    @property
    def path(self) -> str:
        """The absolute path. Bytes that are not UTF-8 become surrogate escapes."""
        return os.fsdecode(self.path_bytes)

    @property
    def path_bytes(self) -> bytes:
        return os.path.join(self.photo.root, self.photo.relpath)


def tag(library: Target, question: Question, progress: Progress, notice: Notice) -> TagReport:
    """Answer a question for all photos that have no answer to it yet, and store the answers.

    progress: called with the numbers of embeddings that are done, and in total. notice: called with messages for the
    user. Raises SearcherError if no photos are indexed, or if the catalog cannot be read or written.
    """
    tags, row = TagReader(library.reader()), model_row(library)
    run, basis = tags.run(question.key()), _basis(library, question)
    again = run is None or run.replaced or run.basis != basis
    asked = 0
    if again or (run is not None and tags.has_embedding_after(row.id, run.last_id)):
        from searcher.catalog.tag_writer import TagWriter
        from searcher.catalog.writer import Writer

        with closing(Writer(library.folder, notice)) as writer:
            if again:
                with writer.transaction():
                    _start(TagWriter(writer), tags, question, basis)
            asked = _ask_new(library, TagWriter(writer), question, progress)
    photos = library.reader().embedding_count(row.id)
    return TagReport(asked, photos, _tagged(tags, question), is_calibrated(question, library.model))


def tag_new(library: Target, progress: Progress, notice: Notice) -> int:
    """Answer all earlier questions for the photos that were added since.

    Returns the number of embeddings that were checked. If there are several questions, it is the largest number.
    Raises SearcherError like `tag`.
    """
    from searcher.catalog.tag_writer import TagWriter
    from searcher.catalog.writer import Writer

    tags, row = TagReader(library.reader()), model_row(library)
    asked = 0
    for run in tags.runs():
        question = read_definition(run.definition)
        basis = _basis(library, question)
        if run.basis == basis and not tags.has_embedding_after(row.id, run.last_id):
            continue
        with closing(Writer(library.folder, notice)) as writer:
            if run.basis != basis:
                with writer.transaction():
                    TagWriter(writer).restart_run(run.key, basis)
            asked = max(asked, _ask_new(library, TagWriter(writer), question, progress))
    return asked


def clear(library: Target, names: Sequence[str] | None, notice: Notice) -> int:
    """Remove the tags that runs gave for the labels `names`, or for all labels if `names` is None.

    Tags that a person added stay. Returns how many tags were removed. Raises SearcherError if a name is not a label.
    """
    from searcher.catalog.tag_writer import TagWriter
    from searcher.catalog.writer import Writer

    tags = TagReader(library.reader())
    ids = {label.name: label.id for label in tags.labels().values()}
    if names is not None:
        ids = {name: id for name, id in ids.items() if name in set(names)}
        if missing := [name for name in names if name not in ids]:
            raise SearcherError(f"no such label: {missing[0]!r}; `searcher tags` lists the labels")
    with closing(Writer(library.folder, notice)) as writer, writer.transaction():
        changes = TagWriter(writer)
        _replace(changes, tags, frozenset(ids.values()))
        return changes.clear(ids.values())


def tagged_photos(library: Target, names: Sequence[str]) -> Iterator[Tagged]:
    """Yield all photos in the order of their ids. Each has those of the labels `names` that runs gave to it."""
    tags = TagReader(library.reader())
    wanted = {id: name for name, id in tags.label_ids(names).items()}
    after = 0
    while photos := tags.images(after, IMAGES_AT_ONCE):
        after = photos[-1].id
        given: dict[int, list[tuple[str, float]]] = {}
        for content_id, label_id, chance in tags.results(sorted({photo.content_id for photo in photos})):
            if label_id in wanted:
                given.setdefault(content_id, []).append((wanted[label_id], chance))
        yield from (Tagged(photo, tuple(given.get(photo.content_id, ()))) for photo in photos)


def would_tag(library: Target, question: Question, progress: Progress) -> Iterator[Tagged]:
    """Yield the photos and labels that `tagged_photos` would yield after `tag`, but store nothing.

    The photos come in a different order.
    """
    tags = TagReader(library.reader())
    row = model_row(library)
    scorer = make_scorer(question, library.model, taught_labels(library, question), StoredVectors(library, None))
    total, done = library.reader().embedding_count(row.id), 0
    for _, contents, answers in _answers(tags, row, scorer, question.most, 0):
        given: dict[int, list[tuple[str, float]]] = {}
        for content_id, label, chance in _triples(contents, answers):
            given.setdefault(content_id, []).append((question.labels[label].name, chance))
        for photo in tags.images_of(contents.tolist()):
            yield Tagged(photo, tuple(given.get(photo.content_id, ())))
        done += len(contents)
        progress(done, total)


def model_row(library: Target) -> ModelRow:
    """The library's model. Raises SearcherError if no photos are indexed yet."""
    row = library.reader().model()
    if row is None:
        raise SearcherError(f"no photos are indexed in {library.folder} yet; run `searcher index FOLDER` first")
    return row


def taught_labels(library: Target, question: Question) -> dict[str, Taught]:
    """Map those of a question's labels that were taught to their classifiers for the library's model."""
    known = TagReader(library.reader()).taught()
    names = [name for name in question.names if name in known]
    if not names:
        return {}
    from searcher.tagger.teach import classifier

    return {name: classifier(library, name) for name in names}


class StoredVectors:
    """A `Cache` in the library's catalog, for the library's model. Without `changes`, it is read-only."""

    def __init__(self, library: Target, changes: "TagWriter | None") -> None:
        self._tags, self._row, self._changes = TagReader(library.reader()), model_row(library), changes

    def get(self, keys: Sequence[str]) -> Mapping[str, np.ndarray]:
        return self._tags.prompts(keys, self._row)

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        if self._changes is not None:
            with self._changes.writer.transaction():
                self._changes.add_prompts(vectors, self._row.id)


def _basis(library: Target, question: Question) -> str:
    """A digest of everything that affects the answers, except the question itself."""
    row, names = model_row(library), set(question.names)
    taught = {name: state for name, state in TagReader(library.reader()).taught().items() if name in names}
    bar = {} if question.one else thresholds(library.model)
    return digest(repr((row.digest, sorted(taught.items()), sorted(bar.items()), BACKGROUND)))


def _start(changes: "TagWriter", tags: TagReader, question: Question, basis: str) -> None:
    """Start a question from the beginning. Earlier questions then no longer set any of its labels."""
    ids = changes.add_labels(parents(question.labels))
    _replace(changes, tags, frozenset(ids[name] for name in question.names), but=question.key())
    changes.start_run(question.key(), question.definition(), basis)


def _replace(changes: "TagWriter", tags: TagReader, ids: frozenset[int], but: str | None = None) -> None:
    for run in tags.runs():
        if run.key == but:
            continue
        own = set(tags.label_ids(read_definition(run.definition).names).values())
        if own <= ids | run.replaced:
            changes.remove_run(run)
        elif own & ids:
            changes.replace_labels(run, own & ids)


def _ask_new(library: Target, changes: "TagWriter", question: Question, progress: Progress) -> int:
    """Answer a question for the embeddings that it has not checked yet, and commit. Returns their number."""
    tags, row = TagReader(library.reader()), model_row(library)
    run = tags.run(question.key())
    assert run is not None
    speaks = _labels_of(tags, question, run)
    taught = taught_labels(library, question)
    sources = [TAUGHT if name in taught else ZERO_SHOT for name in question.names]
    scorer = make_scorer(question, library.model, taught, StoredVectors(library, changes))
    total = library.reader().embedding_count(row.id, after=run.last_id)
    done, last_id = 0, run.last_id
    contents: list[int] = []
    results: list[tuple[int, int, str, float]] = []

    def commit() -> None:
        with changes.writer.transaction():
            changes.put_results(contents, speaks.values(), results, row.id)
            changes.advance_run(run.key, last_id)
        contents.clear()
        results.clear()

    for ids, block, answers in _answers(tags, row, scorer, question.most, run.last_id):
        results += (
            (content_id, speaks[label], sources[label], chance)
            for content_id, label, chance in _triples(block, answers)
            if label in speaks
        )
        contents += block.tolist()
        last_id = int(ids[-1])
        done += len(ids)
        if len(contents) >= COMMIT_EMBEDDINGS or len(results) >= COMMIT_RESULTS:
            commit()
        progress(done, total)
    commit()
    return done


def _labels_of(tags: TagReader, question: Question, run: RunRow) -> dict[int, int]:
    """Map the index of a label in the question to the label's id, for the labels that the run still sets."""
    ids = tags.label_ids(question.names)
    return {number: ids[name] for number, name in enumerate(question.names) if ids[name] not in run.replaced}


def _answers(
    tags: TagReader, row: ModelRow, scorer: Scorer, most: int, after: int
) -> Iterator[tuple[np.ndarray, np.ndarray, Answers]]:
    """Yield blocks of embedding ids, content ids and answers, for embedding ids greater than `after`."""
    rows = max(1, min(MOST_ROWS, SCORES_AT_ONCE // len(scorer.weights)))
    while True:
        ids, contents, vectors = tags.block(row, after, rows)
        if not len(ids):
            return
        after = int(ids[-1])
        yield ids, contents, answer(vectors, scorer, most)


def _triples(contents: np.ndarray, answers: Answers) -> Iterator[tuple[int, int, float]]:
    """Triples of content id, index of the label, and probability."""
    chances = np.round(answers.probabilities.astype(np.float64), 6)
    return zip(contents[answers.rows].tolist(), answers.labels.tolist(), chances.tolist(), strict=True)


def _tagged(tags: TagReader, question: Question) -> dict[str, int]:
    ids = tags.label_ids(question.names)
    counts = tags.photos_with(ids.values())
    found = {name: counts.get(ids.get(name, 0), 0) for name in question.names}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
