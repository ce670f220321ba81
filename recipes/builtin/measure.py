"""Measure a model as the card of the one in the box reports it: Markdown table on stdout.

    python recipes/builtin/measure.py MODEL PREPARED CIFAR_TEST

PREPARED is what prepare.py wrote; CIFAR_TEST holds CIFAR-10's test part as class folders (never trained on).
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from prepare import CALTECH, without_article

from searcher.datasets import Label, read_class_folder
from searcher.datasets.samples import sample_photos
from searcher.evaluate import read_data, retrieval, zero_shot
from searcher.models import Model

# What one would type to find each of the sample photos that show something, and the photos that are right.
EVERYDAY = {
    "a cat": {"chelsea.png"},
    "a cup of coffee": {"coffee.png"},
    "a motorcycle": {"motorcycle_left.png"},
    "a flower": {"flower.jpg"},
    "an old temple": {"china.jpg"},
    "an astronaut": {"astronaut.png"},
    "a rocket": {"rocket.jpg"},
    "coins": {"coins.png"},
    "a brick wall": {"brick.png"},
    "the moon": {"moon.png"},
}


def synonyms() -> list[Label]:
    """Caltech-101's classes, asked for by another word than the one that names the folder, where there is one."""
    labels = []
    taken: set[str] = set()
    for folder in sorted(read_class_folder(MEASURE / "caltech-held-out").names):
        phrases = next((texts for texts in CALTECH.values() if without_article(texts[0]) == folder), [folder])
        other = next((without_article(text) for text in phrases[1:] if without_article(text) not in taken), folder)
        taken.add(other)
        labels.append(Label(folder, (other,)))
    return labels


def everyday(model: Model) -> tuple[int, int]:
    """Of the queries, how many find a right photo first, and how many among the first three."""
    photos = sample_photos()
    scores = model.encode_texts(list(EVERYDAY)) @ model.encode_images(photos).T
    ranks = []
    for (query, right), row in zip(EVERYDAY.items(), scores, strict=True):
        names = [photos[i].name for i in np.argsort(-row)]
        ranks.append(min(names.index(name) for name in right) + 1)
        print(f"  {query}: rank {ranks[-1]}; first {names[:3]}", file=sys.stderr)
    return sum(rank == 1 for rank in ranks), sum(rank <= 3 for rank in ranks)


def milliseconds_a_photo(folder: Path) -> float:
    """Decoding and embedding a JPEG of 500 × 375, one at a time, two threads: median of 50."""
    model = Model.open(folder, threads=2)
    with tempfile.TemporaryDirectory() as temporary:
        photo = Path(temporary) / "photo.jpg"
        with Image.open(next(p for p in sample_photos() if p.name == "china.jpg")) as image:
            image.convert("RGB").resize((500, 375)).save(photo, quality=90)
        times = []
        for _ in range(60):
            start = time.perf_counter()
            model.encode_images([photo])
            times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[10:]))


def seconds_a_search(folder: Path) -> float:
    """`searcher search` in a new process, the page cache warm: median of 9."""
    with tempfile.TemporaryDirectory() as temporary:
        program = [sys.executable, "-m", "searcher"]
        environment = os.environ | {"SEARCHER_LIBRARY": temporary}
        photos = [str(path) for path in sample_photos()]
        index = [*program, "index", "--quiet", "--model", str(folder), *photos]
        subprocess.run(index, check=True, env=environment, stdout=subprocess.DEVNULL)
        times = []
        for _ in range(11):
            start = time.perf_counter()
            subprocess.run([*program, "search", "a cat"], check=True, env=environment, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def main(folder: Path, cifar: Path) -> None:
    model = Model.open(folder)
    seen, unseen = read_class_folder(MEASURE / "tiny-seen"), read_class_folder(MEASURE / "tiny-unseen")
    every = [Label(name, (name,)) for name in read_class_folder(MEASURE / "tiny-all").names]
    caltech = read_class_folder(MEASURE / "caltech-held-out")
    rows = []
    for what, classes, labels in [
        ("Tiny ImageNet validation, the 180 classes trained on", seen, None),
        ("its 20 classes never trained on, among those 20 (chance 5 %)", unseen, None),
        ("the same 20 among all 200", unseen, every),
        ("the 180 among all 200", seen, every),
        ("CIFAR-10 test, zero-shot (chance 10 %)", read_class_folder(cifar), None),
        ("Caltech-101, a fifth of its images held out", caltech, None),
        ("the same, by a synonym or hypernym", caltech, synonyms()),
    ]:
        result = zero_shot(model, classes, labels=labels)
        bare = f"{100 * result.bare[0]:.1f} %" if result.bare else "–"
        rows.append((what, f"{100 * result.top1:.1f} %", f"{100 * result.top5:.1f} %", bare))
        print(*rows[-1], sep="; ", file=sys.stderr)
    print("| zero-shot | top-1 | top-5 | top-1, bare names |\n| --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")

    pairs = retrieval(model, read_data(MEASURE / "flickr8k-held-out.jsonl"))  # type: ignore[arg-type]
    first, among_three = everyday(model)
    print("\n| what | |\n| --- | --- |")
    found = pairs.text_to_image
    print(f"| Flickr8k, {pairs.n:,} photos held out, caption → photo, recall@1/5/10 ", end="")
    print(f"| {100 * found.r1:.1f} / {100 * found.r5:.1f} / {100 * found.r10:.1f} % |")
    print(f"| ten everyday queries on the sample photos, right photo first / among three | {first} / {among_three} |")
    print(f"| one photo of 500 × 375, decoded and embedded, two threads | {milliseconds_a_photo(folder):.1f} ms |")
    print(f"| `searcher search`, a new process | {seconds_a_search(folder):.2f} s |")


if __name__ == "__main__":
    MEASURE = Path(sys.argv[2]) / "measure"
    main(Path(sys.argv[1]), Path(sys.argv[3]))
