"""Measure a model as the card of the built-in model reports it: measure.py MODEL DATA/measure

DATA is what prepare.py wrote. Prints a Markdown table.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from searcher.datasets import ClassFolder, Source
from searcher.datasets.samples import sample_photos
from searcher.evaluate import read_data, retrieval, zero_shot
from searcher.models import Model

# What one would type to find each of the sample photos that show something, and the photo that is right.
EVERYDAY = {
    "a cat": "chelsea.png",
    "a cup of coffee": "coffee.png",
    "a motorcycle": "motorcycle_left.png",
    "a flower": "flower.jpg",
    "an old temple": "china.jpg",
    "an astronaut": "astronaut.png",
    "a rocket": "rocket.jpg",
    "coins": "coins.png",
    "a brick wall": "brick.png",
    "the moon": "moon.png",
}
ROWS = {
    "things.jsonl": "1,000 photos of ImageNet's 1,000 classes (seen by the image encoder), name → photo",
    "flickr8k.jsonl": "Flickr8k, 1,012 photos held out, caption → photo",
    "cifar10": "CIFAR-10 test, zero-shot",
    "tiny": "Tiny ImageNet validation, 200 classes",
    "outside": "32 classes of Caltech-101 outside ImageNet, never trained on",
    "sports": "21 sports, never trained on",
}


def everyday(model: Model) -> list[str]:
    """The queries that do not find their photo first."""
    photos = sample_photos()
    scores = model.encode_texts(list(EVERYDAY)) @ model.encode_images(photos).T
    first = [photos[int(row.argmax())].name for row in scores]
    return [query for (query, right), name in zip(EVERYDAY.items(), first, strict=True) if name != right]


def milliseconds_a_photo(folder: Path) -> float:
    """Decoding and embedding a JPEG of 500 × 375, one at a time, two threads: median of 50."""
    model = Model.open(folder, threads=2)
    with tempfile.TemporaryDirectory() as temporary:
        photo = Path(temporary) / "photo.jpg"
        with Image.open(next(path for path in sample_photos() if path.name == "china.jpg")) as image:
            image.convert("RGB").resize((500, 375)).save(photo, quality=90)
        times = []
        for _ in range(60):
            start = time.perf_counter()
            model.encode_images([photo])
            times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[10:]))


def describe(model: Model, data: ClassFolder | Source) -> str:
    if isinstance(data, Source):
        found = retrieval(model, data).text_to_image
        return f"R@1/5/10 {100 * found.r1:.1f} / {100 * found.r5:.1f} / {100 * found.r10:.1f} %"
    result = zero_shot(model, data)
    return f"{100 * result.top1:.1f} % (top-5 {100 * result.top5:.1f} %)"


def main(folder: Path, measure: Path) -> None:
    model = Model.open(folder)
    print("| what | result |\n| --- | --- |")
    for name, title in ROWS.items():
        print(f"| {title} | {describe(model, read_data(measure / name))} |", flush=True)
    missed = everyday(model)
    print(f"| ten everyday queries on the sample photos, right photo first | {len(EVERYDAY) - len(missed)} |")
    print(f"| one photo of 500 × 375, decoded and embedded, two threads | {milliseconds_a_photo(folder):.1f} ms |")
    print(f"Missed: {', '.join(missed) or 'none'}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
