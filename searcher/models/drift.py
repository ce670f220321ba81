"""Measure how far the smaller file of an encoder differs from float32, on real photos and prompts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from searcher.models.encoder import DualEncoder

SAMPLES = Path(__file__).parent / "samples"
MIN_COSINE = 0.99  # below this mean cosine, vectors of two precisions are not mixed and float32 stays the default

_THINGS = (
    "a dog",
    "a black cat asleep",
    "two children playing football",
    "a cup of coffee",
    "my grandmother",
    "a birthday cake",
    "a red car",
    "a motorcycle",
    "an old church",
    "the beach at sunset",
    "snow on a mountain",
    "a river in the forest",
    "a city street at night",
    "a bowl of fruit",
    "a yellow flower",
    "a bird on a branch",
    "a horse",
    "an aeroplane",
    "a train at the station",
    "a computer keyboard",
    "a whiteboard with writing",
    "a receipt",
    "a baby",
    "a wedding",
    "a crowd at a concert",
    "a man with a beard",
    "a woman with glasses",
    "a rocket",
    "the moon",
    "a kitchen",
)
_TEMPLATES = ("{}", "a photo of {}", "a blurry picture of {}, taken from far away")
PROMPTS = tuple(template.format(thing) for thing in _THINGS for template in _TEMPLATES)


def drift_photos() -> list[Image.Image]:
    """The photos that every import is measured on, as RGB images. They ship with the package (samples/README.md)."""
    return [Image.open(path).convert("RGB") for path in sorted(SAMPLES.glob("*.webp"))]


def crops(photos: Sequence[Image.Image]) -> list[Image.Image]:
    """Return each photo and its four quarters. This gives five times as many images to compare."""
    found = []
    for photo in photos:
        width, height = photo.size
        boxes = [(0, 0, width, height)]
        boxes += [
            (x, y, x + (width + 1) // 2, y + (height + 1) // 2) for x in (0, width // 2) for y in (0, height // 2)
        ]
        found += [photo.crop(box) for box in boxes]
    return found


def measure_drift(float32: DualEncoder, other: DualEncoder) -> dict[str, float]:
    """Compare two precisions of a model on the sample photos and PROMPTS.

    Returns the mean and the lowest cosine similarity for images and for texts. Also returns `top10`: the
    share of each prompt's ten nearest images that both precisions agree on, averaged over the prompts.
    """
    texts = float32.encode_texts(PROMPTS), other.encode_texts(PROMPTS)
    text = np.sum(texts[0] * texts[1], axis=1)
    pictures = crops(drift_photos())
    images = float32.encode_images(pictures), other.encode_images(pictures)
    image = np.sum(images[0] * images[1], axis=1)
    nearest = [np.argsort(-(t @ i.T), axis=1)[:, :10] for t, i in zip(texts, images, strict=True)]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*nearest, strict=True)]
    found = {
        "image_cosine": image.mean(),
        "image_least": image.min(),
        "text_cosine": text.mean(),
        "text_least": text.min(),
        "top10": np.mean(shared),
    }
    return {key: round(float(value), 5) for key, value in found.items()}


def acceptable(drift: Mapping[str, float]) -> bool:
    """Whether vectors of the two precisions may be mixed.

    They may if the mean cosine is at least MIN_COSINE for both images and texts.
    """
    return min(drift["image_cosine"], drift["text_cosine"]) >= MIN_COSINE


def describe(drift: Mapping[str, float]) -> str:
    """Describe a drift in words: "mean cosine 0.9999 for images, 0.9997 for texts"."""
    return f"mean cosine {drift['image_cosine']:.4f} for images, {drift['text_cosine']:.4f} for texts"
