"""Any of Pillow's pixel modes → RGB as a person would see it: scaled, not clipped; on white, not on black."""

from functools import cache, lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

_BITS_PER_SAMPLE = 258  # TIFF tag
_ROWS = 64


def to_rgb(image: Image.Image) -> Image.Image:
    """A loaded image of any mode → a picture of mode RGB and the same size. Pixels of an RGB profile are not
    yet sRGB."""
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
    """An RGB picture of `source`'s colours → sRGB, where the file says that its RGB is another one (Display
    P3, Adobe RGB)."""
    if source.mode not in ("RGB", "RGBA", "P", "PA"):
        return picture
    transform = _to_srgb_transform(source.info.get("icc_profile") or b"", "RGB")
    return picture if transform is None else transform.apply(picture)


def _scaled(values: "np.ndarray[Any, Any]", low: float, high: float) -> Image.Image:
    """(h, w) numbers, `low` → black, `high` → white."""
    factor = 255 / (high - low) if high > low else 1.0
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):  # in bands: a large picture as float64 would take gigabytes
        band = values[top : top + _ROWS].astype(np.float64)
        levels = (np.nan_to_num(band, nan=low, posinf=high, neginf=low) - low) * factor
        grey[top : top + _ROWS] = levels.clip(0, 255) + 0.5
    return Image.fromarray(grey).convert("RGB")


def _white_16(image: Image.Image) -> int:
    """The value of white in a picture of 16-bit cells: 65535, or 4095 in a TIFF of 12 bits."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    depth = bits[0] if isinstance(bits, tuple) and bits else bits
    return 2**depth - 1 if isinstance(depth, int) and 9 <= depth <= 16 else 65535


def _range(values: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """Black and white of 32-bit integers or floats, which have no fixed ones: 0 to 1, 255 or 65535 if that
    holds all of the values and is not far too wide for them, else darkest to brightest."""
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
    # Adobe writes CMYK upside down (0 is full ink) and marks the file; Pillow takes every JPEG for such a
    # one. A JPEG without the mark means what it says (libjpeg's libjpeg.txt, "Special color spaces").
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
    """The way from a profile of `mode` to sRGB; None when there is none, it is sRGB already, or it makes no
    sense."""
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
