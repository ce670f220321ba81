"""From an upright RGB picture to the numbers that an image encoder takes, as open_clip's transform does it.

Only Pillow and numpy: `preprocess_cfg.json` says size, mean, std, interpolation, resize mode and fill colour.
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
LONG = 400  # times as long as wide, a picture is cropped before it is resized: 1 x 30,000 pixels would take gigabytes
INTERPOLATIONS = ("bicubic", "bilinear", "random")  # open_clip takes bicubic for "random" outside of training


@dataclass(frozen=True)
class Preprocess:
    """open_clip's evaluation transform. `size` is (height, width) in pixels; mean and std are of values in
    0..1.
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Preprocess":
        """Read open_clip's `preprocess_cfg`; what is absent or null has open_clip's default.

        Raises ValueError on values that open_clip would not take either.
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
        """The resized and cropped (or padded) RGB picture of exactly `size`."""
        height, width = self.size
        method = Image.Resampling.BILINEAR if self.interpolation == "bilinear" else Image.Resampling.BICUBIC
        fill = 0
        if self.resize_mode == "squash":
            target = (width, height)
        elif self.resize_mode == "longest":
            ratio = max(image.height / height, image.width / width)
            target, fill = (round(image.width / ratio), round(image.height / ratio)), self.fill_color
        elif height == width:
            # torchvision's Resize(int): the long side is truncated, not rounded
            short = min(image.size)
            target = (int(height * image.width / short), int(height * image.height / short))
        else:
            ratio = min(image.height / height, image.width / width)
            target = (round(image.width / ratio), round(image.height / ratio))
            method = Image.Resampling.BICUBIC  # open_clip passes no interpolation here
        if target[0] * target[1] > LONG * width * height:
            return _center_resized(image, target, (width, height), method)
        image = _resize(image, (max(1, target[0]), max(1, target[1])), method)
        return _center(image, width, height, fill)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """`image` (PIL, upright, RGB) → float32 array (3, H, W), normalised."""
        scale, offset = self._affine
        pixels = np.asarray(_rgb(self.crop(image))).transpose(2, 0, 1)
        result = np.empty(pixels.shape, dtype=np.float32)
        np.multiply(pixels, scale, out=result)
        result -= offset
        return result

    @cached_property
    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        """What takes 0..255 to normalised numbers: float32 (3, 1, 1) to multiply with, and to subtract."""
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
    """The middle `size` of what `image` would be when resized to `whole`: the same, but that Pillow may round between
    rows and columns where it would round between columns and rows."""
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
    # Python's round, half to even: what torchvision does
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))
