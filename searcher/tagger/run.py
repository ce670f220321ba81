# Paths are bytes here, since names need not be UTF-8, and pathlib knows no bytes.
# ruff: noqa: PTH118
"""Questions put to a whole library, from its stored embeddings: no photo is opened.

A run asks the embeddings block by block, in the order of their ids, and commits the answers with the id it has come
to: what is interrupted goes on from there, and a run that finds nothing new does nothing.
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

SCORES_AT_ONCE = 1 << 22  # scores of one block: 16 MB of float32
MOST_ROWS = 8192
COMMIT_EMBEDDINGS = 65_536  # embeddings, or
COMMIT_RESULTS = 500_000  # tags, between two commits
IMAGES_AT_ONCE = 4096


class Target(Protocol):
    """What a run needs of a library."""

    folder: Path

    @property
    def model(self) -> "Model": ...

    def reader(self) -> "Reader": ...


class TagReport(NamedTuple):
    """`asked`: embeddings that this run asked; `photos`: all that the library holds; `tagged`: label → photos that have
    it now, most first, labels of the question that none has at the end; `calibrated`: whether the labels were given
    by a threshold that was measured."""

    asked: int
    photos: int
    tagged: dict[str, int]
    calibrated: bool


class Tagged(NamedTuple):
    """A photo and the labels it was given, most probable first."""

    photo: PhotoAt
    tags: tuple[tuple[str, float], ...]

    @property
    def path(self) -> str:
        """The absolute path, names that are not UTF-8 with surrogate escapes."""
        return os.fsdecode(self.path_bytes)

    @property
    def path_bytes(self) -> bytes:
        return os.path.join(self.photo.root, self.photo.relpath)


def tag(library: Target, question: Question, progress: Progress, notice: Notice) -> TagReport:
    """Ask every photo that was not asked yet, and store the answers. Raises SearcherError."""
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
    """Put every question that was put to the library before to the photos that came since; returns how many photos
    were asked, the most by any question."""
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
    """Remove what runs gave for the labels `names` (None: for all); returns how many tags were removed. What a person
    gave stays. Raises SearcherError for a name that is no label."""
    from searcher.catalog.tag_writer import TagWriter
    from searcher.catalog.writer import Writer

    tags = TagReader(library.reader())
    ids = {label.name: label.id for label in tags.labels().values()}
    if names is not None:
        ids = {name: id for name, id in ids.items() if name in set(names)}
        if missing := [name for name in names if name not in ids]:
            raise SearcherError(f"no photo was ever given the label {missing[0]!r}")
    with closing(Writer(library.folder, notice)) as writer, writer.transaction():
        changes = TagWriter(writer)
        _replace(changes, tags, frozenset(ids.values()))
        return changes.clear(ids.values())


def tagged_photos(library: Target, names: Sequence[str]) -> Iterator[Tagged]:
    """Every photo with those of the labels `names` that runs gave it, by id."""
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
    """What `tag` and then `tagged_photos` would say, with nothing stored."""
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
    """The library's model; SearcherError before the first index run."""
    row = library.reader().model()
    if row is None:
        raise SearcherError(f"no photos are indexed in {library.folder} yet: begin with `searcher index FOLDER`")
    return row


def taught_labels(library: Target, question: Question) -> dict[str, Taught]:
    """Those of a question's labels that were taught, as the library's model sees them."""
    known = TagReader(library.reader()).taught()
    names = [name for name in question.names if name in known]
    if not names:
        return {}
    from searcher.tagger.teach import classifier

    return {name: classifier(library, name) for name in names}


class StoredVectors:
    """The vectors that a library's catalog keeps for its model. Without a writer nothing is added."""

    def __init__(self, library: Target, changes: "TagWriter | None") -> None:
        self._tags, self._row, self._changes = TagReader(library.reader()), model_row(library), changes

    def get(self, keys: Sequence[str]) -> Mapping[str, np.ndarray]:
        return self._tags.prompts(keys, self._row)

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        if self._changes is not None:
            with self._changes.writer.transaction():
                self._changes.add_prompts(vectors, self._row.id)


def _basis(library: Target, question: Question) -> str:
    """A digest of what decides the answers beside the question itself."""
    row, names = model_row(library), set(question.names)
    taught = {name: state for name, state in TagReader(library.reader()).taught().items() if name in names}
    bar = {} if question.one else thresholds(library.model)
    return digest(repr((row.digest, sorted(taught.items()), sorted(bar.items()), BACKGROUND)))


def _start(changes: "TagWriter", tags: TagReader, question: Question, basis: str) -> None:
    """Put a question from the beginning: earlier ones do not speak for its labels any more."""
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
    """Ask what a question has not asked yet, and commit the answers; returns how many embeddings it asked."""
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
    """Number of the label in the question → its id, for the labels that the run still speaks for."""
    ids = tags.label_ids(question.names)
    return {number: ids[name] for number, name in enumerate(question.names) if ids[name] not in run.replaced}


def _answers(
    tags: TagReader, row: ModelRow, scorer: Scorer, most: int, after: int
) -> Iterator[tuple[np.ndarray, np.ndarray, Answers]]:
    """Blocks of embedding ids, content ids and answers, from the id `after` on."""
    rows = max(1, min(MOST_ROWS, SCORES_AT_ONCE // len(scorer.weights)))
    while True:
        ids, contents, vectors = tags.block(row, after, rows)
        if not len(ids):
            return
        after = int(ids[-1])
        yield ids, contents, answer(vectors, scorer, most)


def _triples(contents: np.ndarray, answers: Answers) -> Iterator[tuple[int, int, float]]:
    """(content id, number of the label, probability)."""
    chances = np.round(answers.probabilities.astype(np.float64), 6)
    return zip(contents[answers.rows].tolist(), answers.labels.tolist(), chances.tolist(), strict=True)


def _tagged(tags: TagReader, question: Question) -> dict[str, int]:
    ids = tags.label_ids(question.names)
    counts = tags.photos_with(ids.values())
    found = {name: counts.get(ids.get(name, 0), 0) for name in question.names}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
