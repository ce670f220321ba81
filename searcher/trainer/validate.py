"""Measure the model during training: zero-shot accuracy on class folders, or recall@k on pairs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searcher.datasets import ClassFolder, Source
from searcher.evaluate import Recall, best_ranks, read_data
from searcher.photos.decode import PhotoError, open_photo
from searcher.trainer.augment import Augment
from searcher.trainer.distributed import Processes

IMAGES = 2000  # the maximum number of images, picked at even intervals
AT_ONCE = 250


class Validation:
    """Measures a torch model on the data that `searcher evaluate` would use, reduced to at most `IMAGES` images.

    Raises SearcherError if the data cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.data = _thinned(read_data(path))

    @torch.no_grad()
    def __call__(self, model: Any, tokenizer: Any, augment: Augment, processes: Processes) -> dict[str, float]:
        """Returns `zero_shot` (top-1 with the prompt `a photo of a …`), or `text_to_image_r1` … `image_to_text_r10`."""
        modes = {module: module.training for module in model.modules()}
        model.eval()
        try:
            with processes.autocast():
                encode = _Encoders(model, tokenizer, augment, processes)
                data = self.data
                found = _zero_shot(encode, data) if isinstance(data, ClassFolder) else _recall(encode, data)
                return {name: round(value, 4) for name, value in found.items()}
        finally:
            for module, training in modes.items():
                module.training = training


class _Encoders:
    def __init__(self, model: Any, tokenizer: Any, augment: Augment, processes: Processes) -> None:
        self.model, self.tokenizer, self.augment, self.device = model, tokenizer, augment, processes.device

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, float32 [n, d], unit length."""
        parts = [texts[i : i + AT_ONCE] for i in range(0, len(texts), AT_ONCE)]
        ids = (self.tokenizer(list(part)).to(self.device) for part in parts)
        return torch.cat([self.model.encode_text(part, normalize=True).float() for part in ids])

    def images(self, paths: Sequence[Path | str]) -> tuple[list[int], Tensor]:
        """The indices of the images that can be read, and their features, float32 [n, d]."""
        kept, features = [], []
        for numbers, pixels in self._batches(paths):
            kept += numbers
            features.append(self.model.encode_image(pixels.to(self.device), normalize=True).float())
        if not kept:
            return [], torch.empty(0, 0)
        return kept, torch.cat(features)

    def _batches(self, paths: Sequence[Path | str]) -> Iterator[tuple[list[int], Tensor]]:
        for start in range(0, len(paths), AT_ONCE):
            numbers, pixels = [], []
            for number, path in enumerate(paths[start : start + AT_ONCE], start):
                try:
                    pixels.append(self.augment.plain(open_photo(path, min_side=2 * self.augment.size).image))
                    numbers.append(number)
                except PhotoError:
                    continue
            if numbers:
                yield numbers, torch.stack(pixels)


def _zero_shot(encode: _Encoders, classes: ClassFolder) -> dict[str, float]:
    files = [(path, label) for label, paths in enumerate(classes.images) for path in paths]
    kept, images = encode.images([path for path, _ in files])
    if not kept:
        return {}
    prompts = encode.texts([f"a photo of a {name}" for name in classes.names])
    truth = torch.tensor([files[i][1] for i in kept], device=images.device)
    return {"zero_shot": ((images @ prompts.T).argmax(1) == truth).float().mean().item()}


def _recall(encode: _Encoders, source: Source) -> dict[str, float]:
    kept, images = encode.images([pair.image for pair in source.pairs])
    if not kept:
        return {}
    pairs = [source.pairs[i] for i in kept]
    number = {text: n for n, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair.captions))}
    of_image = np.array([i for i, pair in enumerate(pairs) for _ in pair.captions])
    of_text = np.array([number[text] for pair in pairs for text in pair.captions])
    photos, texts = images.cpu().numpy(), encode.texts(list(number)).cpu().numpy()
    found = {
        "text_to_image": Recall.of(best_ranks(texts, photos, of_text, of_image)),
        "image_to_text": Recall.of(best_ranks(photos, texts, of_image, of_text)),
    }
    return {f"{way}_{k}": value for way, recall in found.items() for k, value in recall.as_dict().items()}


def _thinned(data: ClassFolder | Source) -> ClassFolder | Source:
    if isinstance(data, Source):
        return replace(data, pairs=data.pairs[:: math.ceil(len(data.pairs) / IMAGES)])
    step = math.ceil(sum(map(len, data.images)) / IMAGES)
    kept = np.cumsum([0, *map(len, data.images)])
    images = [paths[-start % step :: step] for start, paths in zip(kept[:-1].tolist(), data.images, strict=True)]
    return replace(data, images=images)
