"""Images of discs with captions of colour, count and place, to test whether a model learns combinations."""

from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")
COUNTS = {"one": 1, "three": 3, "nine": 9}
PLACES = {"at the top": (24, 13), "at the bottom": (24, 35), "on the left": (13, 24), "on the right": (35, 24)}
TEMPLATES = ("a picture of {}.", "here we see {}.", "{} on grey.")  # no caption is only a name
SIDE = 48  # pixels
SPACING = 6.0  # between the centres of discs

Combination = tuple[int, int, int]
ALL: list[Combination] = list(product(range(len(COLOURS)), range(len(COUNTS)), range(len(PLACES))))
HELD_OUT = [c for c in ALL if sum(c) % 6 == 0]  # each colour, count and place is equally frequent among them


def name_of(combination: Combination) -> str:
    colour, count, place = combination
    return f"{list(COUNTS)[count]} {COLOURS[colour]} disc{'s' if count else ''} {list(PLACES)[place]}"


def draw(combination: Combination, rng: np.random.Generator) -> Image.Image:
    """Draw a cluster of discs with random shifts and shapes on a random grey background."""
    colour, count, place = combination
    image = Image.new("RGB", (SIDE, SIDE), (int(rng.integers(110, 170)),) * 3)
    centre = np.array(list(PLACES.values())[place]) + rng.uniform(-2, 2, 2)
    discs = np.array([(i % 3, i // 3) for i in rng.permutation(9)[: list(COUNTS.values())[count]]]) * SPACING
    discs += centre - discs.mean(0) + rng.uniform(-1, 1, discs.shape)
    pen = ImageDraw.Draw(image)
    for x, y in discs:
        rx, ry = rng.uniform(2, 2.8, 2)
        pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=COLOURS[colour])
    return image


def write(root: Path, each: int, held_out_each: int) -> None:
    """Write `train.csv` with `each` images per combination, and class folders `held out/` with the other ones."""
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    (root / "train").mkdir()
    for combination in ALL:
        name = name_of(combination)
        held_out = combination in HELD_OUT
        folder = root / "held out" / name if held_out else root / "train"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(held_out_each if held_out else each):
            file = folder / f"{name} {i}.png"
            draw(combination, rng).save(file)
            if not held_out:
                rows += [f"{file.relative_to(root)},{template.format(name)}" for template in TEMPLATES]
    (root / "train.csv").write_text("\n".join(rows) + "\n")
