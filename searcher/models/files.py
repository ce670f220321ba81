"""Embed image files without a library. The embeddings are the same as those that `index` stores."""

import os
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searcher.photos.ahead import ahead
from searcher.photos.decode import PhotoError, decode, read_bytes

if TYPE_CHECKING:
    from searcher.models.model import Model

BATCH_SIZE = 32


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A file and its embedding: float16 (dim,), as the catalog stores it. None if there is an `error`."""

    path: str
    vector: np.ndarray | None
    error: str | None = None


def embed_files(model: "Model", paths: Iterable[str | Path]) -> Generator[Embedded]:
    """Embed image files, in order.

    The files are decoded, resized, batched and rounded as `index` does it. Threads read ahead. A bad file
    does not raise: its `error` gives the reason, without the path.
    """

    def prepare(path: str) -> np.ndarray | str:
        try:
            return model.preprocess(decode(read_bytes(os.fsencode(path)), min_side=model.image_size).image)
        except PhotoError as error:
            return error.reason
        except Exception as error:  # one bad file must not stop the run
            return f"cannot be prepared: {error or type(error).__name__}"

    waiting: list[tuple[str, np.ndarray | str]] = []
    names = [str(path) for path in paths]
    with closing(ahead(prepare, names)) as prepared:
        for pair in zip(names, prepared, strict=True):
            waiting.append(pair)
            if len(waiting) == BATCH_SIZE:
                yield from _embed(model, waiting)
                waiting = []
    yield from _embed(model, waiting)


def _embed(model: "Model", files: list[tuple[str, np.ndarray | str]]) -> Generator[Embedded]:
    pixels = [prepared for _, prepared in files if not isinstance(prepared, str)]
    vectors = iter(model.encode_pixels(np.stack(pixels)).astype(np.float16) if pixels else ())
    for path, prepared in files:
        if isinstance(prepared, str):
            yield Embedded(path, None, prepared)
        else:
            yield Embedded(path, next(vectors))
