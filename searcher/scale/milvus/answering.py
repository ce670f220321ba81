"""Answers a question for a library in Milvus, by the rules of `tagger.run`.

Milvus has no transactions. The answers for some photos are written before the run says that it has checked them, so a
run that was interrupted continues a little before that place, and writes the same again. Two programs must not tag one
library at the same time.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searcher.catalog.rows import ZERO_SHOT, Photo, PhotoTag
from searcher.catalog.tagged import with_tags
from searcher.progress import SILENT, Progress
from searcher.scale.milvus.collection import MilvusCollection
from searcher.scale.milvus.runs import Run
from searcher.tagger.question import Question, parents, read_definition
from searcher.tagger.run import TagReport, answer_all, is_current, most_first
from searcher.tagger.scorer import Scorer, conditions_of, is_calibrated, make_scorer

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

COMMIT_PHOTOS = 5000  # commit after this many photos


def tag(
    collection: MilvusCollection, model: "DualEncoder", question: Question, progress: Progress = SILENT
) -> TagReport:
    """Answer a question for all photos that have no answer to it yet, and store the answers.

    model: that of the library. progress: counts photos. Raises SearcherError if the server does not answer.
    """
    conditions = conditions_of(question, model, {})
    run = collection.run(question.key())
    if run is None or not is_current(run, conditions):
        run = _start(collection, question, conditions)
    asked = _ask_new(collection, model, question, run, progress)
    counts = collection.given_by_runs(question.names)
    return TagReport(asked, collection.photos_after(), most_first(counts), is_calibrated(question, model))


def preview(
    collection: MilvusCollection, model: "DualEncoder", question: Question, progress: Progress = SILENT
) -> Iterator[Photo]:
    """Yield the photos and labels that `collection.tagged` would yield after `tag`, but store nothing.

    The photos come in a different order. progress: counts photos.
    """
    scorer = make_scorer(question, model, {})
    total = collection.photos_after()
    done = 0
    for contents, given in _answered(collection, scorer, question, 0):
        photos, by_hand = collection.by_hand(contents)
        tags = {
            content: [PhotoTag(label, source, probability) for label, (source, probability) in results.items()]
            for content, results in given.items()
        }
        yield from with_tags(photos, tags, by_hand, frozenset(question.names))
        done += len(contents)
        progress.advance(done, total)


def clear(
    collection: MilvusCollection, names: Sequence[str] | None, progress: Progress = SILENT, *, dry_run: bool = False
) -> int:
    """Remove the tags that runs gave for the labels `names`, or for all labels if `names` is None.

    Tags that a person added stay. Returns how many tags were removed, or would be with `dry_run`. Raises NotFound if a
    name is not a label.
    """
    if not dry_run:
        collection.check_labels(names or ())
        _retract(collection, frozenset(collection.labels() if names is None else names))
    return collection.untag(names, progress, dry_run=dry_run)


def _start(collection: MilvusCollection, question: Question, conditions: str) -> Run:
    """Start a question from the beginning. Earlier questions then no longer decide about its labels."""
    collection.add_labels(parents(question.labels))
    _retract(collection, frozenset(question.names), but=question.key())
    return collection.start_run(question.key(), question.definition(), conditions)


def _retract(collection: MilvusCollection, labels: Set[str], but: str | None = None) -> None:
    """No run decides about these labels any more, except the one with the key `but`."""
    for run in collection.runs():
        decided = _decided(run)
        if run.key == but or not decided & labels:
            continue
        if decided <= labels:
            collection.remove_run(run.key)
        else:
            collection.retract_labels(run, decided & labels)


def _decided(run: Run) -> frozenset[str]:
    """The labels that a run still decides about: those of its question that were not retracted."""
    return frozenset(read_definition(run.definition).names) - run.retracted


@dataclass(slots=True)
class _Pending:
    """Answers that are not written yet: ids of contents, and what some of them get."""

    contents: list[int] = field(default_factory=list)
    given: dict[int, Mapping[str, tuple[str, float]]] = field(default_factory=dict)


def _ask_new(
    collection: MilvusCollection, model: "DualEncoder", question: Question, run: Run, progress: Progress
) -> int:
    """Answer a question for the photos that it has not checked yet. Returns their number."""
    total = collection.photos_after(run.last_id)
    if not total:
        return 0
    scorer = make_scorer(question, model, {})
    pending = _Pending()
    done = 0
    with closing(_answered(collection, scorer, question, run.last_id)) as blocks:
        for contents, given in blocks:
            pending.contents += contents
            pending.given |= given
            done += len(contents)
            if len(pending.contents) >= COMMIT_PHOTOS:
                if not _commit(collection, run, pending):
                    return done
                pending = _Pending()
            progress.advance(done, total)
    if pending.contents:
        _commit(collection, run, pending)
    return done


def _commit(collection: MilvusCollection, begun: Run, pending: _Pending) -> bool:
    """Store answers, for the labels that the run still decides about. Returns whether the run is to go on.

    It is not if all of its labels were retracted meanwhile, or if another program has started it under other
    conditions.
    """
    run = collection.run(begun.key)
    if run is None or run.conditions != begun.conditions:
        return False
    decided = _decided(run)
    given = {
        content: {label: result for label, result in results.items() if label in decided}
        for content, results in pending.given.items()
    }
    collection.put_results(pending.contents, decided, given)
    collection.advance_run(run, pending.contents[-1])
    return True


def _answered(
    collection: MilvusCollection, scorer: Scorer, question: Question, after: int
) -> Generator[tuple[list[int], dict[int, dict[str, tuple[str, float]]]]]:
    """Answer for the photos with ids greater than `after`, block by block: their ids, and what some of them get."""
    names = question.names
    for ids, vectors in collection.embeddings(after):
        contents: list[int] = ids.tolist()
        given: dict[int, dict[str, tuple[str, float]]] = {}
        for index, number, probability in answer_all(vectors, scorer, question.most).entries():
            given.setdefault(contents[index], {})[names[number]] = ZERO_SHOT, probability
        yield contents, given
