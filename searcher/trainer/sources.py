"""The data sources of a run. They are opened before anything is written, so that bad input leaves no files behind."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from searcher.datasets import Source, read_source
from searcher.errors import InvalidInput, NotFound
from searcher.trainer.augment import Augment
from searcher.trainer.data import (
    Data,
    Layout,
    PairDataset,
    Records,
    SampleMaker,
    SentenceDataset,
    Teacher,
    read_teacher,
)
from searcher.trainer.distributed import Processes
from searcher.trainer.features import Features
from searcher.trainer.objects import shown
from searcher.trainer.shards import Shards, Streams, is_shards, read_shards, size


@dataclass(frozen=True)
class Sources:
    """Pairs and shards, or one file of sentences.

    weights: how many times per epoch each record of a source is used. bad: one message per record that cannot be used.
    remarks: what the user should know about the records that are used. captions_of: the captions of each class, for
    pairs from class folders.
    """

    opened: list[Source | Shards] | Path
    weights: list[float]
    bad: list[str]
    remarks: list[str] = field(default_factory=list)

    @property
    def captions_of(self) -> dict[str, tuple[str, ...]]:
        opened = [] if isinstance(self.opened, Path) else self.opened
        pairs = [pair for source in opened if isinstance(source, Source) for pair in source.pairs]
        return {pair.label: pair.captions for pair in pairs if pair.label is not None}

    def describe(self) -> list[tuple[str, str]]:
        """(name, amount of data) of each source."""
        if isinstance(self.opened, Path):
            return [(self.opened.name, "sentences with a teacher's embeddings")]
        return [
            (Path(shown(str(source.path))).name, f"{size(source):,} records × {w:g}")
            for source, w in zip(self.opened, self.weights, strict=True)
        ]

    @property
    def images(self) -> list[str]:
        """The image files of all records, or none if some records are in shards or are sentences."""
        opened = [] if isinstance(self.opened, Path) else self.opened
        files = [source for source in opened if isinstance(source, Source)]
        return [pair.image for source in files for pair in source.pairs] if len(files) == len(opened) else []

    def data(
        self, augment: Augment, tokenizer: Any, layout: Layout, dim: int, features: Features | None = None
    ) -> Data:
        """The records of all sources.

        dim: of the embeddings, which a teacher's must have, too. features: of `images`, if the image trunk is locked.
        """
        if isinstance(self.opened, Path):
            sentences = SentenceDataset(self.opened, tokenizer, dim)
            return Records(sentences, np.ones(len(sentences.sentences)), layout)
        make = SampleMaker(augment, tokenizer)
        files = [source for source in self.opened if isinstance(source, Source)]
        if len(files) < len(self.opened):
            return Streams(self.opened, self.weights, make, layout)
        teachers = [(read_teacher(source.path, source.records, dim), source.pairs) for source in files]
        teacher = Teacher(teachers, dim) if any(rows is not None for rows, _ in teachers) else None
        pairs = [source.pairs for source in files]
        weights = np.repeat(self.weights, [len(source.pairs) for source in files])
        return Records(PairDataset(pairs, make, layout.seed, teacher, features), weights, layout)


def first_bad(bad: list[str]) -> str:
    """How many records cannot be used, and the message about the first one."""
    return f"{len(bad)} {'record' if len(bad) == 1 else 'records'} cannot be used; the first is {bad[0]}"


def open_sources(
    paths: tuple[Path | str, ...], weights: tuple[float, ...], freeze: tuple[str, ...], processes: Processes
) -> Sources:
    """Open the sources of `searcher train`. A text is the URL of shards.

    Raises SearcherError (one line) if they or the weights cannot be used.
    """
    if weights and len(weights) != len(paths):
        raise InvalidInput(f"{len(weights)} weights for {len(paths)} sources: give one weight per source")
    if any(not 0 < weight < float("inf") for weight in weights):
        raise InvalidInput("every weight must be a number above 0")
    texts = [path for path in paths if isinstance(path, Path) and path.suffix == ".txt"]
    if texts:
        if len(paths) > 1 or freeze != ("image",):
            raise InvalidInput("a .txt file of sentences must be the only source, and needs --freeze image")
        if not texts[0].is_file():
            raise NotFound(f"no such file: {texts[0]}")
        return Sources(texts[0], [1.0], [])
    opened = [_open(path, processes) for path in paths]
    bad = [line for source in opened for line in source.bad]
    remarks = [line for source in opened if isinstance(source, Source) for line in source.remarks]
    return Sources(opened, list(weights or (1.0,) * len(paths)), bad, remarks)


def _open(path: Path | str, processes: Processes) -> Source | Shards:
    if is_shards(path):
        return read_shards(path, processes)
    if isinstance(path, str):
        raise InvalidInput(f"{shown(path)} is not a .tar file: of URLs, only WebDataset shards can be read")
    return read_source(path)
