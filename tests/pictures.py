"""Draws pictures for tests."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path | bytes, seed: int, size: tuple[int, int] = (96, 72)) -> None:
    """Save a JPEG with soft patches of colour. Each seed gives a clearly different picture."""
    patches = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    Path(os.fsdecode(path)).write_bytes(file.getvalue())
