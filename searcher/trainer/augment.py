"""Turn an RGB image into input for the image encoder, with random augmentation."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

LEVELS = np.arange(256, dtype=np.float32) / 255  # byte value → brightness


@dataclass(frozen=True)
class Augment:
    """Random augmentation of an image, followed by normalisation.

    The augmentation is a random resized crop, grayscale, horizontal flip, brightness and contrast. The normalisation
    subtracts `mean` and divides by `std`.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min_area: float = 0.5  # the smallest crop, as a share of the image's area
    jitter: float = 0.3
    grayscale: float = 0.0  # the share of images that are converted to grayscale

    def __call__(self, image: Image.Image, rng: np.random.Generator, mirror: bool = True) -> Tensor:
        """RGB image → float32 [3, size, size]. If `mirror` is true, half of the images are flipped."""
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
        box = left, top, left + w, top + h
        if rng.random() < self.grayscale:
            image = image.convert("L").convert("RGB")
        pixels = self._resize(image, box)
        if rng.random() < 0.5 and mirror:
            pixels = pixels[:, ::-1]
        brightness, contrast = (1 + rng.uniform(-self.jitter, self.jitter, 2)).astype(np.float32)
        mean = np.float32(pixels.mean() / 255)
        return self._normalise(pixels, np.clip(((LEVELS - mean) * contrast + mean) * brightness, 0, 1))

    def _resize(self, image: Image.Image, box: tuple[float, float, float, float]) -> np.ndarray:
        return np.asarray(image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))

    def _normalise(self, pixels: np.ndarray, levels: np.ndarray) -> Tensor:
        """Normalise each channel with a lookup table: only 256 values are computed, not one per pixel."""
        tables = (levels[:, None] - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(np.stack([tables[:, c].take(pixels[..., c]) for c in range(3)]))
