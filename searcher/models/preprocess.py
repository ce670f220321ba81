"""Convert an upright RGB image to the input of an image encoder, in the same way as open_clip's transform.

This needs only Pillow and numpy. `preprocess_cfg.json` gives the size, mean, std, interpolation, resize mode
and fill colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
RESIZE_MODES = ("shortest", "longest", "squash")
# If resizing would produce more than this many times the pixels of the target, the image is cropped first. Otherwise an
# image of 1 x 30,000 pixels would take gigabytes.
LONG = 400
INTERPOLATIONS = ("bicubic", "bilinear", "random")  # outside of training, open_clip uses bicubic for "random"


@dataclass(frozen=True)
class Preprocess:
    """open_clip's evaluation transform.

    `size` is (height, width) in pixels. `mean` and `std` refer to pixel values from 0 to 1.
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Preprocess":
        """Read open_clip's `preprocess_cfg`. A missing or null value gets open_clip's default.

        Raises ValueError for values that open_clip does not accept either.
        """
        given = {key: value for key, value in config.items() if value is not None}
        size = given.get("size", 224)
        sides = [size, size] if isinstance(size, int | float) else list(size) * (2 if len(size) == 1 else 1)
        found = cls(
            size=(int(sides[0]), int(sides[1])),
            mean=_three(given.get("mean", OPENAI_MEAN)),
            std=_three(given.get("std", OPENAI_STD)),
            interpolation=given.get("interpolation", "bicubic"),
            resize_mode=given.get("resize_mode", "shortest"),
            fill_color=int(given.get("fill_color", 0)),
        )
        if len(sides) != 2 or min(found.size) < 1:
            raise ValueError(f"size {size} is not one or two positive numbers")
        if min(found.std) <= 0:
            raise ValueError(f"std {found.std} is not positive")
        if found.interpolation not in INTERPOLATIONS:
            raise ValueError(f"unknown interpolation {found.interpolation!r}")
        if found.resize_mode not in RESIZE_MODES:
            raise ValueError(f"unknown resize mode {found.resize_mode!r}")
        if given.get("mode", "RGB") != "RGB":
            raise ValueError(f"unknown colour mode {given['mode']!r}")
        return found

    def crop(self, image: Image.Image) -> Image.Image:
        """Resize `image` and crop or pad it to exactly `size`."""
        height, width = self.size
        method = Image.Resampling.BILINEAR if self.interpolation == "bilinear" else Image.Resampling.BICUBIC
        fill = 0
        if self.resize_mode == "squash":
            target = (width, height)
        elif self.resize_mode == "longest":
            ratio = max(image.height / height, image.width / width)
            target, fill = (round(image.width / ratio), round(image.height / ratio)), self.fill_color
        elif height == width:
            # torchvision's Resize(int) truncates the long side and does not round it
            short = min(image.size)
            target = (int(height * image.width / short), int(height * image.height / short))
        else:
            ratio = min(image.height / height, image.width / width)
            target = (round(image.width / ratio), round(image.height / ratio))
            method = Image.Resampling.BICUBIC  # open_clip ignores the interpolation setting here
        if target[0] * target[1] > LONG * width * height:
            return _center_resized(image, target, (width, height), method)
        image = _resize(image, (max(1, target[0]), max(1, target[1])), method)
        return _center(image, width, height, fill)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Convert an upright RGB PIL image to a normalised float32 array (3, H, W)."""
        scale, offset = self._affine
        pixels = np.asarray(_rgb(self.crop(image))).transpose(2, 0, 1)
        result = np.empty(pixels.shape, dtype=np.float32)
        np.multiply(pixels, scale, out=result)
        result -= offset
        return result

    @cached_property
    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and offset that normalise pixel values from 0 to 255, each float32 (3, 1, 1).

        The normalised value is `pixel * scale - offset`.
        """
        std = np.asarray(self.std, dtype=np.float32)[:, None, None]
        mean = np.asarray(self.mean, dtype=np.float32)[:, None, None]
        return np.float32(1 / 255) / std, mean / std


def _three(value: float | Sequence[float]) -> tuple[float, ...]:
    numbers = (value,) * 3 if isinstance(value, int | float) else tuple(value)
    if len(numbers) != 3:
        raise ValueError(f"{value} is not three numbers")
    return tuple(float(number) for number in numbers)


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _resize(image: Image.Image, size: tuple[int, int], method: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, method)


def _center_resized(
    image: Image.Image, whole: tuple[int, int], size: tuple[int, int], method: Image.Resampling
) -> Image.Image:
    """Return the middle `size` of `image` resized to `whole`, without resizing all of it.

    The result can differ by rounding, because Pillow may resize rows and columns in the other order.
    """
    box = []
    for full, part, original in zip(whole, size, image.size, strict=True):
        start = round((full - part) / 2.0)
        box.append((start * original / full, (start + part) * original / full))
    (left, right), (top, bottom) = box
    return image.resize(size, method, (left, top, right, bottom))


def _center(image: Image.Image, width: int, height: int, fill: int) -> Image.Image:
    if image.width < width or image.height < height:
        canvas = Image.new(image.mode, (max(width, image.width), max(height, image.height)), (fill,) * 3)
        canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
        image = canvas
    if image.size == (width, height):
        return image
    # torchvision also uses Python's round (half to even)
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))
