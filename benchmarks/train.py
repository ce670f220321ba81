"""Measure the overhead of a training run: the speed of the loop, including loading, compared with bare steps.

    python benchmarks/train.py [--model resnet18-64] [--workers 1] [--threads 1] [--side 64]

A bare step runs forward, loss, backward and optimizer of the same model on random tensors. The loop also reads, decodes
and augments JPEG files of `--side` pixels. Both are measured alternately, and the better of three rounds counts.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from searcher.progress import Progress
from searcher.trainer import checkpoint, loop
from searcher.trainer.config import model_config
from searcher.trainer.distributed import CPU, Processes, fast_dtype
from searcher.trainer.step import Objective, backward

BATCH = 128
STEPS = 12


def bare(name: str) -> float:
    """Images per second of bare steps."""
    torch.manual_seed(0)
    model, _ = checkpoint.create(model_config(name))
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(loop.parameter_groups(model, 0.05), lr=1e-3, fused=True)
    side = model.visual.image_size
    height, width = side if isinstance(side, tuple) else (side, side)
    texts = torch.randint(1, 49000, (BATCH, model.context_length))
    texts[:, 9] = 49407
    ids = torch.arange(BATCH)[:, None]
    batch = {"images": torch.randn(BATCH, 3, height, width), "texts": texts, "ids": ids}
    objective = Objective(model, Processes(dtype=fast_dtype(CPU)))
    started = 0.0
    for step in range(STEPS + 2):
        if step == 2:  # the first two steps are a warm-up
            started = time.perf_counter()
        backward(objective, [batch])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return STEPS * BATCH / (time.perf_counter() - started)


class Clock(Progress):
    """When each line of metrics was written."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def metrics(self, values: Mapping[str, Any]) -> None:
        self.times.append(time.perf_counter())


def whole(name: str, pairs: Path, out: Path, workers: int) -> float:
    """Images per second of the steps of the loop, without the first two."""
    clock = Clock()
    settings = loop.Settings(sources=(pairs,), out=out, model=name, batch_size=BATCH, workers=workers, epochs=1)
    loop.train(settings, clock)
    return (len(clock.times) - 2) * BATCH / (clock.times[-1] - clock.times[1])


def write_pairs(folder: Path, count: int, side: int) -> Path:
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for i in range(count):
        patches = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        patches.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=90)
        rows.append(f"{i}.jpg,a picture of number {i} in colours")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")
    return folder / "pairs.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18-64")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    loop.LOG_EVERY = 1
    loop.publish = lambda *arguments: None  # exporting is not part of the loop
    with tempfile.TemporaryDirectory() as scratch:
        pairs = write_pairs(Path(scratch), (STEPS + 2) * BATCH, arguments.side)
        rounds = []
        for number in range(3):
            one = bare(arguments.model)
            two = whole(arguments.model, pairs, Path(scratch) / f"run {number}", arguments.workers)
            rounds.append((one, two))
            print(f"bare {one:.0f} images/s, loop {two:.0f} images/s, {two / one:.0%}", flush=True)
    one, two = max(one for one, _ in rounds), max(two for _, two in rounds)
    print(
        f"{arguments.model}, workers {arguments.workers}, threads {arguments.threads}: {two / one:.0%} of {one:.0f}/s"
    )


if __name__ == "__main__":
    main()
