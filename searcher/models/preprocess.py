"""Convert an upright RGB image to the input of an image encoder, in the same way as open_clip's transform.

This needs only Pillow and numpy. `preprocess_cfg.json` gives the size, mean, std, interpolation, resize mode
and fill colour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image  # a search reads the configuration, and does not need Pillow

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
RESIZE_MODES = ("shortest", "longest", "squash")
# If resizing would produce more than this many times the pixels of the target, the image is cropped first. Otherwise an
# image of 1 x 30,000 pixels would take gigabytes.
LONG = 400
MAX_SIDE = 8192  # pixels
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

        Raises ValueError for values that open_clip does not accept either, and for a size above MAX_SIDE.
        """
        given = {key: value for key, value in config.items() if value is not None}
        sides = _numbers(given.get("size", 224), "size", 1, 2)
        found = cls(
            size=(int(sides[0]), int(sides[-1])),
            mean=_three(given.get("mean", OPENAI_MEAN), "mean"),
            std=_three(given.get("std", OPENAI_STD), "std"),
            interpolation=given.get("interpolation", "bicubic"),
            resize_mode=given.get("resize_mode", "shortest"),
            fill_color=int(_numbers(given.get("fill_color", 0), "fill_color")[0]),
        )
        if min(found.size) < 1 or max(found.size) > MAX_SIDE:
            raise ValueError(f"size {found.size} is not between 1 and {MAX_SIDE} pixels")
        if min(found.std) < 1e-6:
            raise ValueError(f"std {found.std} is not positive")
        if not 0 <= found.fill_color <= 255:
            raise ValueError(f"fill_color {found.fill_color} is not between 0 and 255")
        if found.interpolation not in INTERPOLATIONS:
            raise ValueError(f"unknown interpolation {found.interpolation!r:.60}")
        if found.resize_mode not in RESIZE_MODES:
            raise ValueError(f"unknown resize mode {found.resize_mode!r:.60}")
        if given.get("mode", "RGB") != "RGB":
            raise ValueError(f"unknown colour mode {given['mode']!r:.60}")
        return found

    def crop(self, image: "Image.Image") -> "Image.Image":
        """Resize `image` and crop or pad it to exactly `size`."""
        from PIL import Image

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

    def __call__(self, image: "Image.Image") -> np.ndarray:
        """Convert an upright RGB PIL image to a normalised float32 array (3, H, W)."""
        std = np.asarray(self.std, dtype=np.float32)[:, None, None]
        mean = np.asarray(self.mean, dtype=np.float32)[:, None, None]
        pixels = np.asarray(_rgb(self.crop(image))).transpose(2, 0, 1)
        result = np.empty(pixels.shape, dtype=np.float32)
        # (pixel / 255 - mean) / std, in two steps without a copy
        np.multiply(pixels, np.float32(1 / 255) / std, out=result)
        result -= mean / std
        return result


def _three(value: Any, name: str) -> tuple[float, ...]:
    numbers = tuple(float(number) for number in _numbers(value, name, 3))
    return numbers * 3 if len(numbers) == 1 else numbers


def _numbers(value: Any, name: str, *lengths: int) -> tuple[float, ...]:
    """A number as a tuple of one, or a list of numbers that has one of `lengths`."""
    listed = isinstance(value, list | tuple)
    numbers = tuple(value) if listed else (value,)
    if (listed and len(numbers) not in lengths) or not all(_is_number(number) for number in numbers):
        wanted = " or ".join(["one number", *(f"a list of {length}" for length in lengths)])
        raise ValueError(f"{name} {value!r:.60} is not {wanted}")
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30  # False for NaN, too


def _rgb(image: "Image.Image") -> "Image.Image":
    return image if image.mode == "RGB" else image.convert("RGB")


def _resize(image: "Image.Image", size: tuple[int, int], method: "Image.Resampling") -> "Image.Image":
    return image if image.size == size else image.resize(size, method)


def _center_resized(
    image: "Image.Image", whole: tuple[int, int], size: tuple[int, int], method: "Image.Resampling"
) -> "Image.Image":
    """Return the middle `size` of `image` resized to `whole`, without resizing all of it.

    The result can differ by rounding, because Pillow may resize rows and columns in the other order.
    """
    box = []
    for full, part, original in zip(whole, size, image.size, strict=True):
        start = round((full - part) / 2.0)
        box.append((start * original / full, (start + part) * original / full))
    (left, right), (top, bottom) = box
    return image.resize(size, method, (left, top, right, bottom))


def _center(image: "Image.Image", width: int, height: int, fill: int) -> "Image.Image":
    from PIL import Image

    if image.width < width or image.height < height:
        canvas = Image.new(image.mode, (max(width, image.width), max(height, image.height)), (fill,) * 3)
        canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
        image = canvas
    if image.size == (width, height):
        return image
    # torchvision also uses Python's round (half to even)
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))
