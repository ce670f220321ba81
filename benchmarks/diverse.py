"""Claim: with `--diverse`, the first ten hits show at least twice as many different scenes where a burst is among them,
and a caption finds its own photo about as often.

    python benchmarks/diverse.py PAIRS.jsonl [--model builtin] [--seed 0] [--weights 0.5]

PAIRS has lines of {"image": path, "captions": [text]}, for at least 2,100 photos. The script makes ten shots of one
second from each of 100 photos: the frame moves by up to 4 %, the subject moves, and the light changes a little. It
indexes them among 2,000 other photos, and searches with the captions, and with the first shot of each burst. It counts
the different scenes among the first ten hits, and how often the first ten hold the photo that the caption is about.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from duplicates import moved, window
from PIL import Image

from searcher import Hit, Library
from searcher.search import diverse

BURSTS, SHOTS, OTHERS, TOP = 100, 10, 2000, 10
ROOM = 8  # per cent of a side in which the frame moves


def burst(photo: Path, folder: Path, rng: random.Random) -> None:
    folder.mkdir(parents=True)
    with Image.open(photo) as file:
        image = file.convert("RGB")
    room = [side * ROOM // 100 for side in image.size]
    for number in range(SHOTS):
        shot = moved(image, rng) if number % 2 else image
        shot = window(shot, [rng.randint(0, side) for side in room], room)
        light = rng.uniform(0.92, 1.08)
        shot.point(lambda value, light=light: min(255, round(value * light))).save(folder / f"{number}.jpg", quality=90)


def scene(hit: Hit) -> str:
    """The name of the photo that a hit was made from."""
    path = Path(hit.path)
    return path.parent.name if path.parent.parent.name == "bursts" else path.stem


def count(hits: Iterable[Hit]) -> int:
    return len({scene(hit) for hit in hits})


def measure(library: Library, bursts: dict[str, str], others: dict[str, str], folder: Path) -> float:
    """Print the counts. Returns how many times more scenes there are with --diverse where a burst is among the hits."""
    ratios = []
    shots = {name: {"like": folder / "bursts" / name / "0.jpg"} for name in bursts}
    kinds = {
        "captions of bursts": {name: {"query": caption} for name, caption in bursts.items()},
        "first shots of bursts": shots,
        "captions of others": {name: {"query": caption} for name, caption in others.items()},
    }
    for kind, asked in kinds.items():
        found = {}
        for wanted in (False, True):
            hits = {name: library.search(**query, top=TOP, diverse=wanted) for name, query in asked.items()}
            scenes = sum(count(each) for each in hits.values()) / len(hits)
            recall = sum(any(scene(hit) == name for hit in each) for name, each in hits.items()) / len(hits)
            fits = sum(hit.relevance or 0 for each in hits.values() for hit in each) / (TOP * len(hits))
            found[wanted] = scenes
            print(
                f"  {kind:<22} {'diverse' if wanted else 'plain':<8} {scenes:5.2f} scenes in the first {TOP}, "
                f"its own photo in {recall:6.1%}, mean relevance {fits:.3f}"
            )
        if kind != "captions of others":
            ratios.append(found[True] / found[False])
    return min(ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=float, nargs="+", default=[diverse.LAMBDA], help="values of lambda to try")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    lines = [json.loads(line) for line in arguments.pairs.read_text().splitlines()]
    chosen = rng.sample(lines, BURSTS + OTHERS)
    work = Path(tempfile.mkdtemp(prefix="searcher-diverse-"))
    try:
        captions = []
        for number, line in enumerate(chosen):
            name = f"{number:04}"
            if number < BURSTS:
                burst(Path(line["image"]), work / "photos" / "bursts" / name, rng)
            else:
                (work / "photos" / "others").mkdir(exist_ok=True)
                shutil.copy(line["image"], work / "photos" / "others" / f"{name}.jpg")
            captions.append((name, line["captions"][0]))
        ratio = 0.0
        with Library.open(work / "library", model=arguments.model, create=True) as library:
            library.index(work / "photos")
            for weight in arguments.weights:
                diverse.LAMBDA = weight
                print(f"lambda {weight:g}")
                bursts, others = dict(captions[:BURSTS]), dict(captions[BURSTS:])
                ratio = measure(library, bursts, others, work / "photos")
        return int(ratio < 2)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
