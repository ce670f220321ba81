"""Answers a question for a whole library, from its stored embeddings. No photo is opened.

A run reads the embeddings block by block, in the order of their ids. It commits the answers together with the last id
it has read. An interrupted run continues from that id, and a run that finds nothing new does nothing.

A run decides about the labels of its question, until they are retracted: by `clear`, or by a later run with the same
labels. New photos get a label only from the run that decides about it.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from searcher.catalog import Catalog
from searcher.catalog.rows import Photo, PhotoTag, TagRun
from searcher.catalog.tagged import with_tags
from searcher.errors import NotFound
from searcher.progress import SILENT, Progress
from searcher.tagger.answers import Answers, answer
from searcher.tagger.context import Context
from searcher.tagger.prompts import StoredVectors
from searcher.tagger.question import Question, parents, read_definition
from searcher.tagger.scorer import Scorer, conditions_of, is_calibrated, make_scorer
from searcher.tagger.taught import sources, taught_labels

if TYPE_CHECKING:
    from searcher.catalog.read.tags import Tags
    from searcher.catalog.write.transaction import Transaction

SCORES_AT_ONCE = 1 << 22  # scores per block: 16 MB of float32
MOST_ROWS = 8192
COMMIT_EMBEDDINGS = 65_536  # commit after this many embeddings
COMMIT_RESULTS = 500_000  # or after this many tags


class AnyRun(Protocol):
    """A question that was put to a library, wherever that is kept: see `TagRun`."""

    @property
    def conditions(self) -> str: ...

    @property
    def retracted(self) -> Set[object]: ...


class TagReport(NamedTuple):
    """The result of a run.

    `asked`: the number of embeddings that this run checked. `photos`: the number of embeddings in the library.
    `tagged`: label → number of photos that have it now, in descending order. Labels of the question that no photo has
    come last. `calibrated`: whether relevance was measured on labelled photos; True with `one`.
    """

    asked: int
    photos: int
    tagged: dict[str, int]
    calibrated: bool


def tag(context: Context, question: Question, progress: Progress = SILENT) -> TagReport:
    """Answer a question for all photos that have no answer to it yet, and store the answers.

    progress: counts embeddings, and gets a notice if another writer must be waited for. Raises SearcherError if the
    catalog cannot be read or written.
    """
    catalog, row = context.catalog, context.row
    with catalog.read() as view:
        conditions = conditions_of(question, context.model, view.tags.taught())
        run = view.tags.run(question.key())
        to_start = not is_current(run, conditions)
        to_ask = to_start or (run is not None and view.embeddings.any_after(row.id, run.last_id))
    if to_start:
        with catalog.write(progress) as change:
            if not is_current(change.view.tags.run(question.key()), conditions):
                _start(change, question, conditions)
    asked = _ask_new(context, question, conditions, progress) if to_ask else 0
    with catalog.read() as view:
        photos = view.embeddings.count(row.id)
        ids = view.tags.label_ids(question.names)
        counts = view.tags.photos_with(ids.values())
    return TagReport(
        asked,
        photos,
        most_first({name: counts.get(ids.get(name, 0), 0) for name in question.names}),
        is_calibrated(question, context.model),
    )


def most_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts in descending order."""
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def tag_new(context: Context, progress: Progress = SILENT) -> int:
    """Answer all earlier questions for the photos that were added since.

    Returns the number of embeddings that were checked. If there are several questions, it is the largest number.
    Raises SearcherError like `tag`.
    """
    catalog, row = context.catalog, context.row
    with catalog.read() as view:
        runs = view.tags.runs()
    asked = 0
    for run in runs:
        question = read_definition(run.definition)
        with catalog.read() as view:
            conditions = conditions_of(question, context.model, view.tags.taught())
            new = view.embeddings.any_after(row.id, run.last_id)
        if run.conditions != conditions:
            with catalog.write(progress) as change:
                now = change.view.tags.run(run.key)
                if now is not None and now.conditions != conditions:  # another process may have been faster
                    change.tags.restart_run(run.key, conditions)
        elif not new:
            continue
        asked = max(asked, _ask_new(context, question, conditions, progress))
    return asked


def preview(context: Context, question: Question, progress: Progress = SILENT) -> Iterator[Photo]:
    """Yield the photos and labels that `tagged_photos` would yield after `tag`, but store nothing.

    The photos come in a different order. progress: counts embeddings.
    """
    catalog = context.catalog
    taught = taught_labels(context, question)
    scorer = make_scorer(question, context.model, taught, StoredVectors(context))
    names, source_of = question.names, sources(question, taught)
    with catalog.read() as view:
        total = view.embeddings.count(context.row.id)
    done = 0
    for block in _answered(context, scorer, question.most, 0):
        given: dict[int, list[PhotoTag]] = {}
        for index, number, probability in block.answers.entries():
            tags = given.setdefault(block.contents[index], [])
            tags.append(PhotoTag(names[number], source_of[number], probability))
        with catalog.read() as view:
            photos = view.photos.of_contents(block.contents)
            by_hand = view.tags.by_hand(photo.id for photo in photos)
        yield from with_tags(photos, given, by_hand, frozenset(names))
        done += len(block.contents)
        progress.advance(done, total)


def clear(catalog: Catalog, names: Sequence[str] | None, progress: Progress = SILENT, *, dry_run: bool = False) -> int:
    """Remove the tags that runs gave for the labels `names`, or for all labels if `names` is None.

    Tags that a person added stay. Returns how many tags were removed, or would be with `dry_run`. Raises NotFound if a
    name is not a label.
    """
    if dry_run:
        with catalog.read() as view:
            return sum(view.tags.photos_with(_chosen(view.tags, names)).values())
    with catalog.write(progress) as change:
        ids = _chosen(change.view.tags, names)
        _retract(change, ids)
        return change.tags.clear(ids)


def _chosen(tags: "Tags", names: Sequence[str] | None) -> frozenset[int]:
    """The ids of the labels `names`, or of all labels. Raises NotFound if a name is not a label."""
    ids = {label.name: label.id for label in tags.labels().values()}
    if names is None:
        return frozenset(ids.values())
    if missing := [name for name in names if name not in ids]:
        raise NotFound(f"no such label: {missing[0]!r}; `searcher tags` lists the labels")
    return frozenset(ids[name] for name in names)


def is_current(run: AnyRun | None, conditions: str) -> bool:
    """Whether the answers of a run so far are what it would answer now, for all of its labels."""
    return run is not None and not run.retracted and run.conditions == conditions


def _start(change: "Transaction", question: Question, conditions: str) -> None:
    """Start a question from the beginning. Earlier questions then no longer decide about its labels."""
    ids = change.tags.add_labels(parents(question.labels))
    _retract(change, frozenset(ids[name] for name in question.names), but=question.key())
    change.tags.start_run(question.key(), question.definition(), conditions)


def _retract(change: "Transaction", label_ids: Set[int], but: str | None = None) -> None:
    """No run decides about these labels any more, except the one with the key `but`."""
    for run in change.view.tags.runs():
        if run.key == but:
            continue
        decided = _decided_labels(change.view.tags, run)
        if decided <= label_ids:
            change.tags.remove_run(run)
        elif decided & label_ids:
            change.tags.retract_labels(run, decided & label_ids)


def _decided_labels(tags: "Tags", run: TagRun) -> frozenset[int]:
    """The ids of the labels that a run still decides about: those of its question that were not retracted."""
    return frozenset(tags.label_ids(read_definition(run.definition).names).values()) - run.retracted


@dataclass(slots=True)
class _Pending:
    """Answers that are not committed yet: the last embedding id, content ids, and rows for `put_results`."""

    last_id: int
    contents: list[int] = field(default_factory=list)
    results: list[tuple[int, int, str, float]] = field(default_factory=list)

    @property
    def is_large(self) -> bool:
        return len(self.contents) >= COMMIT_EMBEDDINGS or len(self.results) >= COMMIT_RESULTS


def _ask_new(context: Context, question: Question, conditions: str, progress: Progress) -> int:
    """Answer a question for the embeddings that it has not checked yet, and commit. Returns their number."""
    key = question.key()
    taught = taught_labels(context, question, store=True, progress=progress)
    scorer = make_scorer(question, context.model, taught, StoredVectors(context, True, progress))
    with context.catalog.read() as view:
        if (run := view.tags.run(key)) is None:  # cleared since
            return 0
        known = view.tags.label_ids(question.names)
        total = view.embeddings.count(context.row.id, after=run.last_id)
    ids = [known[name] for name in question.names]
    source_of = sources(question, taught)
    pending = _Pending(run.last_id)
    done = 0
    for block in _answered(context, scorer, question.most, run.last_id):
        contents = block.contents
        pending.contents += contents
        pending.results += [
            (contents[index], ids[number], source_of[number], probability)
            for index, number, probability in block.answers.entries()
        ]
        pending.last_id = block.last_id
        done += len(contents)
        if pending.is_large:
            if not _commit(context, key, conditions, pending, progress):
                return done
            pending = _Pending(block.last_id)
        progress.advance(done, total)
    _commit(context, key, conditions, pending, progress)
    return done


def _commit(context: Context, key: str, conditions: str, pending: _Pending, progress: Progress) -> bool:
    """Store answers, for the labels that the run still decides about. Returns whether the run is to go on.

    It is not if all of its labels were retracted meanwhile, or if another process has started it under other
    conditions.
    """
    with context.catalog.write(progress) as change:
        run = change.view.tags.run(key)
        if run is None or run.conditions != conditions:
            return False
        decided = _decided_labels(change.view.tags, run)
        results = [row for row in pending.results if row[1] in decided] if run.retracted else pending.results
        change.tags.put_results(pending.contents, decided, results, context.row.id)
        change.tags.advance_run(key, pending.last_id)
        return True


def _rows_at_once(scorer: Scorer) -> int:
    """How many photos to answer for at a time, so that their scores need little memory."""
    return max(1, min(MOST_ROWS, SCORES_AT_ONCE // len(scorer.weights)))


def answer_all(vectors: np.ndarray, scorer: Scorer, most: int) -> Answers:
    """Like `answer`, for any number of photos: the scores of some at a time are computed."""
    step = _rows_at_once(scorer)
    starts = range(0, max(1, len(vectors)), step)
    parts = [answer(vectors[start : start + step], scorer, most) for start in starts]
    rows = [part.rows + start for part, start in zip(parts, starts, strict=True)]
    return Answers(
        np.concatenate(rows),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
    )


class _Block(NamedTuple):
    """Some embeddings in the order of their ids: the last id, the ids of their contents, and the answers for them."""

    last_id: int
    contents: list[int]
    answers: Answers


def _answered(context: Context, scorer: Scorer, most: int, after: int) -> Iterator[_Block]:
    """Answer for the embeddings with ids greater than `after`. Each block is read by itself and answered later."""
    rows = _rows_at_once(scorer)
    while True:
        with context.catalog.read() as view:
            ids, contents, vectors = view.embeddings.block(context.row, after, rows)
        if not len(ids):
            return
        after = int(ids[-1])
        yield _Block(after, contents.tolist(), answer(vectors, scorer, most))
