"""Stream WebDataset shards: tar files in which each image is next to its captions. They may be URLs, see `objects`.

Each worker of each process streams its own shards. If there are too few shards, it streams every n-th record instead.
The order is a function of (seed, epoch), and a buffer shuffles the records further. On resume, the stream goes to its
position without decoding: it leaves out whole epochs, and reads the last one from its beginning. Unlike with files, the
order depends on the number of processes and workers.
"""

import hashlib
import os
import random
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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

from searcher.datasets import CAPTION_COLUMNS, Pair, Source
from searcher.datasets.tables import first_value
from searcher.datasets.text import clean_all, decode_text, parse_json
from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.photos.decode import PhotoError, read_bytes
from searcher.photos.suffixes import PHOTO_SUFFIXES
from searcher.trainer.data import Layout, Sample, SampleMaker, collate, load
from searcher.trainer.distributed import Processes
from searcher.trainer.objects import ObjectError, open_object, shown

BUFFER = 1000  # size of the shuffle buffer, in records
DRAWS = 100_000  # sources of records that are drawn at once
CONNECTIONS = 8  # shards of which a process counts the records at a time
NOT_ADJACENT = "the image and its caption are not next to each other in the tar file; write it sorted by name"
META = re.compile("__[^/]*__($|/)")  # files that webdataset leaves out
SUFFIXES = tuple(suffix.decode()[1:] for suffix in sorted(PHOTO_SUFFIXES))


@dataclass(frozen=True)
class Shards:
    """The readable shards of one source: files, or the URLs of objects as texts.

    records: the number of records in them. bad: one message per shard that cannot be read, and per record whose files
    are not next to each other. groups: for each shard, how many records a stream of it has, with those that cannot be
    used. Empty if that is not known, because a shard is damaged.
    """

    path: Path | str
    files: tuple[Path | str, ...]
    records: int
    bad: list[str]
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is not decoded yet. `image` is the bytes or the path of the image file."""

    key: str
    image: bytes | str | None
    captions: tuple[str, ...]
    epoch: int


def is_shards(path: Path | str) -> bool:
    """Whether a source is a shard or several. A text is a URL."""
    return Path(shown(str(path))).suffix.lower() == ".tar"


def read_shards(path: Path | str, processes: Processes | None = None) -> Shards:
    """Find the shards of a source and count their records. `path` may have braces: x-{00..31}.tar. A text is a URL.

    Each of the processes reads its share of the shards, and all of them get the same result. From a file, only the
    headers are read.

    Raises SearcherError (one line) if the braces are not balanced, a shard is missing or cannot be reached, or no
    record is found. A broken shard is only listed in `bad`, and so is a record whose files are not next to each other.
    """
    try:
        names = list(braceexpand(str(path)))
    except ValueError as error:
        raise InvalidInput(f"the braces in {shown(str(path))} are not balanced") from error
    files: list[Path | str] = [Path(name) for name in names] if isinstance(path, Path) else [*names]
    counted = list(zip(files, _count_all(files, processes or Processes()), strict=True))
    bad = [line for _, count in counted for line in count.bad]
    good = [(file, count) for file, count in counted if count.records]
    if not good:
        where = shown(str(path))
        raise InvalidInput(f"no record with an image and a .txt or .json in {where}" + (f": {bad[0]}" if bad else ""))
    groups = tuple(count.groups for _, count in good) if all(count.whole for _, count in good) else ()
    return Shards(path, tuple(file for file, _ in good), sum(count.records for _, count in good), bad, groups)


@dataclass(frozen=True)
class Count:
    """What is in a shard. whole: whether it could be read to its end."""

    records: int
    groups: int
    bad: list[str]
    whole: bool


def _count_all(files: list[Path | str], processes: Processes) -> list[Count]:
    found: list[Count] | SearcherError
    try:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            found = list(pool.map(_count, files[processes.rank :: processes.count]))
    except SearcherError as error:  # all processes must end with it, because each waits for the others
        found = error
    shares = processes.collect(found)
    for share in shares:
        if isinstance(share, SearcherError):
            raise share
    return [shares[i % processes.count][i // processes.count] for i in range(len(files))]


def _count(file: Path | str) -> Count:
    """Count the records of a shard. There is one message per record that cannot be used, or for a shard that is broken.

    A record is read from consecutive files with the same name. If an image and its caption are not next to each other,
    neither is used. Raises SearcherError if the shard does not exist or cannot be reached.
    """
    if isinstance(file, Path) and not file.is_file():
        raise NotFound(f"no such file: {file}")
    name = shown(str(file))
    usable: set[str] = set()
    parts: dict[str, set[str]] = {}  # of all files with that name
    records, groups, broken = 0, 0, []
    try:
        with _opened_tar(file) as tar:
            for key, members in groupby(_members(tar), key=itemgetter(0)):
                kinds = {suffix for _, suffix in members}
                parts.setdefault(key, set()).update(kinds)
                groups += 1
                if _is_record(kinds):
                    records += 1
                    usable.add(key)
    except (tarfile.TarError, OSError) as error:
        broken.append(f"{name}: {error}")
    apart = [key for key, kinds in parts.items() if key not in usable and _is_record(kinds)]
    return Count(records, groups, broken + [f"{name}: {key}: {NOT_ADJACENT}" for key in apart], not broken)


@contextmanager
def _opened_tar(file: Path | str) -> Iterator[tarfile.TarFile]:
    """A shard. An object is read to its end, because one request for each file in it would take longer."""
    if isinstance(file, Path):
        with tarfile.open(file, "r:") as tar:
            yield tar
    else:
        with open_object(file) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            yield tar


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    """The name and the suffix of each file, as webdataset reads them."""
    for member in tar:
        key, suffix = base_plus_ext(member.name)
        if key and member.isreg() and not META.match(member.name):
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
                    f"{shown(str(source.path))} has fewer records than processes × workers ({slots}): reduce --workers"
                )
        shares = np.array([w * size(s) for w, s in zip(weights, sources, strict=True)], float)
        self.steps_per_epoch = max(1, int(shares.sum() // layout.batch_size))
        self.layout = layout
        self.dataset = _Stream(sources, shares / shares.sum(), make, layout)

    def parts(self, step: int, total: int) -> Iterator[Sample]:
        self.dataset.start = step * self.layout.parts
        parts = load(self.dataset, self.layout, batch_size=None)
        return islice(parts, (total - step) * self.layout.parts)


class _Stream(IterableDataset[Sample | SearcherError]):
    """An endless stream of parts, in the order of this process and worker. It ends with the error if one occurs."""

    def __init__(self, sources: list[Shards | Source], shares: np.ndarray, make: SampleMaker, layout: Layout) -> None:
        self.sources, self.shares, self.make, self.layout = sources, shares, make, layout
        self.part_size = layout.part_size
        self.start = 0  # number of parts that this process has already used

    def __iter__(self) -> Iterator[Sample | SearcherError]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        # The loader asks the workers in turn and begins with the first, so that one must take the stream that is next.
        stream = (worker + self.start) % workers
        ranks = self.layout.processes
        used = len(range(stream, self.start, workers)) * self.part_size
        records = self._records(ranks.rank * workers + stream, ranks.count * workers, used)
        try:
            while True:
                yield collate([self._sample(next(records)) for _ in range(self.part_size)])
        except SearcherError as error:
            yield error  # raised in the training process: DataLoader would add a traceback to the message

    def _records(self, slot: int, slots: int, used: int = 0) -> Iterator[Record]:
        """The records of a slot, without the first `used` ones."""
        if len(self.sources) == 1:
            yield from self._endless(0, slot, slots, used)
        rng = np.random.default_rng((self.layout.seed, slot))
        taken = np.zeros(len(self.sources), int)
        for start in range(0, used, DRAWS):  # many draws at once give the same as one by one
            drawn = rng.choice(len(taken), size=min(DRAWS, used - start), p=self.shares)
            taken += np.bincount(drawn, minlength=len(taken))
        streams = [self._endless(number, slot, slots, int(n)) for number, n in enumerate(taken)]
        while True:
            yield next(streams[rng.choice(len(streams), p=self.shares)])

    def _endless(self, number: int, slot: int, slots: int, used: int) -> Iterator[Record]:
        source, seed = self.sources[number], self.layout.seed
        for epoch in count():
            rng = np.random.default_rng((seed, number, epoch))
            stream: Iterator[Record]
            if isinstance(source, Shards):
                order = rng.permutation(len(source.files))
                length = _length(source, order, slot, slots)
                if length is not None and used >= length:
                    used -= length
                    continue
                rest = random.Random(f"{seed} {number} {epoch} {slot}")
                shuffled = webdataset.shuffle(BUFFER, initial=BUFFER, rng=rest)
                stream = shuffled(_from_shards(source, order, slot, slots, epoch))
            else:
                own = rng.permutation(len(source.pairs))[slot::slots]
                stream = (_record_of(source.pairs[i], epoch) for i in own)
            for record in stream:
                if used:
                    used -= 1
                else:
                    yield record

    def _sample(self, record: Record) -> Sample | None:
        digest = int.from_bytes(hashlib.blake2b(record.key.encode(errors="replace"), digest_size=8).digest(), "little")
        rng = np.random.default_rng((self.layout.seed, record.epoch, digest))
        try:
            image = read_bytes(os.fsencode(record.image)) if isinstance(record.image, str) else record.image
            return self.make(image, record.captions, record.key, rng) if image and record.captions else None
        except PhotoError:
            return None


def _record_of(pair: Pair, epoch: int) -> Record:
    return Record(pair.label or pair.image, pair.image, pair.captions, epoch)


def _own(order: np.ndarray, slot: int, slots: int) -> tuple[np.ndarray, slice]:
    """The shards that a slot reads, and which of their records: all, or every n-th if there are too few shards."""
    if len(order) >= slots:
        return order[slot::slots], slice(0, None, 1)
    return order, slice(slot, None, slots)


def _length(source: Shards, order: np.ndarray, slot: int, slots: int) -> int | None:
    """The number of records that `_from_shards` gives, or None if that is not known."""
    if not source.groups:
        return None
    shards, taken = _own(order, slot, slots)
    return len(range(sum(source.groups[i] for i in shards))[taken])


def _from_shards(source: Shards, order: np.ndarray, slot: int, slots: int, epoch: int) -> Iterator[Record]:
    """One epoch of a slot's records, from its own shards in this order.

    Raises SearcherError if the slot gets no record, or if an object cannot be reached.
    """
    shards, taken = _own(order, slot, slots)
    opened = _opened([source.files[i] for i in shards])
    samples = group_by_keys(tar_file_expander(opened, handler=_skip), handler=_skip)
    found = False
    for sample in islice(samples, taken.start, None, taken.step):
        image = next((sample[suffix] for suffix in SUFFIXES if suffix in sample), None)
        yield Record(f"{sample['__url__']} {sample['__key__']}", image, _captions(sample), epoch)
        found = True
    if not found:
        raise InvalidInput(f"records can no longer be read from {shown(str(source.path))}")


def _opened(files: list[Path | str]) -> Iterator[dict[str, Any]]:
    """The files, in the form that webdataset takes. A file that cannot be opened is left out.

    webdataset would take a name for a URL, and a name that begins with "pipe:" for a shell command.
    """
    for file in files:
        try:
            stream = file.open("rb") if isinstance(file, Path) else open_object(file)
        except OSError:
            continue
        with stream:
            yield {"url": shown(str(file)), "stream": stream}


def _skip(error: Exception) -> bool:
    """Let webdataset go on after an error, except where an object cannot be reached: a resumed run would read it."""
    if isinstance(error, ObjectError):
        raise ObjectError(error.line) from None
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
