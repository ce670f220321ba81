"""Batches for the trainer: which record comes when, its augmentation, its caption.

Every random draw is a function of (seed, epoch, record, repetition), so that the number of loader workers, or a stop
and a resume, changes nothing.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from searcher.datasets import Pair
from searcher.errors import SearcherError
from searcher.photos.decode import PhotoError, open_photo

Draw = tuple[int, int, int]  # epoch, record, repetition


def draw_rng(seed: int, draw: Draw) -> np.random.Generator:
    return np.random.default_rng((seed, *draw))


def caption_id(text: str) -> int:
    """A number for a caption, the same in every process: the first 8 bytes of its BLAKE2 digest."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


@dataclass(frozen=True)
class Augment:
    """Random resized crop, horizontal flip, brightness and contrast; then mean and standard deviation are removed."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    min_area: float = 0.5
    jitter: float = 0.3

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        """RGB image → float32 [3, size, size]."""
        width, height = image.size
        for _ in range(10):
            area = rng.uniform(self.min_area, 1.0) * width * height
            aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3))) * width / height
            w, h = np.sqrt(area * aspect), np.sqrt(area / aspect)
            if w <= width and h <= height:
                break
        else:
            w, h = width, height
        left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
        pixels = self._resize(image, (left, top, left + w, top + h))
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        brightness, contrast = (1 + rng.uniform(-self.jitter, self.jitter, 2)).astype(np.float32)
        pixels = ((pixels - pixels.mean()) * contrast + pixels.mean()) * brightness
        return self._normalise(np.clip(pixels, 0, 1))

    def plain(self, image: Image.Image) -> Tensor:
        """What search will do: the whole picture squashed to size × size. RGB image → float32 [3, size, size]."""
        return self._normalise(self._resize(image, (0, 0, *image.size)))

    def _resize(self, image: Image.Image, box: tuple[float, float, float, float]) -> np.ndarray:
        small = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
        return np.asarray(small, np.float32) / 255

    def _normalise(self, pixels: np.ndarray) -> Tensor:
        pixels = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


class PairDataset(Dataset[dict[str, Tensor] | None]):
    """Images with one of their captions each. An image that cannot be read gives None (counted by the loop)."""

    def __init__(self, pairs: list[Pair], augment: Augment, tokenizer: Any, seed: int) -> None:
        self.pairs, self.augment, self.tokenizer, self.seed = pairs, augment, tokenizer, seed
        self.captions_of: dict[str, tuple[str, ...]] = {p.label: p.captions for p in pairs if p.label is not None}
        self.classes = {label: i for i, label in enumerate(self.captions_of)}

    def __getitem__(self, draw: Draw) -> dict[str, Tensor] | None:
        pair = self.pairs[draw[1]]
        rng = draw_rng(self.seed, draw)
        caption = pair.captions[rng.integers(len(pair.captions))]
        try:
            image = open_photo(pair.image, min_side=2 * self.augment.size).image
        except PhotoError:
            return None
        label = caption_id(f"label {pair.label}") if pair.label is not None else caption_id(pair.image)
        return {
            "images": self.augment(image, rng),
            "texts": self.tokenizer([caption])[0],
            "ids": torch.tensor([caption_id(caption), label]),
            "classes": torch.tensor(self.classes.get(pair.label, -1) if pair.label is not None else -1),
        }


class SentenceDataset(Dataset[dict[str, Tensor] | None]):
    """Sentences with a teacher's embedding of each: `name.txt`, one a line, and `name.npy` [n, d] beside it."""

    def __init__(self, path: Path, tokenizer: Any) -> None:
        self.sentences = path.read_text(encoding="utf-8").splitlines()
        vectors = path.with_suffix(".npy")
        if not vectors.is_file():
            raise SearcherError(f"{path} needs a teacher's embeddings beside it: {vectors.name}")
        self.teacher = np.load(vectors, mmap_mode="r", allow_pickle=False)
        if len(self.teacher) != len(self.sentences):
            raise SearcherError(f"{vectors} has {len(self.teacher)} rows for {len(self.sentences)} sentences")
        self.tokenizer = tokenizer

    def __getitem__(self, draw: Draw) -> dict[str, Tensor] | None:
        i = draw[1]
        return {
            "texts": self.tokenizer([self.sentences[i]])[0],
            "teacher": torch.from_numpy(np.asarray(self.teacher[i], np.float32)),
        }


@dataclass(frozen=True)
class Schedule:
    """Which draws make up which batch: an epoch takes each record `weight` times on average, in a shuffled order."""

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
        # A small weight can leave the last batch short: wrap around, so that every batch is full.
        size = self.steps_per_epoch * self.batch_size
        order = np.resize(order, size)
        draws = [(epoch, int(records[i]), int(repetition[i])) for i in order]
        return [draws[i : i + self.batch_size] for i in range(0, size, self.batch_size)]

    def from_step(self, step: int, total: int) -> Iterator[list[Draw]]:
        """The batches of a run, from a global step on."""
        while step < total:
            batches = self.epoch(step // self.steps_per_epoch)[step % self.steps_per_epoch :]
            yield from batches[: total - step]
            step += len(batches)


def collate(samples: list[dict[str, Tensor] | None]) -> dict[str, Tensor]:
    """Stack the samples that could be read; `bad` counts the others."""
    good = [s for s in samples if s is not None]
    batch = {key: torch.stack([s[key] for s in good]) for key in (good[0] if good else ())}
    batch["bad"] = torch.tensor(len(samples) - len(good))
    return batch


def loader(dataset: Dataset[Any], batches: Iterator[list[Draw]], workers: int) -> DataLoader[Any]:
    """Batches in the given order, whatever the number of workers."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
    )
