"""Measure the model during training: zero-shot accuracy on class folders, or recall@k on pairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from searcher.datasets import ClassFolder, Source
from searcher.errors import InvalidInput
from searcher.evaluate import read_data, retrieval, zero_shot
from searcher.models import DualEncoder
from searcher.models.preprocess import Preprocess
from searcher.photos.decode import content_digest
from searcher.progress import SILENT, Progress
from searcher.trainer.distributed import Processes
from searcher.trainer.locked import ImageTrunk, image_head
from searcher.trainer.sources import first_bad
from searcher.trainer.text import without_padding

IMAGES = 2000  # the maximum number of images, picked at even intervals
TEMPLATES = ("a photo of a {}",)


@dataclass(frozen=True)
class TorchEncoder:
    """A torch model with what `evaluate` needs of a `DualEncoder`, so that it is measured as the exported model is.

    model: an open_clip model. tokenizer: of open_clip. preprocessing: what search will do with an image. known: the
    features of the images that were encoded before, by digest, if the image trunk is locked; otherwise None.
    """

    model: Any
    tokenizer: Any
    preprocessing: Preprocess
    dim: int
    processes: Processes
    known: dict[bytes, torch.Tensor] | None = None

    @property
    def image_size(self) -> int:
        """The shorter side of the image encoder's input, in pixels."""
        return min(self.preprocessing.size)

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """An upright RGB image → float32 (3, H, W). Thread-safe."""
        return self.preprocessing(image)

    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        """Preprocessed float32 (b, 3, H, W) → float32 (b, dim), unit length."""
        if self.known is not None:
            return self._unit(image_head(self.model.visual)(self._features(batch)))
        pixels = torch.from_numpy(batch).to(self.processes.device, memory_format=torch.channels_last)
        return self._unit(self.model.encode_image(pixels, normalize=True))

    def _features(self, batch: np.ndarray) -> torch.Tensor:
        """What a locked trunk makes of each image. It is computed once."""
        assert self.known is not None
        digests = [content_digest(image.tobytes()) for image in batch]
        new = [number for number, digest in enumerate(digests) if digest not in self.known]
        if new:
            pixels = torch.from_numpy(batch[new]).to(self.processes.device, memory_format=torch.channels_last)
            found = ImageTrunk(self.model.visual)(pixels)
            self.known.update((digests[number], row) for number, row in zip(new, found, strict=True))
        return torch.stack([self.known[digest] for digest in digests])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts → float32 (n, dim), unit length."""
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(texts), 256):
            ids = self.tokenizer(list(texts[start : start + 256])).to(self.processes.device)
            parts.append(self._unit(self.model.encode_text(without_padding(self.model, ids), normalize=True)))
        return np.concatenate(parts)

    def _unit(self, features: torch.Tensor) -> np.ndarray:
        """float32 on the CPU. In a reduced precision the length is not exactly 1, so it is corrected."""
        found: np.ndarray = torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()
        return found


class Validation:
    """Measures a torch model on the data that `searcher evaluate` would use, reduced to at most `IMAGES` images.

    given: a file or folder, or what was read from it. remarks: what the user should know about the data. Raises
    SearcherError if the data cannot be read.
    """

    def __init__(self, given: Path | ClassFolder | Source) -> None:
        self.data = thinned(read_data(given) if isinstance(given, Path) else given)
        self.remarks = list(self.data.remarks)
        if self.data.bad:
            self.remarks.append(f"{self.data.path}: {first_bad(self.data.bad)}")

    @torch.no_grad()
    def __call__(self, encoder: TorchEncoder, progress: Progress = SILENT) -> dict[str, float]:
        """Returns `zero_shot` (top-1 with the prompt `a photo of a …`), or `text_to_image_r1` … `image_to_text_r10`.

        Returns {} if no image can be read.
        """
        model, data = encoder.model, self.data
        modes = {module: module.training for module in model.modules()}
        model.eval()
        try:
            with encoder.processes.autocast():
                found = _zero_shot(encoder, data) if isinstance(data, ClassFolder) else _recall(encoder, data)
        except InvalidInput as error:
            progress.notice(f"the model cannot be measured: {error}")
            return {}
        finally:
            for module, training in modes.items():
                module.training = training
        return {name: round(value, 4) for name, value in found.items()}


def _zero_shot(encoder: TorchEncoder, classes: ClassFolder) -> dict[str, float]:
    return {"zero_shot": zero_shot(cast(DualEncoder, encoder), classes, templates=TEMPLATES, compare_bare=False).top1}


def _recall(encoder: TorchEncoder, source: Source) -> dict[str, float]:
    found = retrieval(cast(DualEncoder, encoder), source)
    return {f"{way}_{k}": value for way, recall in found.ways.items() for k, value in recall.as_dict().items()}


def thinned(data: ClassFolder | Source) -> ClassFolder | Source:
    """The same data with at most `IMAGES` images."""
    if isinstance(data, Source):
        return replace(data, pairs=data.pairs[:: math.ceil(len(data.pairs) / IMAGES)])
    step = math.ceil(sum(map(len, data.images)) / IMAGES)
    kept = np.cumsum([0, *map(len, data.images)])
    images = [paths[-start % step :: step] for start, paths in zip(kept[:-1].tolist(), data.images, strict=True)]
    return replace(data, images=images)
