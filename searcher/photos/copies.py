"""Whether two photos that look alike are one shot: one of them is the other, resized, recompressed or cropped a little.

The smaller cut is laid over the larger one as well as possible, and what differs then decides. So the next shot of a
burst is told apart: its frame sticks out on one side, or its light or a part of it differs.
"""

import numpy as np
from PIL import Image

SIDE = 96
"""Pixels of the square pictures that are compared."""

_LEVELS = (24, 48, 96)  # coarse to fine
_STEPS = 5  # of the Gauss-Newton method, at each level
_BLOCK = 8  # pixels of the blocks whose means are compared: noise and edges average out
_MARGIN = 0.008  # how far one frame may stick out of the other, as a share of its side
_LARGEST_CROP = 0.15
MOST_DIFFERENT = 6.0
"""The largest difference of a block's mean, in levels of 256, between two copies of a shot."""


def outline(image: Image.Image) -> np.ndarray:
    """What `same_shot` compares: an upright picture as (SIDE, SIDE) float32, grey, 0 to 255."""
    grey = image.convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0), np.float32)


def same_shot(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether one of two outlines shows the other one, or a part of it that misses little."""
    return any(_difference(whole, part) <= MOST_DIFFERENT for whole, part in ((first, second), (second, first)))


def _difference(whole: np.ndarray, part: np.ndarray) -> float:
    """The largest difference of a block's mean if `part` is laid over the best place of `whole` (levels of 256).

    It is infinite if that place is not inside `whole`.
    """
    scale, start = np.ones(2, np.float64), np.zeros(2, np.float64)  # rows, columns; a share of the side
    for side in _LEVELS:
        step = SIDE // side
        coarse_whole, coarse_part = (picture.reshape(side, step, side, step).mean((1, 3)) for picture in (whole, part))
        scale, start = _register(coarse_whole, coarse_part, scale, start)
    end = start + scale
    if start.min() < -_MARGIN or end.max() > 1 + _MARGIN or scale.min() < 1 - _LARGEST_CROP:
        return np.inf
    differences = (part - _cut(whole, scale, start))[1:-1, 1:-1]  # the outermost pixels may lie outside
    rest = _BLOCK - 1
    rows = [slice(at, at + rest + 1) for at in range(0, SIDE - 2 - rest, _BLOCK // 2)]
    return max(abs(float(differences[row, column].mean())) for row in rows for column in rows)


def _register(
    whole: np.ndarray, part: np.ndarray, scale: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move and stretch the place of `part` in `whole` so that the squared difference is least (Gauss-Newton)."""
    side = len(part)
    place = (np.arange(side) + 0.5) / side
    for _ in range(_STEPS):
        cut = _cut(whole, scale, start)
        by_row, by_column = np.gradient(cut)
        by_row, by_column = by_row * side / scale[0], by_column * side / scale[1]
        slopes = np.stack([by_row, by_row * place[:, None], by_column, by_column * place[None, :]], -1)[1:-1, 1:-1]
        slopes = slopes.reshape(-1, 4)
        wanted = (part - cut)[1:-1, 1:-1].ravel()
        # einsum, because the threads of a matrix product cost more than so small a one
        square, product = np.einsum("ni,nj->ij", slopes, slopes), np.einsum("ni,n->i", slopes, wanted)
        change = np.linalg.solve(square + 1e-3 * np.eye(4), product)
        change = np.clip(change, -0.05, 0.05)
        start = np.clip(start + change[[0, 2]], -0.2, 0.2)
        scale = np.clip(scale + change[[1, 3]], 0.7, 1.3)
        if np.abs(change).max() < 1e-4:
            break
    return scale, start


def _cut(whole: np.ndarray, scale: np.ndarray, start: np.ndarray) -> np.ndarray:
    """A part of a square picture, stretched to its size with linear interpolation."""
    side = len(whole)
    points = (np.arange(side) + 0.5) / side
    rows, columns = (np.clip((start[axis] + scale[axis] * points) * side - 0.5, 0, side - 1) for axis in (0, 1))
    above, left = (np.minimum(at.astype(np.intp), side - 2) for at in (rows, columns))
    down, right = (rows - above)[:, None], (columns - left)[None, :]
    lines = whole[above] * (1 - down) + whole[above + 1] * down
    cut: np.ndarray = lines[:, left] * (1 - right) + lines[:, left + 1] * right
    return cut
