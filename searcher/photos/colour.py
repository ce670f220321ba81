"""Converts any of Pillow's pixel modes to the RGB that a viewer would show.

High bit depths are scaled, not clipped. Transparent pixels are shown on white, not on black.
"""

from functools import cache, lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

_BITS_PER_SAMPLE = 258  # TIFF tag
_ROWS = 64


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image of any mode to an RGB image of the same size.

    An RGB colour profile is not applied here. `to_srgb` does that.
    """
    if image.mode.startswith("I;16"):
        return _scaled(np.asarray(image), 0, _white_16(image))
    if image.mode in ("I", "F"):
        values = np.asarray(image)
        return _scaled(values, *_range(values))
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image)
    if image.mode == "LAB":
        return _lab_to_rgb().apply(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def to_srgb(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Convert `picture` to sRGB if the file has another RGB profile, such as Display P3 or Adobe RGB.

    picture: the RGB image that `to_rgb` made from `source`. It is returned unchanged if no conversion is needed.
    """
    if source.mode not in ("RGB", "RGBA", "P", "PA"):
        return picture
    transform = _to_srgb_transform(source.info.get("icc_profile") or b"", "RGB")
    return picture if transform is None else transform.apply(picture)


def _scaled(values: "np.ndarray[Any, Any]", low: float, high: float) -> Image.Image:
    """Scale numbers of shape (h, w) to an RGB image, with `low` as black and `high` as white."""
    factor = 255 / (high - low) if high > low else 1.0
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):  # in bands, because a large image as float64 takes gigabytes
        band = values[top : top + _ROWS].astype(np.float64)
        levels = (np.nan_to_num(band, nan=low, posinf=high, neginf=low) - low) * factor
        grey[top : top + _ROWS] = levels.clip(0, 255) + 0.5
    return Image.fromarray(grey).convert("RGB")


def _white_16(image: Image.Image) -> int:
    """The value of white in an image with 16 bits per sample: 65535, or 4095 in a 12-bit TIFF."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    depth = bits[0] if isinstance(bits, tuple) and bits else bits
    return 2**depth - 1 if isinstance(depth, int) and 9 <= depth <= 16 else 65535


def _range(values: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """The values of black and white for 32-bit integers or floats, whose file formats do not define them.

    Black is 0 and white is 1, 255 or 65535 if that range holds all values and is less than 16 times as wide as
    needed. Otherwise black is the lowest value and white is the highest.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0, 1
    low, high = float(finite.min()), float(finite.max())
    if low >= 0:
        for white in (1, 255, 65535):
            if white / 16 < high <= white:
                return 0, white
    return low, high


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        image = image.convert("RGBA")
    picture = Image.new("L" if image.mode == "LA" else "RGB", image.size, "white")
    picture.paste(image, mask=image.getchannel("A"))
    return picture.convert("RGB") if picture.mode == "L" else picture


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    # Adobe writes inverted CMYK (0 is full ink) and adds a marker to the file. Pillow assumes that every JPEG is
    # inverted. A JPEG without the marker is not (see "Special color spaces" in libjpeg's libjpeg.txt).
    if image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        image = _inverted(image)
    transform = _to_srgb_transform(image.info.get("icc_profile") or b"", "CMYK")
    return image.convert("RGB") if transform is None else transform.apply(image)


def _inverted(image: Image.Image) -> Image.Image:
    inverted = ImageChops.invert(image)
    inverted.info = image.info
    return inverted


@cache
def _lab_to_rgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


@lru_cache(maxsize=32)
def _to_srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from a profile of `mode` to sRGB.

    None if there is no profile, if it is sRGB, if it is for another mode, or if it is invalid.
    """
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != mode:
            return None
        if "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
