"""Claim: decoding at a reduced scale keeps the embedding (mean cosine at least 0.995 to a full decode), and so does the
batch that a photo is in (cosine at least 0.9999).

    python benchmarks/embeddings.py [--model builtin]... [--margins 2]... [--photos FOLDER]

The photos are those of scikit-image and scikit-learn, and photographs from two Debian packages of wallpapers, if
`apt-get download` can get them, or the JPEGs in FOLDER. Each is also saved as a JPEG at four smaller sizes, because the
scale of the decoder depends on the size. --margins tries other values of the decoder's MARGIN.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import shared
from searcher.models.folder import ModelFolder
from searcher.models.model import Model
from searcher.photos import decoder

MEAN, LEAST = 0.995, 0.9999
SHORTER_SIDES = (500, 700, 1000, 1400)  # pixels
DEBIAN = ("mate-backgrounds", "plasma-workspace-wallpapers")
SIZES = (1, 3, 8, 16, 32)  # photos per batch


def debian_photos() -> list[Path]:
    """The JPEGs of DEBIAN. None if they cannot be had."""
    folder = shared.cache("debian")
    if not folder.exists() and shutil.which("apt-get") and shutil.which("dpkg"):
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(["apt-get", "download", *DEBIAN], cwd=scratch, capture_output=True, check=False)
            for package in Path(scratch).glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, folder], check=True)
        if done.returncode:
            print("The Debian packages cannot be downloaded: only the sample photos are used")
    return [file for file in sorted(folder.rglob("*.jpg")) if not file.is_symlink()]


def files(folder: Path | None) -> Iterator[bytes]:
    """JPEG files of several sizes."""
    paths = debian_photos() if folder is None else sorted(folder.rglob("*.[jJ][pP]*[gG]"))
    yield from (path.read_bytes() for path in paths)
    pictures = [*shared.sample_photos(), *(decoder.decode(path.read_bytes()).image for path in paths)]
    for picture in pictures:
        for side in (min(picture.size), *SHORTER_SIDES):
            if side > min(picture.size) or (side == min(picture.size) > max(SHORTER_SIDES)):
                continue
            scale, file = side / min(picture.size), io.BytesIO()
            smaller = picture.resize(
                (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
            )
            smaller.save(file, "JPEG", quality=90)
            yield file.getvalue()


def vectors(model: Model, pictures: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate([model.encode_pixels(pixels[None]) for pixels in pictures])


def compare_decoding(model: Model, margins: list[float], data: list[bytes]) -> tuple[list[tuple[str, ...]], float]:
    """Rows of the table, and the mean cosine of the first margin."""
    start = time.thread_time()
    pixels = [model.preprocess(decoder.decode(file).image) for file in data]
    full = (time.thread_time() - start) / len(data)
    exact, rows, first = vectors(model, iter(pixels)), [], 0.0
    for margin in margins:
        decoder.MARGIN = margin
        start = time.thread_time()
        pixels = [model.preprocess(decoder.decode(file, model.image_size).image) for file in data]
        seconds = (time.thread_time() - start) / len(data)
        cosines = np.sum(exact * vectors(model, iter(pixels)), axis=1)
        first = first or float(cosines.mean())
        numbers = (f"{cosines.mean():.5f}", f"{np.quantile(cosines, 0.01):.5f}", f"{cosines.min():.5f}")
        rows.append((model.name, f"{margin:g}", *numbers, f"{1e3 * seconds:.1f} ms instead of {1e3 * full:.1f}"))
    return rows, first


def compare_batches(model: Model, data: list[bytes]) -> float:
    """The least cosine of the embeddings of a photo in two batches: alone, and among others in SIZES."""
    pixels = np.stack([model.preprocess(decoder.decode(file, model.image_size).image) for file in data])
    alone, least = np.concatenate([model.encode_pixels(each[None]) for each in pixels]), 1.0
    for size in SIZES:
        order = np.random.default_rng(size).permutation(len(pixels))
        parts = [model.encode_pixels(pixels[order[start : start + size]]) for start in range(0, len(order), size)]
        least = min(least, float(np.sum(alone[order] * np.concatenate(parts), axis=1).min()))
    return least


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="a model folder or name; also `ViT-B-32-256-int8`")
    parser.add_argument("--margins", type=float, action="append")
    parser.add_argument("--photos", type=Path)
    arguments = parser.parse_args()
    data = list(files(arguments.photos))
    rows, batches, bad = [], [], False
    for name in arguments.model or ["builtin", f"{shared.ARCHITECTURE}-int8"]:
        made = name.rpartition("-")
        folder = shared.model(made[2], made[0]) if made[2] in ("int8", "float32") else None
        model = Model.open(name) if folder is None else Model(ModelFolder.read(folder))
        least = compare_batches(model, data[:96])
        found, mean = compare_decoding(model, arguments.margins or [decoder.MARGIN], data)
        rows += found
        batches.append((model.name, f"{least:.6f}"))
        bad = bad or mean < MEAN or least < LEAST
    print(f"{len(data)} JPEGs: cosine to a full decode")
    shared.print_table(("model", "margin", "mean", "1st percentile", "least", "decoding and resizing"), rows)
    shared.print_table(("model", "least cosine between batches"), batches)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
