"""How many photos an encoder embeds in one pass."""

import time
from functools import lru_cache

import numpy as np

from searcher.models import Model
from searcher.models.layout import ModelError

ON_CPU = 8
"""Photos per pass on a CPU, always: some encoders (int8) give slightly different embeddings in passes of another size,
and all machines should give the same. ViT-B-32-256 in int8 embedded 29, 28, 26 and 23 photos per second at 8, 16, 32
and 64 photos per pass, on two cores."""

ON_GPU = (32, 64, 128, 256, 512)
"""What is tried on a GPU. More photos than fit into its memory are an error, which ends the trials."""

WORTH_IT = 1.05  # a larger pass must be so many times as fast: it delays each photo


@lru_cache(maxsize=8)
def photos_at_once(model: Model) -> int:
    """The photos per pass for the machine that runs this. On a GPU it is measured, once, in a few seconds."""
    return ON_CPU if model.on_cpu else _fastest(model)


def _fastest(model: Model) -> int:
    height, width = model.preprocessing.size
    best, rate = ON_GPU[0], 0.0
    for size in ON_GPU:
        pixels = np.zeros((size, 3, height, width), np.float32)
        try:
            model.encode_pixels(pixels)  # the first run allocates memory and chooses kernels
            begun = time.perf_counter()
            model.encode_pixels(pixels)
            found = size / (time.perf_counter() - begun)
        except ModelError:
            if rate == 0:
                raise
            break
        if found > rate * WORTH_IT:
            best, rate = size, found
    return best
