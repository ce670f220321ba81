"""Converts any of Pillow's pixel modes to the RGB that a viewer would show.

High bit depths are scaled, not clipped. Transparent pixels are shown on white, not on black.
"""

from functools import cache, lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from searcher.photos.samples import FLOAT, SIGNED, black_and_white, finite_range, to_levels

_ROWS = 64

_PROFILE_OF_MODE = {"RGB": "RGB", "RGBA": "RGB", "P": "RGB", "PA": "RGB", "L": "GRAY", "LA": "GRAY"}


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image of any mode to an RGB image of the same size.

    A colour profile of an RGB or 8-bit grey image is not applied here. `to_srgb` does that.
    """
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        levels = _grey_levels(image.info.get("icc_profile") or b"", "I;16")
        return _scaled(values, 0, 65535) if levels is None else Image.fromarray(levels[values]).convert("RGB")
    if image.mode in ("I", "F"):
        values = np.asarray(image)
        low, high = finite_range(values)
        return _scaled(values, *black_and_white(low, high, SIGNED if image.mode == "I" else FLOAT))
    if image.mode == "CMYK":
        transform = _to_srgb_transform(image.info.get("icc_profile") or b"", "CMYK")
        return image.convert("RGB") if transform is None else transform.apply(image)
    if image.mode == "LAB":
        return _lab_to_rgb().apply(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def to_srgb(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Convert `picture` to sRGB if the file has another RGB or grey profile, such as Display P3 or Adobe RGB.

    picture: the RGB image that `to_rgb` made from `source`. It is returned unchanged if no conversion is needed.
    """
    profile = source.info.get("icc_profile")
    space = _PROFILE_OF_MODE.get(source.mode)
    if not profile or space is None:
        return picture
    if space == "GRAY":
        levels = _grey_levels(profile, "L")
        return picture if levels is None else picture.getchannel(0).point(levels.tolist()).convert("RGB")
    transform = _to_srgb_transform(profile, "RGB")
    return picture if transform is None else transform.apply(picture)


def _scaled(values: "np.ndarray[Any, Any]", black: float, white: float) -> Image.Image:
    """Scale numbers of shape (h, w) to an RGB image."""
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):  # in bands, because a large image as float64 takes gigabytes
        grey[top : top + _ROWS] = to_levels(values[top : top + _ROWS], black, white)
    return Image.fromarray(grey).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    elif image.mode not in ("LA", "RGBA"):
        image = image.convert("RGBA")
    picture = Image.new("L" if image.mode == "LA" else "RGB", image.size, "white")
    picture.paste(image, mask=image.getchannel("A"))
    return picture.convert("RGB") if picture.mode == "L" else picture


@cache
def _lab_to_rgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


@lru_cache(maxsize=8)
def _grey_levels(profile: bytes, mode: str) -> "np.ndarray[Any, Any] | None":
    """The levels in sRGB of all numbers of an image of mode "L" or "I;16", uint8 (256,) or (65536,).

    None if the profile is not for grey, or is invalid.
    """
    # lcms would replace the curve by a coarse one, which is wrong for dark levels
    transform = _to_srgb_transform(profile, mode, ImageCms.Flags.NOOPTIMIZE)
    if transform is None:
        return None
    ramp = np.arange(256, dtype=np.uint8) if mode == "L" else np.arange(65536, dtype=np.uint16)
    return np.asarray(transform.apply(Image.fromarray(ramp[None])))[0, :, 0].copy()


@lru_cache(maxsize=32)
def _to_srgb_transform(
    profile: bytes, mode: str, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> ImageCms.ImageCmsTransform | None:
    """The transform from images of `mode` with this profile to sRGB.

    None if there is no profile, if it is sRGB, if it is for another mode, or if it is invalid.
    """
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != (mode if mode in ("RGB", "CMYK") else "GRAY"):
            return None
        if "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
