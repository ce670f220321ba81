"""A piece → a shard: the photos are decoded in threads and embedded in batches, and their rows written to one file.

Both engines do this and nothing else with a piece, so they write the same shards.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from threading import Event

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from searcher.catalog.rows import Content
from searcher.models import Model
from searcher.photos.cores import usable_cores
from searcher.photos.decode import PhotoError
from searcher.photos.errors import Unavailable
from searcher.scale.files import is_local, location, unwritable, write_whole
from searcher.scale.pace import photos_at_once
from searcher.scale.plan import Job
from searcher.scale.reading import Photo, SourceError, photos_of
from searcher.scale.shards import PIECE, Facts, keyword_text, schema
from searcher.vectors.pipeline import BATCH_SIZE, Embedded, Prepared, Wanted, ahead, embed_prepared, prepare, storable

THUMBNAIL = 256  # pixels of the longer side
ROWS_A_GROUP = 1024
READERS = 4  # threads per core for photos of a server: most of their time is waiting
DICTIONARY = ("taken_at", "camera", "format", "lens", "error", "description")  # columns where values come again
LOST = 20  # photos of a piece: if none of so many can be read now, a disk or a server is away


@dataclass(frozen=True, slots=True)
class Settings:
    """Where shards are written, and how. threads: that decode (0: one per core)."""

    out: str
    facts: Facts
    thumbnails: bool
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A shard that was written. photos: its rows. failed: those with an error."""

    photos: int
    failed: int


def write_shard(model: Model, job: Job, settings: Settings, each: Callable[[int], None] | None = None) -> Written:
    """Embed a piece and write its shard. If the shard is there already, it stays as it is.

    each: is told how many photos were embedded so far. Raises SourceError if the piece cannot be read now, and
    SearcherError if the shard cannot be written.
    """
    files, folder = location(settings.out)
    path = f"{folder}/{job.name}"
    try:
        if files.get_file_info(path).is_file:  # written by a worker that was lost before it could say so
            return _count(pq.read_table(path, columns=["error"], filesystem=files))
    except OSError as error:
        raise unwritable(settings.out, error) from error
    per_core = 1 if is_local(job.piece.source) else READERS
    threads = (settings.threads or usable_cores()) * per_core
    columns = schema(settings.facts, settings.thumbnails)
    parts: list[pa.RecordBatch] = []
    reasons: list[str] = []
    with closing(embed(model, photos_of(job.piece), threads, settings.thumbnails)) as batches:
        for batch in batches:
            parts.append(to_rows(batch, columns))
            reasons += [read.error or "" for read in batch if read.try_again]
            if each is not None:
                each(sum(map(len, parts)))
    table = pa.Table.from_batches(parts, columns)
    if len(reasons) == len(table) >= LOST:
        raise SourceError(f"{parts[0]['path'][0]} and {len(table) - 1:,} more photos cannot be read: {reasons[0]}")
    table = table.replace_schema_metadata({**columns.metadata, PIECE: json.dumps(job.piece.as_dict()).encode()})
    try:
        write_whole(files, path, lambda file: _write(table, file))
    except (OSError, ValueError) as error:
        raise unwritable(settings.out, error) from error
    return _count(table)


def _write(table: pa.Table, file: pa.NativeFile) -> None:
    used = [name for name in DICTIONARY if name in table.column_names]
    pq.write_table(table, file, row_group_size=ROWS_A_GROUP, compression="zstd", use_dictionary=used)


def _count(table: pa.Table) -> Written:
    errors = table.column("error")
    return Written(len(errors), len(errors) - errors.null_count)


def embed(
    model: Model, photos: Iterable[Photo], threads: int, thumbnails: bool = False
) -> Generator[Sequence[Embedded[Photo]]]:
    """Embed photos, in their order, in batches. Never raises for a bad photo."""
    stop = Event()
    wanted = Wanted(likeness=True, thumbnail=THUMBNAIL if thumbnails else 0)
    at_once = photos_at_once(model)

    def work(photo: Photo) -> Prepared[Photo]:
        try:
            data = photo.read()
        except PhotoError as error:
            again = isinstance(error, Unavailable)
            return Prepared(Embedded(photo, error=storable(error.reason), try_again=again))
        return prepare(model, photo, data, stop, wanted)

    with closing(ahead(work, photos, stop, threads=threads)) as prepared:
        while batch := list(islice(prepared, max(at_once, BATCH_SIZE))):
            yield embed_prepared(model, batch, at_once)


def to_rows(photos: Sequence[Embedded[Photo]], columns: pa.Schema) -> pa.RecordBatch:
    """The rows of photos, with these columns: see `shards.schema`."""
    known: list[dict[str, object]] = [_row(photo) for photo in photos]
    arrays = [
        _vectors(photos, field.type.list_size)
        if field.name == "embedding"
        else pa.array([row.get(field.name) for row in known], field.type)
        for field in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def _row(read: Embedded[Photo]) -> dict[str, object]:
    photo = read.key
    text = photo.path.decode("utf-8", "replace")
    row: dict[str, object] = {}
    if read.facts is not None and read.digest is not None:
        row = Content.of(read.digest, read.facts, read.likeness)._asdict()
        row["keywords"] = [keyword_text(keyword) for keyword in read.facts.metadata.keywords]
    return row | {
        "id": hashlib.blake2b(photo.place, digest_size=16).hexdigest(),
        "path": text,
        "path_bytes": None if text.encode() == photo.path else photo.path,
        "digest": None if read.digest is None else read.digest.hex(),
        "size": photo.size,
        "mtime_ns": photo.mtime_ns,
        "error": read.error,
        "thumbnail": read.thumbnail,
    }


def _vectors(photos: Sequence[Embedded[Photo]], dim: int) -> pa.FixedSizeListArray:
    vectors = np.zeros((len(photos), dim), np.float32)
    missing = np.ones(len(photos), bool)
    for number, read in enumerate(photos):
        if read.vector is not None:
            vectors[number], missing[number] = read.vector, False
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim, mask=pa.array(missing))
