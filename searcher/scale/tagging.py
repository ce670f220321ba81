"""Zero-shot tags on Parquet: gives shards the columns `labels` and `probabilities`, computed from their embeddings.

The metadata of a file says which question its labels answer. A run leaves a file alone that answers its question
already, so that an interrupted run continues where it stopped. Each other file is written again, and replaced when the
new one is complete.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from searcher.catalog.rows import ZERO_SHOT, PhotoTag
from searcher.errors import Failure, InvalidInput, SearcherError
from searcher.progress import SILENT, Progress
from searcher.scale.embedding import DICTIONARY
from searcher.scale.engine import Cluster
from searcher.scale.files import first_line, write_lock, write_whole
from searcher.scale.model import open_model
from searcher.scale.shards import Facts, list_shards, read_facts, read_rows
from searcher.tagger.classify import Classified
from searcher.tagger.question import Question
from searcher.tagger.remarks import remark
from searcher.tagger.run import TagReport, answer_all
from searcher.tagger.scorer import Scorer, conditions_of, is_calibrated, make_scorer

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

LABELS, PROBABILITIES = "labels", "probabilities"
LABELS_TYPE, PROBABILITIES_TYPE = pa.list_(pa.string()), pa.list_(pa.float32())
TAGS = b"searcher.tags"  # a key of the metadata of a file
FILES_AT_ONCE = 16  # whose metadata are read


class Tagged(NamedTuple):
    """A shard with labels. rows: of the file. photos: those with an embedding. counts: label → photos."""

    rows: int
    photos: int
    counts: dict[str, int]


class ShardsReport(NamedTuple):
    """The result of a run. tags: counts photos with an embedding, and each copy. failures: shards without answers."""

    tags: TagReport
    failures: list[Failure]


Task = Callable[[str], Tagged | Failure]
Engine = Callable[[Task, Sequence[str]], Iterable[Tagged | Failure]]
"""Does a task for each of several paths, and yields the results in any order."""


def tag_shards(
    where: str,
    question: Question,
    model: "str | Path | DualEncoder | None" = None,
    cluster: Cluster | None = None,
    progress: Progress = SILENT,
) -> ShardsReport:
    """Give all photos in the shards of a folder their labels, most probable first. A photo without embedding gets null.

    where: a local path or a URI. model: see `open_model`. cluster: where Ray runs; None tags on this machine
    without Ray. progress: counts rows, and gets notices.

    Raises NotFound if there are no shards or no model, InvalidInput if no shard can be read.
    """
    files, paths = list_shards(where)
    with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
        looked = list(threads.map(partial(_look, files), paths))
    failures = [shard for shard in looked if isinstance(shard, Failure)]
    shards = [shard for shard in looked if isinstance(shard, _Shard)]
    if not shards:
        raise InvalidInput(failures[0].error)
    encoder = open_model(shards[0].facts, model)
    remark(question, encoder, progress)
    stamp = _stamp(question, conditions_of(question, encoder, {}))
    new = [shard.path for shard in shards if shard.stamp != stamp]
    old = [shard.path for shard in shards if shard.stamp == stamp]
    sums = _Sums(question, sum(shard.rows for shard in shards), progress)
    sums.add(map(partial(_count, files), old))
    known = sums.photos
    if new:
        job = Job(question, stamp, encoder.digest, make_scorer(question, encoder, {}))
        with write_lock(where), closing(_each(partial(tag_shard, files, job), new, cluster)) as results:
            sums.add(results)
    tags = TagReport(sums.photos - known, sums.photos, sums.tagged(), is_calibrated(question, encoder))
    return ShardsReport(tags, failures + sums.failures)


def tagged_photos(where: str, but: Collection[str] = ()) -> Iterator[Classified]:
    """Yield the photos with an embedding and their labels, shard by shard, except those in the shards at `but`."""
    files, paths = list_shards(where)
    for path in paths:
        if path in but:
            continue
        for batch in read_rows(files, path, ["path", "path_bytes", LABELS, PROBABILITIES]):
            for row in batch.to_pylist():
                if row[LABELS] is not None:
                    name = row["path"] if row["path_bytes"] is None else os.fsdecode(row["path_bytes"])
                    # the exact float32 of 0.9 has more digits than what was stored
                    given = zip(row[LABELS], row[PROBABILITIES], strict=True)
                    yield Classified(name, tuple(PhotoTag(label, ZERO_SHOT, round(p, 6)) for label, p in given))


def _each(task: Task, paths: Sequence[str], cluster: Cluster | None) -> Generator[Tagged | Failure]:
    if cluster is None:
        yield from map(task, paths)
        return
    from searcher.scale.on_ray import do_each

    yield from do_each(task, paths, cluster)


class _Shard(NamedTuple):
    """What the metadata of a file say. stamp: see `_stamp`, None without labels."""

    path: str
    rows: int
    facts: Facts
    stamp: bytes | None


def _look(files: pafs.FileSystem, path: str) -> _Shard | Failure:
    try:
        facts, metadata = read_facts(files, path), pq.read_metadata(path, filesystem=files)
    except (SearcherError, ValueError, OSError, pa.ArrowException) as error:
        return Failure(path, first_line(error))
    return _Shard(path, metadata.num_rows, facts, (metadata.metadata or {}).get(TAGS))


def _stamp(question: Question, conditions: str) -> bytes:
    """What the metadata of a file say about its labels. conditions: see `conditions_of`."""
    return json.dumps({"question": json.loads(question.definition()), "conditions": conditions}).encode()


class _Sums:
    """Sums up the results for a question. total: rows of all shards."""

    def __init__(self, question: Question, total: int, progress: Progress) -> None:
        self._total, self._progress = total, progress
        self.rows = self.photos = 0
        self.failures: list[Failure] = []
        self._counts = Counter(dict.fromkeys(question.names, 0))

    def add(self, results: Iterable[Tagged | Failure]) -> None:
        for result in results:
            if isinstance(result, Failure):
                self.failures.append(result)
                continue
            self.rows += result.rows
            self.photos += result.photos
            self._counts.update(result.counts)
            self._progress.advance(self.rows, self._total)

    def tagged(self) -> dict[str, int]:
        return dict(self._counts.most_common())


def _count(files: pafs.FileSystem, path: str) -> Tagged | Failure:
    """Count the labels that a shard has."""
    try:
        labels = pq.read_table(path, columns=[LABELS], filesystem=files)[LABELS]
        return _tagged(labels)
    except (ValueError, OSError, pa.ArrowException) as error:
        return Failure(path, first_line(error))


def _tagged(labels: pa.ChunkedArray) -> Tagged:
    counts = pc.value_counts(pc.list_flatten(labels)).to_pylist()
    return Tagged(len(labels), len(labels) - labels.null_count, {row["values"]: row["counts"] for row in counts})


@dataclass(frozen=True, slots=True)
class Job:
    """A question with all that is needed to answer it, without the model. It can be sent to other processes.

    stamp: for the metadata of the files. digest: of the model.
    """

    question: Question
    stamp: bytes
    digest: str
    scorer: Scorer


def tag_shard(files: pafs.FileSystem, job: Job, path: str) -> Tagged | Failure:
    """Write one shard again, with the labels of its photos. What goes wrong is the result."""
    try:
        if (facts := read_facts(files, path)).digest != job.digest:
            return Failure(path, f"it was made with another model, {facts.model} {facts.version}".rstrip())
        return _write_again(files, job, path)
    except (SearcherError, ValueError, OSError, pa.ArrowException) as error:
        return Failure(path, first_line(error))


def _write_again(files: pafs.FileSystem, job: Job, path: str) -> Tagged:
    given: list[pa.Array] = []
    with files.open_input_file(path) as opened:
        shard = pq.ParquetFile(opened)
        before = shard.schema_arrow
        metadata = before.metadata or {}
        if LABELS in before.names and TAGS not in metadata:
            raise InvalidInput(f"it has a column named {LABELS} that searcher did not write: rename that column")
        kept = [field for field in before if field.name not in (LABELS, PROBABILITIES)]
        added = [pa.field(LABELS, LABELS_TYPE), pa.field(PROBABILITIES, PROBABILITIES_TYPE)]
        schema = pa.schema([*kept, *added], metadata | {TAGS: job.stamp})

        def write(file: pa.NativeFile) -> None:
            used = [name for name in DICTIONARY if name in schema.names]
            options = {"compression": "zstd", "use_dictionary": [*used, f"{LABELS}.list.element"]}
            with pq.ParquetWriter(file, schema, **options) as writer:
                for number in range(shard.num_row_groups):
                    group = shard.read_row_group(number, [field.name for field in kept])
                    columns = _answered(group["embedding"].combine_chunks(), job)
                    given.append(columns[0])
                    writer.write_table(pa.table([*group.columns, *columns], schema=schema), max(1, len(group)))

        write_whole(files, path, write)
    return _tagged(pa.chunked_array(given, LABELS_TYPE))


def _answered(embeddings: pa.Array, job: Job) -> tuple[pa.Array, pa.Array]:
    """The columns of labels and probabilities for a column of embeddings."""
    scorer, dim = job.scorer, job.scorer.weights.shape[1]
    kind = embeddings.type
    if not (pa.types.is_fixed_size_list(kind) and kind.list_size == dim and pa.types.is_float32(kind.value_type)):
        raise InvalidInput(f"its embeddings are not lists of {dim} float32 numbers")
    missing = embeddings.is_null().to_numpy(zero_copy_only=False)
    vectors = embeddings.flatten().to_numpy().reshape(-1, dim)  # without those that are missing
    answers = answer_all(vectors, scorer, job.question.most)
    lengths = np.bincount(np.flatnonzero(~missing)[answers.rows], minlength=len(missing))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    names = pa.array(job.question.names).take(pa.array(answers.labels))
    columns = (names, pa.array(answers.rounded, pa.float32()))
    without = pa.array(missing)
    given, chances = (pa.ListArray.from_arrays(offsets, column, mask=without) for column in columns)
    return given, chances
