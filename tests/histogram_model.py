"""A small and fast encoder for tests. It compares images with the names of colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from searcher.errors import SearcherError

SIDE = 16
COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 160, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}


class HistogramModel:
    """Embeds an image as a histogram of 4 x 4 x 4 colours.

    A text is embedded as the histogram of the colours that it names. If it names none, all 64 values are equal.
    """

    name = "histogram"
    version = "1"
    slug = "histogram"
    dim = 64
    image_size = SIDE
    precision = "float32"
    logit_scale: float | None = 100.0
    logit_bias: float | None = None
    languages: tuple[str, ...] | None = ("en",)
    folder = Path(__file__).parent
    scale_and_bias = (100.0, 0.0)

    def __init__(self, digest: str = "0123456789abcdef") -> None:
        self.digest = digest
        # a photo shows a colour if the cosine is at least 0.5
        self.info: dict[str, Any] = {"relevance": {"slope": [20.0, 0.0], "offset": [-10.0, 0.0], "measured": True}}
        self.encoded = 0  # images embedded so far

    def mixes_with(self, precision: str) -> bool:
        return precision == self.precision

    def in_precision(self, precision: str) -> Self:
        if precision != self.precision:
            raise SearcherError(f"no precision {precision}")
        return self

    def known_script(self, text: str) -> bool:
        return text.isascii()

    def cuts(self, text: str) -> bool:
        return False

    def preprocess(self, image: Image.Image) -> np.ndarray:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        return np.asarray(small, np.float32).transpose(2, 0, 1) / 255

    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        self.encoded += len(batch)
        levels = np.clip((batch * 4).astype(int), 0, 3)
        bins = levels[:, 0] * 16 + levels[:, 1] * 4 + levels[:, 2]
        counts = np.stack([np.bincount(row.ravel(), minlength=64) for row in bins])
        return _unit(counts)

    def encode_images(self, images: Sequence[Image.Image | str | Path]) -> np.ndarray:
        opened = [image if isinstance(image, Image.Image) else Image.open(image) for image in images]
        return self.encode_pixels(np.stack([self.preprocess(image) for image in opened]))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = []
        for text in texts:
            named = [colour for word, colour in COLOURS.items() if word in text.lower().split()]
            row = np.full(64, 0.0 if named else 1.0)
            for colour in named:
                level = [min(3, channel * 4 // 256) for channel in colour]
                row[level[0] * 16 + level[1] * 4 + level[2]] += 1
            rows.append(row)
        return _unit(np.stack(rows))


class OtherModel(HistogramModel):
    """A model with other vectors and one more dimension. Its scores are 0.8 times those of HistogramModel."""

    name = slug = "other"
    dim = 65

    def __init__(self, digest: str = "fedcba9876543210") -> None:
        super().__init__(digest)

    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        vectors = np.roll(super().encode_pixels(batch), 7, axis=1)
        return np.pad(vectors, ((0, 0), (0, 1)))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        vectors = 0.8 * np.roll(super().encode_texts(texts), 7, axis=1)
        return np.pad(vectors, ((0, 0), (0, 1)), constant_values=0.6).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
