"""What several benchmarks need: environments of other programs, photos, a model of random weights, and tables.

All of it is kept in a cache folder, or in $SEARCHER_BENCHMARKS, so that a second run starts at once.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops

ROOT = Path(__file__).parents[1]
ARCHITECTURE = "ViT-B-32-256"
QUALITY = 85  # of the photos
_GRAIN = 7.0  # with it, a photo has about as many bytes per pixel as one of a telephone
_STEP = 0.05  # seconds between two looks at the memory of a process
_CHILDREN = 20  # looks at it between two looks for its children, which take longer


@dataclass(frozen=True, slots=True)
class Run:
    """A process that has ended. seconds: from its start to its end. cpu: seconds of CPU time of it and its children,
    which other programs on the machine disturb less. memory: the peak of the resident bytes of the process and all
    its children. output: what it printed to stdout."""

    seconds: float
    cpu: float
    memory: int
    output: str


def cache(name: str) -> Path:
    """A folder in the cache folder of the benchmarks."""
    from platformdirs import user_cache_path

    given = os.environ.get("SEARCHER_BENCHMARKS")
    return (Path(given) if given else user_cache_path("searcher-benchmarks")) / name


def environment(name: str, *packages: str) -> Path:
    """The Python of a virtual environment with these packages. It is made if it is not there."""
    folder = cache(name)
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        print(f"Installing {', '.join(packages)} in {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        options = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *options, *packages], check=True)
        done.touch()
    return python


def timed(command: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Run:
    """Run a process to its end. Raises RuntimeError with what it printed if it fails."""
    import psutil

    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start, used = time.perf_counter(), _cpu()
        process = psutil.Popen(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdout=output,
            stderr=errors,
            stdin=subprocess.DEVNULL,
        )
        memory, looks, children = 0, 0, []
        while True:
            try:
                process.wait(_STEP)
                break
            except psutil.TimeoutExpired:
                if looks % _CHILDREN == 0:
                    children = process.children(recursive=True)
                memory, looks = max(memory, sum(map(_resident, (process, *children)))), looks + 1
        seconds = time.perf_counter() - start
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {errors.read()[-2000:]}")
        return Run(seconds, _cpu() - used, memory, output.read())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has ended
        return 0


def sample_photos() -> Iterator[Image.Image]:
    """The colour photos that scikit-image and scikit-learn ship, as RGB images."""
    import skimage.data
    import sklearn.datasets

    names = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "motorcycle_left", "motorcycle_right")
    for name in names:
        yield Image.open(next(Path(skimage.data.__file__).parent.glob(f"{name}.*"))).convert("RGB")
    for pixels in sklearn.datasets.load_sample_images().images:
        yield Image.fromarray(pixels)


def photos(count: int, megapixels: tuple[float, float]) -> Path:
    """A folder with `count` different JPEGs of the given sizes: parts of the sample photos, enlarged, with grain."""
    folder = cache(f"photos-{megapixels[0]:g}-{megapixels[1]:g}-{count}")
    if (folder / "done").exists():
        return folder / "photos"
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    sources = list(sample_photos())
    side = 100 + int((megapixels[1] * 1e6 * 2) ** 0.5)
    grain = Image.fromarray(np.clip(rng.normal(128, _GRAIN, (side, side, 3)), 0, 255).astype(np.uint8))
    for number in range(count):
        source = sources[number % len(sources)]
        share = rng.uniform(0.5, 1)
        part = int(source.width * share), int(source.height * share)
        left, top = (int(rng.uniform(0, whole - used)) for whole, used in zip(source.size, part, strict=True))
        pixels = rng.uniform(*megapixels) * 1e6
        ratio = 3 / 4 if rng.random() < 0.25 else 4 / 3
        size = round((pixels * ratio) ** 0.5), round((pixels / ratio) ** 0.5)
        photo = source.resize(size, Image.Resampling.BICUBIC, (left, top, left + part[0], top + part[1]))
        x, y = (int(rng.integers(0, side - used)) for used in size)
        noise = grain.crop((x, y, x + size[0], y + size[1]))
        photo = ImageChops.add(photo, noise, offset=-128)
        photo.save(folder / "photos" / f"IMG_{number:05}.JPG", quality=QUALITY)
    (folder / "done").touch()
    return folder / "photos"


def models() -> Path:
    """The folder of the models, for $SEARCHER_MODELS."""
    return cache("models")


def model(precision: str, architecture: str = ARCHITECTURE) -> Path:
    """The model folder of an architecture with seeded random weights, that uses `precision`. Speed and memory do not
    depend on the weights. Making it needs the extra `train`."""
    folder = models() / f"{architecture}-{precision}"
    if not folder.exists():
        source = models() / f"{architecture}-float32" if precision == "int8" else _checkpoint(architecture)
        if precision == "int8":
            model("float32", architecture)
        print(f"Making {folder}", flush=True)
        command = ["models", "import", source, "--name", folder.name, "--precision", precision]
        timed([sys.executable, ROOT / "cli.py", *command], {"SEARCHER_MODELS": str(models())})
    return folder


def _checkpoint(architecture: str) -> Path:
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = cache(f"{architecture}-checkpoint")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    made = open_clip.create_model(architecture)
    config = {
        "model_cfg": open_clip.get_model_config(architecture),
        "preprocess_cfg": open_clip.get_model_preprocess_cfg(made),
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file({name: value.contiguous() for name, value in made.state_dict().items()}, folder / "model.safetensors")
    (folder / "model.safetensors").replace(folder / "open_clip_model.safetensors")
    return folder


def image_size(folder: Path) -> int:
    """The side of the pictures that the image encoder of a model takes, in pixels."""
    size = json.loads((folder / "visual" / "preprocess_cfg.json").read_text())["size"]
    return int(size if isinstance(size, int) else size[0])


def visual(folder: Path, precision: str) -> Path:
    """The file of an image encoder."""
    return folder / "visual" / ("model.onnx" if precision == "float32" else f"model.{precision}.onnx")


def spread(ratios: Sequence[float], unit: str = "×") -> str:
    """The median, and the lowest and highest: "4.1× (3.9 to 4.4)"."""
    scale, digits = (100, 0) if unit == " %" else (1, 2)
    middle, low, high = (scale * value for value in (statistics.median(ratios), min(ratios), max(ratios)))
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown, with columns of equal width."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
