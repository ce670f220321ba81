"""Measure the speed of a model on this machine: images per second and milliseconds per query.

Each precision is measured on each execution provider.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from searcher.models.folder import ModelFolder
from searcher.models.layout import COMPACT, SIDES, ModelError
from searcher.models.model import Model
from searcher.models.session import Encoder, available_providers

QUERY = "a photo of a dog on the beach"
BATCH = 16


@dataclass(frozen=True)
class Timing:
    """One row of the table. If a provider cannot run this model, `error` says why and there are no numbers."""

    precision: str
    provider: str
    images_per_second: float | None = None
    query_ms: float | None = None
    open_ms: float | None = None  # for both encoders, in a process that has already loaded ONNX Runtime
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def bench(folder: ModelFolder, *, seconds: float = 3.0, threads: int = 0) -> Iterator[Timing]:
    """Time each precision of a model on each provider of this machine. Each measurement takes `seconds`."""
    for precision, files in sorted(folder.precisions.items()):
        model = Model(folder, precision=precision)
        height, width = model.preprocessing.size
        pixels = np.random.default_rng(0).standard_normal((BATCH, 3, height, width)).astype(np.float32)
        for provider in available_providers():
            name = provider.removesuffix("ExecutionProvider")
            providers = (provider,) if provider == "CPUExecutionProvider" else (provider, "CPUExecutionProvider")
            try:
                begun = time.perf_counter()
                visual, textual = (
                    Encoder(
                        folder.path / files[side], threads=threads, providers=providers, unpack=precision == COMPACT
                    )
                    for side in SIDES
                )
                opened = time.perf_counter() - begun
                query = model.text_inputs(textual, [QUERY])
                batch = _median_seconds(visual, (pixels,), seconds)
                text = _median_seconds(textual, query, seconds / 3)
            except ModelError as error:
                yield Timing(precision, name, error=str(error))
                continue
            yield Timing(precision, name, round(BATCH / batch, 1), round(text * 1e3, 1), round(opened * 1e3, 1))


def _median_seconds(encoder: Encoder, arrays: tuple[np.ndarray, ...], seconds: float) -> float:
    encoder.run(*arrays)  # the first run is slower because it allocates memory
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        begun = time.perf_counter()
        encoder.run(*arrays)
        times.append(time.perf_counter() - begun)
    return median(times)
