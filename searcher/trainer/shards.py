"""Stream WebDataset shards: tar files in which each image is next to its captions.

Each worker of each process streams its own shards. If there are too few shards, it streams every n-th record instead.
The order is a function of (seed, epoch), and a buffer shuffles the records further. On resume, the stream is replayed
to its position without decoding. Unlike with files, the order depends on the number of processes and workers.
"""

import hashlib
import os
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from braceexpand import braceexpand
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.tariterators import base_plus_ext, group_by_keys, tar_file_expander

from searcher.datasets import CAPTION_COLUMNS, Source
from searcher.datasets.tables import first_value
from searcher.datasets.text import clean_all, decode_text, parse_json
from searcher.errors import InvalidInput, NotFound
from searcher.photos.decode import PhotoError, read_bytes
from searcher.photos.suffixes import PHOTO_SUFFIXES
from searcher.trainer.data import Layout, Sample, SampleMaker, collate, load

BUFFER = 1000  # size of the shuffle buffer, in records
NOT_ADJACENT = "the image and its caption are not next to each other in the tar file; write it sorted by name"
SUFFIXES = tuple(suffix.decode()[1:] for suffix in sorted(PHOTO_SUFFIXES))


@dataclass(frozen=True)
class Shards:
    """The readable shards of one source.

    records: the number of records in them. bad: one message per shard that cannot be read, and per record whose files
    are not next to each other.
    """

    path: Path
    files: tuple[Path, ...]
    records: int
    bad: list[str]


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is not decoded yet. `image` is the bytes or the path of the image file."""

    key: str
    image: bytes | str | None
    captions: tuple[str, ...]
    epoch: int


def is_shards(path: Path) -> bool:
    return path.suffix.lower() == ".tar"


def read_shards(path: Path) -> Shards:
    """Find the shards of a source and count their records by file name. `path` may have braces: x-{00..31}.tar.

    Raises SearcherError (one line) if the braces are not balanced, a file is missing, or no record is found. A broken
    shard is only listed in `bad`, and so is a record whose files are not next to each other.
    """
    try:
        files = [Path(name) for name in braceexpand(str(path))]
    except ValueError as error:
        raise InvalidInput(f"the braces in {path} are not balanced") from error
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise NotFound(f"no such file: {missing[0]}")
    good, records, bad = [], 0, []
    for file in files:
        found, problems = _count(file)
        bad += problems
        if found:
            good.append(file)
            records += found
    if not records:
        raise InvalidInput(f"no record with an image and a .txt or .json in {path}" + (f": {bad[0]}" if bad else ""))
    return Shards(path, tuple(good), records, bad)


def _count(file: Path) -> tuple[int, list[str]]:
    """The number of records in a shard, and one message per record that cannot be used, or for a shard that is broken.

    A record is read from consecutive files with the same name. If an image and its caption are not next to each other,
    neither is used.
    """
    whole: set[str] = set()
    parts: dict[str, set[str]] = {}  # of all files with that name
    found, broken = 0, []
    try:
        with tarfile.open(file, "r:") as tar:
            for key, members in groupby(_members(tar), key=itemgetter(0)):
                kinds = {suffix for _, suffix in members}
                parts.setdefault(key, set()).update(kinds)
                if _is_record(kinds):
                    found += 1
                    whole.add(key)
    except (tarfile.TarError, OSError) as error:
        broken.append(f"{file}: {error}")
    apart = [key for key, kinds in parts.items() if key not in whole and _is_record(kinds)]
    return found, broken + [f"{file}: {key}: {NOT_ADJACENT}" for key in apart]


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    """The name and the suffix of each file, as webdataset reads them."""
    for member in tar:
        key, suffix = base_plus_ext(member.name)
        if key and member.isreg():
            yield key, suffix.lower()
        tar.members.clear()  # type: ignore[attr-defined]


def _is_record(kinds: set[str]) -> bool:
    return not kinds.isdisjoint(SUFFIXES) and bool(kinds & {"txt", "json"})


def size(source: Shards | Source) -> int:
    """The number of records in a source."""
    return source.records if isinstance(source, Shards) else len(source.pairs)


class Streams:
    """Data from shards, alone or mixed with other sources. Each source is drawn in proportion to weight × records.

    Raises SearcherError if a source has fewer records than there are processes × workers.
    """

    def __init__(self, sources: list[Shards | Source], weights: list[float], make: SampleMaker, layout: Layout) -> None:
        slots = layout.processes.count * max(1, layout.workers)
        for source in sources:
            if size(source) < slots:
                raise InvalidInput(
                    f"{source.path} has fewer records than processes × workers ({slots}): reduce --workers"
                )
        shares = np.array([w * size(s) for w, s in zip(weights, sources, strict=True)], float)
        self.steps_per_epoch = max(1, int(shares.sum() // layout.batch_size))
        self.layout = layout
        self.dataset = _Stream(sources, shares / shares.sum(), make, layout)

    def parts(self, step: int, total: int) -> Iterator[Sample]:
        self.dataset.start = step * self.layout.parts
        parts = load(self.dataset, self.layout, batch_size=None)
        return islice(parts, (total - step) * self.layout.parts)


class _Stream(IterableDataset[Sample]):
    """An endless stream of parts, in the order of this process and worker."""

    def __init__(self, sources: list[Shards | Source], shares: np.ndarray, make: SampleMaker, layout: Layout) -> None:
        self.sources, self.shares, self.make, self.layout = sources, shares, make, layout
        self.part_size = layout.part_size
        self.start = 0  # number of parts that this process has already used

    def __iter__(self) -> Iterator[Sample]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        # The loader asks the workers in turn and begins with the first, so that one must take the stream that is next.
        stream = (worker + self.start) % workers
        ranks = self.layout.processes
        records = self._records(ranks.rank * workers + stream, ranks.count * workers)
        for _ in range(len(range(stream, self.start, workers)) * self.part_size):
            next(records)
        while True:
            yield collate([self._sample(next(records)) for _ in range(self.part_size)])

    def _records(self, slot: int, slots: int) -> Iterator[Record]:
        rng = np.random.default_rng((self.layout.seed, slot))
        streams = [self._endless(number, slot, slots) for number in range(len(self.sources))]
        if len(streams) == 1:
            yield from streams[0]
        while True:
            yield next(streams[rng.choice(len(streams), p=self.shares)])

    def _endless(self, number: int, slot: int, slots: int) -> Iterator[Record]:
        source, seed = self.sources[number], self.layout.seed
        for epoch in count():
            rng = np.random.default_rng((seed, number, epoch))
            if isinstance(source, Shards):
                stream = _from_shards(source, rng, slot, slots, epoch)
                rest = random.Random(f"{seed} {number} {epoch} {slot}")
                yield from webdataset.shuffle(BUFFER, initial=BUFFER, rng=rest)(stream)
            else:
                for i in rng.permutation(len(source.pairs))[slot::slots]:
                    pair = source.pairs[i]
                    yield Record(pair.label or pair.image, pair.image, pair.captions, epoch)

    def _sample(self, record: Record) -> Sample | None:
        digest = int.from_bytes(hashlib.blake2b(record.key.encode(errors="replace"), digest_size=8).digest(), "little")
        rng = np.random.default_rng((self.layout.seed, record.epoch, digest))
        try:
            image = read_bytes(os.fsencode(record.image)) if isinstance(record.image, str) else record.image
            return self.make(image, record.captions, record.key, rng) if image and record.captions else None
        except PhotoError:
            return None


def _from_shards(source: Shards, rng: np.random.Generator, slot: int, slots: int, epoch: int) -> Iterator[Record]:
    """One epoch of a slot's records: its own shards, or every n-th record if there are fewer shards than slots.

    Raises SearcherError if the slot gets no record.
    """
    files = [source.files[i] for i in rng.permutation(len(source.files))]
    by_shard = len(files) >= slots
    own = files[slot::slots] if by_shard else files
    samples = group_by_keys(tar_file_expander(_opened(own), handler=_skip), handler=_skip)
    found = False
    for sample in samples if by_shard else islice(samples, slot, None, slots):
        image = next((sample[suffix] for suffix in SUFFIXES if suffix in sample), None)
        yield Record(f"{sample['__url__']} {sample['__key__']}", image, _captions(sample), epoch)
        found = True
    if not found:
        raise InvalidInput(f"records can no longer be read from {source.path}")


def _opened(files: list[Path]) -> Iterator[dict[str, Any]]:
    """The files, in the form that webdataset takes.

    webdataset would take a name for a URL, and a name that begins with "pipe:" for a shell command.
    """
    for file in files:
        try:
            stream = file.open("rb")
        except OSError:
            continue
        with stream:
            yield {"url": str(file), "stream": stream}


def _skip(error: Exception) -> bool:
    """Let webdataset go on after an error."""
    return True


def _captions(sample: dict[str, Any]) -> tuple[str, ...]:
    """The lines of `.txt`, or the caption field of `.json`. Empty if there is none."""
    if "txt" in sample:
        return tuple(clean_all(decode_text(sample["txt"])[0].splitlines()))
    try:
        row = parse_json(sample.get("json", b"{}"))
    except ValueError:
        return ()
    if not isinstance(row, dict):
        return ()
    return tuple(clean_all(first_value(row, CAPTION_COLUMNS)))
