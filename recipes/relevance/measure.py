"""Measure relevance on photos that it was not fitted to: measure.py MODEL DATA WORDNET OUT

DATA is what recipes/builtin/prepare.py wrote. Prints Markdown tables of docs/relevance.md, and draws a reliability
diagram for each set in the folder OUT.

- things: 1,000 photos of ImageNet's 1,000 classes, asked for KINDS (which classes belong to them says WordNet), and for
  the 1,000 names
- cifar10: its test photos, ten classes
- sports: 21 sports
"""

import argparse
import re
from pathlib import Path

import numpy as np
from wordnet import WordNet

from searcher.datasets import ClassFolder, read_class_folder
from searcher.drawing.reliability import reliability_picture
from searcher.evaluate import TagQuality, precision_recall_f1, tag_quality
from searcher.models import Model
from searcher.models.relevance import FITS, read_text, relevance

KINDS = [
    "dog",
    "cat",
    "bird",
    "fish",
    "snake",
    "insect",
    "monkey",
    "fruit",
    "vegetable",
    "truck",
    "car",
    "boat",
    "musical instrument",
    "furniture",
    "bear",
    "spider",
    "lizard",
]
NONSENSE = (
    "asdf qwer zxcv",
    "xkcd blorf wug",
    "qzxv",
    "hjkl fdsa uiop vbnm",
    "of the and to in",
    "0000 1111",
    "??",
    "e",
)
SIZES = (20, 100, 500)  # photos in a library


def show(title: str, result: TagQuality, out: Path, labels: bool) -> None:
    precision, recall, f1 = result.micro
    print(
        f"| {title} | {result.n:,} | {len(result.labels):,} | {100 * precision:.0f} % | {100 * recall:.0f} % | "
        f"{f1:.2f} | {result.calibration_error:.3f} |",
        flush=True,
    )
    bars = [(each.probability, each.share, each.pairs) for each in result.reliability()]
    reliability_picture(title, bars, out / (re.sub(r"\W+", "-", title) + ".png"))
    if labels:
        for label, (right, given, true) in zip(result.labels, result.counts.tolist(), strict=True):
            values = precision_recall_f1(right, given, true)
            print(f"  {label}: {true} true, precision {values[0]:.2f}, recall {values[1]:.2f}, F1 {values[2]:.2f}")


def there_or_not(result: TagQuality) -> None:
    """Is a thing in this library? It is said to be if the best relevance is FITS or more."""
    draw = np.random.default_rng(0)
    for size in SIZES:
        found, wrong = [], []
        for _ in range(4000 // size):
            library = draw.permutation(result.n)[:size]
            said, true = result.chances[library].max(axis=0) >= FITS, result.truth[library].any(axis=0)
            found.append(said[true].mean())
            wrong.append(said[~true].mean())
        hit, false = float(np.mean(found)), float(np.mean(wrong))
        print(f"| {size} photos | {100 * hit:.0f} % | {100 * false:.0f} % | {(1 + hit - false) / 2:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for name in ("data", "wordnet", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    net, model = WordNet(arguments.wordnet), Model.open(arguments.model)
    measure, out = arguments.data / "measure", arguments.out
    out.mkdir(parents=True, exist_ok=True)
    things = read_class_folder(measure / "things")
    above = {name: net.above(name.removeprefix("n")) for name in things.names}
    kinds = {name: [kind for kind in KINDS if (net.meaning(kind) or "") in above[name]] for name in things.names}
    names = {name: [net.words[name.removeprefix("n")][0]] for name in things.names}
    show("17 kinds of things", tag_quality(model, things, truth=kinds), out, True)
    of_names = tag_quality(model, things, truth=names)
    show("1,000 names of things", of_names, out, False)
    for name in ("cifar10", "sports"):
        classes: ClassFolder = read_class_folder(measure / name)
        show(name, tag_quality(model, classes), out, True)
    there_or_not(of_names)
    library = model.encode_images([file for files in things.images for file in files])
    for text in NONSENSE:
        best = float(relevance(read_text(model, text).logits(library)).max())
        print(f"| {text} | {best:.2f} |")


if __name__ == "__main__":
    main()
