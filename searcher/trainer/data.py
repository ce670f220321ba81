"""Batches for the trainer: the order of the records, their augmentation and their captions.

Every random draw is a function of (seed, epoch, record, repetition). The result therefore does not depend on the number
of loader workers, processes or parts of a batch. It is also the same if the run is stopped and resumed.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from searcher.datasets import Pair
from searcher.datasets.text import decode_text
from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.photos.decode import PhotoError, decode, read_bytes
from searcher.trainer.augment import Augment
from searcher.trainer.distributed import Processes
from searcher.trainer.features import Features
from searcher.trainer.stop import ignore_interrupts

SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)  # such a caption would be wrong for a mirrored image
CAPTIONS_KNOWN = 100_000  # captions whose tokens are cached, because captions of classes are repeated
Draw = tuple[int, int, int]  # epoch, record, repetition
Sample = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """How the records of a step are divided.

    `batch_size` counts the records of all processes. Each process splits its share into `parts`.
    """

    batch_size: int
    parts: int
    workers: int
    seed: int
    processes: Processes

    @property
    def part_size(self) -> int:
        """Number of records per part. Raises SearcherError if the batch cannot be divided evenly."""
        size, rest = divmod(self.batch_size, self.parts * self.processes.count)
        if rest or not size:
            count = self.processes.count
            raise InvalidInput(
                f"a batch of {self.batch_size} cannot be divided into {count} processes × {self.parts} parts: "
                "change --batch-size or --accumulate"
            )
        return size


class Data(Protocol):
    """The interface that the training loop needs."""

    steps_per_epoch: int

    def parts(self, step: int, total: int) -> Iterator[Sample]:
        """The parts of this process for the steps `step` … `total` - 1, in order.

        The key `bad` of a part counts its unusable records.
        """
        ...


def caption_id(text: str) -> int:
    """The first 8 bytes of the text's BLAKE2 digest, as an integer. It is the same in every process.

    The text may be the name of a file that is not UTF-8.
    """
    return int.from_bytes(
        hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little", signed=True
    )


@dataclass(frozen=True)
class SampleMaker:
    """Turn the bytes of an image file and its captions into input for the encoders."""

    augment: Augment
    tokenizer: Any
    known: dict[str, Tensor] = field(default_factory=dict)  # caption → its tokens

    def __call__(self, data: bytes, captions: Sequence[str], same: str, rng: np.random.Generator) -> Sample:
        """Make a sample with one caption, drawn at random. Rows with an equal `same` describe the same thing.

        Raises PhotoError if the image cannot be read.
        """
        caption = captions[int(rng.integers(len(captions)))]
        image = decode(data, min_side=2 * self.augment.size).image
        return {"images": self.augment(image, rng, mirror=not SIDES.search(caption)), **self._text(caption, same)}

    def locked(self, views: np.ndarray, captions: Sequence[str], same: str, rng: np.random.Generator) -> Sample:
        """The same for a locked image trunk: one of the features of the image's views [v, f], drawn at random."""
        caption = captions[int(rng.integers(len(captions)))]
        features = torch.from_numpy(views[int(rng.integers(len(views)))].astype(np.float32))
        return {"features": features, **self._text(caption, same)}

    def _text(self, caption: str, same: str) -> Sample:
        return {"texts": self._tokens(caption), "ids": torch.tensor([caption_id(caption), caption_id(same)])}

    def _tokens(self, caption: str) -> Tensor:
        tokens = self.known.get(caption)
        if tokens is None:
            tokens = self.tokenizer([caption])[0]
            if len(self.known) < CAPTIONS_KNOWN:
                self.known[caption] = tokens
        return tokens


class PairDataset(Dataset[Sample | None]):
    """Images, each with one of its captions. An image that cannot be read gives None, which the loop counts.

    `rivals` (bool [sources, classes]) marks the classes of each source. An image is compared only with the classes of
    its own source, because a class name of another source may fit it too ("a car" for a convertible).

    features: of the images, if the image trunk is locked. The images themselves are then not read again.
    """

    def __init__(
        self,
        sources: list[list[Pair]],
        make: SampleMaker,
        seed: int,
        teacher: "Teacher | None" = None,
        features: Features | None = None,
    ) -> None:
        self.make, self.seed, self.teacher, self.features = make, seed, teacher, features
        self.pairs = [pair for pairs in sources for pair in pairs]
        self.source_of = np.repeat(np.arange(len(sources)), [len(pairs) for pairs in sources])
        labels = dict.fromkeys(pair.label for pair in self.pairs if pair.label is not None)
        self.classes = {label: i for i, label in enumerate(labels)}
        self.rivals = torch.zeros(len(sources), len(labels), dtype=torch.bool)
        for number, pairs in enumerate(sources):
            self.rivals[number, list({self.classes[pair.label] for pair in pairs if pair.label is not None})] = True

    def __getitem__(self, draw: Draw) -> Sample | None:
        sample = self._sample(draw)
        if sample is None:
            return None
        pair = self.pairs[draw[1]]
        sample["classes"] = torch.tensor(-1 if pair.label is None else self.classes[pair.label])
        sample["rivals"] = self.rivals[self.source_of[draw[1]]]
        if self.teacher:
            sample["teacher"] = self.teacher[draw[1]]
        return sample

    def _sample(self, draw: Draw) -> Sample | None:
        pair = self.pairs[draw[1]]
        same = pair.image if pair.label is None else f"label {pair.label}"
        rng = np.random.default_rng((self.seed, *draw))
        if self.features:
            views = self.features[draw[1]]
            return None if views is None else self.make.locked(views, pair.captions, same, rng)
        try:
            return self.make(read_bytes(os.fsencode(pair.image)), pair.captions, same, rng)
        except PhotoError:
            return None


class SentenceDataset(Dataset[Sample | None]):
    """Sentences and a teacher's embedding of each one.

    They are read from `name.txt`, with one sentence per line, and from `name.npy` [n, d] next to it. Raises
    SearcherError if `name.npy` is missing or does not match.
    """

    def __init__(self, path: Path, tokenizer: Any, dim: int) -> None:
        self.sentences = decode_text(path.read_bytes())[0].splitlines()
        embeddings = read_teacher(path, len(self.sentences), dim)
        if embeddings is None:
            raise NotFound(f"{path} needs a teacher's embeddings in {path.with_suffix('.npy').name} next to it")
        self.teacher, self.tokenizer = embeddings, tokenizer

    def __getitem__(self, draw: Draw) -> Sample | None:
        i = draw[1]
        return {
            "texts": self.tokenizer([self.sentences[i]])[0],
            "teacher": torch.from_numpy(np.asarray(self.teacher[i], np.float32)),
        }


def read_teacher(path: Path, records: int, dim: int) -> np.ndarray | None:
    """Read a teacher's embeddings, [records, dim], from `name.npy` next to a data file or folder.

    Returns None if there is no such file. Raises SearcherError if it is not an array, or if its shape is wrong.
    """
    file = path.with_suffix(".npy") if path.suffix and not path.is_dir() else path.with_name(path.name + ".npy")
    if not file.is_file():
        return None
    try:
        teacher: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InvalidInput(f"{file} is not a NumPy array") from error
    if teacher.shape != (records, dim):
        raise InvalidInput(f"{file} has the shape {list(teacher.shape)}, but {records} records need [{records}, {dim}]")
    return teacher


class Teacher:
    """A teacher's embedding of each pair's image, float32 [d]. It is zero if the source has no teacher."""

    def __init__(self, sources: list[tuple[np.ndarray | None, list[Pair]]], dim: int) -> None:
        self.rows = [(teacher, pair.row) for teacher, pairs in sources for pair in pairs]
        self.nothing = torch.zeros(dim)

    def __getitem__(self, record: int) -> Tensor:
        teacher, row = self.rows[record]
        return self.nothing if teacher is None else torch.from_numpy(np.asarray(teacher[row], np.float32))


@dataclass(frozen=True)
class Schedule:
    """The draws of each batch. An epoch takes each record `weight` times on average, in shuffled order."""

    weights: np.ndarray  # float [records]
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return max(1, int(self.weights.sum() // self.batch_size))

    def epoch(self, epoch: int) -> list[list[Draw]]:
        """The batches of one epoch, each a list of draws."""
        rng = np.random.default_rng((self.seed, epoch))
        times = np.floor(self.weights + rng.random(len(self.weights))).astype(int)
        records = np.repeat(np.arange(len(times)), times)
        repetition = np.concatenate([np.arange(n) for n in times]) if len(times) else records
        order = rng.permutation(len(records))
        # Small weights can leave the last batch short. The first draws are then repeated to fill it.
        size = self.steps_per_epoch * self.batch_size
        order = np.resize(order, size)
        draws = [(epoch, int(records[i]), int(repetition[i])) for i in order]
        return [draws[i : i + self.batch_size] for i in range(0, size, self.batch_size)]

    def from_step(self, step: int, total: int) -> Iterator[list[Draw]]:
        """The batches of a run, starting at a global step."""
        while step < total:
            batches = self.epoch(step // self.steps_per_epoch)[step % self.steps_per_epoch :]
            yield from batches[: total - step]
            step += len(batches)


class Records:
    """Data with a known number of records, in the order of a `Schedule`."""

    def __init__(self, dataset: Dataset[Sample | None], weights: np.ndarray, layout: Layout) -> None:
        self.dataset, self.layout = dataset, layout
        self.schedule = Schedule(weights, layout.batch_size, layout.seed)
        self.steps_per_epoch = self.schedule.steps_per_epoch
        self.part_size = layout.part_size

    def parts(self, step: int, total: int) -> Iterator[Sample]:
        draws: Any = self._draws(step, total)
        return load(self.dataset, self.layout, batch_sampler=draws, collate_fn=collate)

    def _draws(self, step: int, total: int) -> Iterator[list[Draw]]:
        size, processes = self.part_size, self.layout.processes
        share = size * self.layout.parts
        for batch in self.schedule.from_step(step, total):
            own = batch[processes.rank * share : (processes.rank + 1) * share]
            yield from (own[i : i + size] for i in range(0, share, size))


def collate(samples: Sequence[Sample | None]) -> Sample:
    """Stack samples. Unreadable samples are counted in `bad` and replaced by copies of others.

    So every process gets a full part. A copy has the same ids as its original, so neither is a negative of the other.
    `bad` [n] spreads the number of unusable records evenly over the rows. It is the only key if none could be read.
    """
    good = [sample for sample in samples if sample is not None]
    filled = [good[i % len(good)] for i in range(len(samples))] if good else []
    part = {key: torch.stack([sample[key] for sample in filled]) for key in (filled[0] if filled else ())}
    part["bad"] = torch.full((len(samples),), 1 - len(good) / len(samples))
    return part


def load(dataset: Dataset[Any], layout: Layout, **how: Any) -> Iterator[Sample]:
    """Load parts with the workers of the layout.

    Raises SearcherError if no record of a part can be used, or if the dataset gives a SearcherError in place of a part.
    """
    parts = DataLoader(
        dataset,
        num_workers=layout.workers,
        prefetch_factor=4 if layout.workers else None,
        pin_memory=layout.processes.device.type == "cuda",
        worker_init_fn=ignore_interrupts,
        **how,
    )
    for part in parts:
        if isinstance(part, SearcherError):
            raise part
        if len(part) == 1:
            raise InvalidInput("every record of a batch was unusable: check the images and captions")
        yield part
