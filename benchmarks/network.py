"""Claim: OpenVINO does not embed photos 1.5 times as fast as ONNX Runtime in int8, so there is no extra for it.

    python benchmarks/network.py [--model ViT-B-32-256] [--rounds 3] [--images 96]

Both run the same encoder files, float32 and int8, on the same ready tensors, in processes that take turns. OpenVINO
runs with its own choice of arithmetic, and also told to compute in float32, as ONNX Runtime does. `shared` makes the
model with random weights, and an environment for OpenVINO.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import shared

LIMIT = 1.5
STEP = 8  # photos per pass, as in an index run
ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "openvino-float32": "OpenVINO, float32 arithmetic"}
PACKAGES = ("openvino", "onnxruntime", "pillow")


def opened(engine: str, file: str) -> Callable[[np.ndarray], object]:
    """The encoder in `file`, as a function of float32 (b, 3, H, W)."""
    if engine == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda pixels: session.run(None, {name: pixels})
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32"} if engine == "openvino-float32" else {}
    compiled = openvino.Core().compile_model(file, "CPU", settings)
    return lambda pixels: compiled([pixels])


def images_per_second(engine: str, file: str, side: int, step: int, images: int) -> float:
    """The speed of an encoder on ready tensors, with `step` photos per pass."""
    encode = opened(engine, file)
    pixels = np.random.default_rng(0).standard_normal((step, 3, side, side)).astype(np.float32)
    encode(pixels)  # the first run allocates memory
    start = time.perf_counter()
    for _ in range(0, images, step):
        encode(pixels)
    return -(-images // step) * step / (time.perf_counter() - start)


def measure(python: Path, engine: str, file: Path, side: int, images: int, step: int = STEP) -> float:
    """`images_per_second`, in a process of its own."""
    numbers = ["--side", side, "--images", images, "--step", step]
    run = shared.timed([str(part) for part in (python, __file__, "--run", engine, file, *numbers)])
    return float(json.loads(run.output.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=shared.ARCHITECTURE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--run", nargs=2, metavar=("ENGINE", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--step", type=int, default=STEP, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(images_per_second(*arguments.run, arguments.side, arguments.step, arguments.images)))
        return 0
    python = shared.environment("openvino", *PACKAGES)
    rows, best = [], dict[str, float]()
    for precision in ("float32", "int8"):
        model = shared.model(precision, arguments.model)
        speeds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        for _ in range(arguments.rounds):
            for engine in ENGINES:
                file = shared.visual(model, precision)
                speeds[engine].append(measure(python, engine, file, shared.image_size(model), arguments.images))
        theirs = speeds["onnxruntime"]
        for engine, name in ENGINES.items():
            ratios = [mine / other for mine, other in zip(speeds[engine], theirs, strict=True)]
            rows.append((f"{precision}, {name}", f"{max(speeds[engine]):.1f} photos/s", shared.spread(ratios)))
            best[engine] = max(best.get(engine, 0.0), *speeds[engine])
    print(f"{arguments.model}, {os.cpu_count()} cores, {arguments.rounds} rounds")
    shared.print_table(("network", "speed", "against ONNX Runtime"), rows)
    return int(max(best.values()) >= LIMIT * best["onnxruntime"])


if __name__ == "__main__":
    sys.exit(main())
