"""Fit the relevance of the built-in model: calibrate.py MODEL DATA WORDNET [--store]

DATA is what recipes/builtin/prepare.py wrote, WORDNET is the folder of WordNet's database (/usr/share/wordnet). Four
numbers are fitted: slope and offset of relevance, each linear in the logarithm of a wording's breadth. The labels are
the names of classes, all kinds that these belong to (WordNet), the nouns in captions, and whole captions.

- mini: 100 classes of ImageNet; tiny: the 200 of Tiny ImageNet; outside: 32 of Caltech-101 that are not in ImageNet
- flickr8k: every second photo of the 1,012 that were held out in training

Each label counts alike. A photo with a label counts as much as GAIN photos without it, so that half of the probability
lies where precision and recall are balanced. Then slopes and offsets are multiplied by one number, which leaves that
place as it is, so that the probabilities are as honest as they can be.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import wordfreq
from wordnet import WordNet

from searcher.datasets import Label, read_class_folder
from searcher.models import Model
from searcher.models.drift import PROMPTS, crops, drift_photos
from searcher.models.manifest import update_manifest
from searcher.models.relevance import Calibration, Wordings, read_labels, strangers
from searcher.vectors.pipeline import embed_files

GAIN = 2.0
PHOTOS_WITH, PHOTOS_WITHOUT = 150, 500  # of a label, at most, drawn at random
LEAST_FREQUENT = 3.2  # Zipf frequency of a kind that people use as a label
WIDEST = 0.6  # a kind of more than this share of the classes says nothing
# Kinds that no one would use as a label for a photo.
ABSTRACT = {
    name.strip()
    for name in """abstract entity, causal agent, someone, psychological feature, solid, instrumentation, artifact,
    artefact, device, living thing, organism, plant part, reproductive structure, trade good, consumer goods,
    durable goods, commodity, natural elevation, measuring system, protective cover, staff of life, equipment,
    mechanical device, transport, solid food, matter, substance, unit, covering, structure, implement, thing, whole,
    way, place of business, product, mercantile establishment, food product, foodstuff, nutriment, act, group, event,
    attribute, creation, conveyance, geological formation, cloth covering, communication system, system, facility,
    physical object, object, entity, physical entity, public transport, fabrication""".split(",")  # noqa: SIM905
}
CAPTION_NOUNS = [
    noun.strip()
    for noun in """dog, man, woman, child, girl, boy, person, animal, bicycle, snow, water, beach, ball, car, horse,
    boat, mountain, tree, grass, building, street, field, ocean, rock, motorcycle, bird, camera, sand, hat, vehicle,
    food, clothing, crowd, river, football, basketball, skateboard, jacket, shirt, helmet""".split(",")  # noqa: SIM905
]


class Photos(NamedTuple):
    """Embeddings (m, dim) of photos, labels, and which of them are true: bool (m, labels)."""

    vectors: np.ndarray
    labels: list[str]
    truth: np.ndarray


class Pairs(NamedTuple):
    """Photos and labels that may belong together.

    cosines and heights are (p, w): of each wording, -9 where a label has fewer; height is the logarithm of the breadth.
    true is bool (p,), weights is (p,).
    """

    cosines: np.ndarray
    heights: np.ndarray
    true: np.ndarray
    weights: np.ndarray


def embedded(model: Model, files: Sequence[Path]) -> np.ndarray:
    vectors = []
    for photo in embed_files(model, files):
        assert photo.vector is not None, f"{photo.key}: {photo.error}"
        vectors.append(photo.vector)
        print(f"{len(vectors)}/{len(files)}", end="\r", file=sys.stderr)
    return np.stack(vectors).astype(np.float16).astype(np.float32)


def kinds_of(net: WordNet, names: Sequence[str], meanings: Sequence[str | None]) -> dict[str, list[bool]]:
    """Labels for classes: each label, and of which of the classes it is true."""
    found = {name: [other == name for other in names] for name in names}
    above = [frozenset() if meaning is None else net.above(meaning) for meaning in meanings]
    count = Counter(kind for kinds in above for kind in kinds)
    for kind, classes in count.items():
        if not 2 <= classes <= WIDEST * len(names):
            continue
        usual = [
            (wordfreq.zipf_frequency(word, "en"), word)
            for word in net.words[kind]
            if word.islower() and net.meanings[word][0] == kind
        ]
        frequency, word = max(usual, default=(0.0, ""))
        if frequency >= LEAST_FREQUENT and word not in ABSTRACT and word not in found:
            found[word] = [kind in kinds for kinds in above]
    return found


def of_classes(model: Model, net: WordNet, classes: dict[str, list[Path]], meanings: Iterable[str | None]) -> Photos:
    labels = kinds_of(net, list(classes), list(meanings))
    of = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    vectors = embedded(model, [file for files in classes.values() for file in files])
    return Photos(vectors, list(labels), np.array(list(labels.values())).T[of])


def of_captions(model: Model, net: WordNet, path: Path) -> Iterable[Photos]:
    """The nouns of CAPTION_NOUNS, which are true if one of a photo's captions has them or a kind of them. Then the
    first caption of each photo, as if it were true of that photo only.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][::2]
    vectors = embedded(model, [Path(row["image"]) for row in rows])
    above = []
    for row in rows:
        words = re.findall(r"[a-z]+", " ".join(row["captions"]).lower())
        nouns = {"men": "man", "women": "woman", "children": "child"}
        names = [nouns.get(word) or (word if word in net.meanings else word.removesuffix("s")) for word in words]
        above.append(frozenset().union(*(net.above(net.meanings[name][0]) for name in names if name in net.meanings)))
    truth = np.array([[net.meanings[noun][0] in kinds for noun in CAPTION_NOUNS] for kinds in above])
    known = truth.sum(axis=0) >= 5
    yield Photos(vectors, [noun for noun, many in zip(CAPTION_NOUNS, known, strict=True) if many], truth[:, known])
    yield Photos(vectors, [row["captions"][0] for row in rows], np.eye(len(rows), dtype=bool))


def pairs_of(photos: Photos, wordings: Sequence[Wordings], most: int) -> Pairs:
    draw = np.random.default_rng(0)
    parts = []
    for column, each in enumerate(wordings):
        true = photos.truth[:, column]
        chosen, weights = [], []
        for rows, limit in ((np.flatnonzero(true), PHOTOS_WITH), (np.flatnonzero(~true), PHOTOS_WITHOUT)):
            some = draw.permutation(rows)[:limit]
            chosen.append(some)
            weights.append(np.full(len(some), len(rows) / max(1, len(some)) / len(true)))
        rows = np.concatenate(chosen)
        cosines, heights = np.full((2, len(rows), most), -9.0, np.float32)
        cosines[:, : len(each.vectors)] = photos.vectors[rows] @ each.vectors.T
        heights[:, : len(each.vectors)] = each.offsets
        parts.append(Pairs(cosines, heights, true[rows], np.concatenate(weights) / len(wordings)))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def logits(values: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """For slope0, slope1, offset0, offset1: the largest logit of each pair, and which wording has it."""
    slopes, offsets = values[0] + values[1] * pairs.heights, values[2] + values[3] * pairs.heights
    found = np.where(pairs.cosines > -5, slopes * pairs.cosines + offsets, -np.inf)
    best = found.argmax(axis=1)
    return found[np.arange(len(best)), best], best


def fitted(pairs: Pairs) -> Calibration:
    """Logistic regression, in turns with the choice of the wording that counts. Then the one number for honesty."""
    values = np.array([12.0, -0.8, -5.5, 0.6])
    gain = pairs.weights * np.where(pairs.true, GAIN, 1.0)
    for _ in range(12):
        _, best = logits(values, pairs)
        rows = np.arange(len(best))
        cosine, height = pairs.cosines[rows, best].astype(float), pairs.heights[rows, best].astype(float)
        values = regression(np.stack([cosine, cosine * height, np.ones_like(cosine), height], axis=1), pairs.true, gain)
    found, _ = logits(values, pairs)
    scale = min(np.arange(0.6, 3, 0.01), key=lambda factor: loss(factor * found, pairs.true, pairs.weights))
    slope0, slope1, offset0, offset1 = (scale * values).tolist()
    return Calibration((slope0, slope1), (offset0, offset1), measured=True)


def regression(inputs: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights (k,) of a logistic regression on inputs (n, k), by Newton's method."""
    found = np.zeros(inputs.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-inputs @ found))
        slope = inputs.T @ (weights * (chance - true))
        curve = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(found)), slope)
        found -= step
        if np.abs(step).max() < 1e-7:
            break
    return found


def loss(logits: np.ndarray, true: np.ndarray, weights: np.ndarray) -> float:
    return float((weights * (np.logaddexp(0, logits) - true * logits)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "data", "wordnet"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--store", action="store_true", help="write the result to the model's searcher.json")
    arguments = parser.parse_args()
    net, data = WordNet(arguments.wordnet), arguments.data
    model = Model.open(arguments.model)
    # with these values, the offset of a wording is the logarithm of its breadth
    model.info = {**model.info, "relevance": Calibration((1, 0), (0, 1), measured=True).as_dict()}
    sets = list(of_captions(model, net, data / "measure" / "flickr8k.jsonl"))
    for name in ("tiny", "outside"):
        folder = read_class_folder(data / "measure" / name)
        classes = dict(zip(folder.names, folder.images, strict=True))
        sets.append(of_classes(model, net, classes, map(net.meaning, classes)))
    mini: dict[str, list[Path]] = {}
    for line in (data / "mini.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        mini.setdefault(row["label"].removeprefix("n"), []).append(Path(row["image"]))
    names = {net.words[meaning][0]: files for meaning, files in mini.items()}
    sets.append(of_classes(model, net, names, mini))
    read = [read_labels(model, [Label(name, (name,)) for name in photos.labels]) for photos in sets]
    most = max(len(each.vectors) for wordings in read for each in wordings)
    parts = [pairs_of(photos, wordings, most) for photos, wordings in zip(sets, read, strict=True)]
    found = fitted(Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True))))
    apart = strangers(model.encode_images(crops(drift_photos())), model.encode_texts(PROMPTS))
    print(json.dumps({**found.as_dict(), "strangers": apart}))
    if arguments.store:
        update_manifest(model.folder, relevance=found.as_dict())


if __name__ == "__main__":
    main()
