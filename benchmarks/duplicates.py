"""Claim: `searcher duplicates` finds copies and not much else. Over pairs of copies, precision is at least 0.98 and
recall at least 0.95; shots of one burst are told apart.

    python benchmarks/duplicates.py PHOTOS [--model builtin] [--seed 0] [--rows 100000]

PHOTOS is a folder with at least 2,300 different JPEGs. The script copies 2,000 of them, makes six copies of 200 others
(half the size, one and a half times the size, quality 40, cropped by 5 %, turned with the EXIF flag, WebP or PNG), and
a burst of four shots from each of 100 others. It indexes all of them and compares the groups with what it made.
Then it measures time and memory for --rows made embeddings and hashes, without any photos: at most 120 s for 100,000.
"""

import argparse
import itertools
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from searcher.library import Library

OTHERS, COPIED, BURSTS = 2000, 200, 100
ORIENTATION = 0x0112
CHUNK = 10_000
SHOTS = ("shift", "exposure", "subject", "all")


def copies(photo: Path, folder: Path, rng: random.Random) -> None:
    """Save a photo and six copies of it in a folder of their own."""
    folder.mkdir(parents=True)
    shutil.copy(photo, folder / "original.jpg")
    with Image.open(photo) as file:
        image = file.convert("RGB")
    w, h = image.size
    image.resize((w // 2, h // 2), Image.Resampling.LANCZOS).save(folder / "half.jpg", quality=90)
    image.resize((w * 3 // 2, h * 3 // 2), Image.Resampling.BICUBIC).save(folder / "larger.jpg", quality=90)
    image.save(folder / "quality40.jpg", quality=40)
    left, top = rng.randint(0, w - w * 95 // 100), rng.randint(0, h - h * 95 // 100)
    image.crop((left, top, left + w * 95 // 100, top + h * 95 // 100)).save(folder / "cropped.jpg", quality=90)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=90, exif=exif)
    image.save(folder / ("other.png" if rng.random() < 0.5 else "other.webp"))


def burst(photo: Path, folder: Path, rng: random.Random) -> None:
    """Save a shot, and four more in which the camera, the light, the subject, or all of them have changed."""
    folder.mkdir(parents=True)
    with Image.open(photo) as file:
        image = file.convert("RGB")
    room = [side * 8 // 100 for side in image.size]
    window(image, (room[0] // 2, room[1] // 2), room).save(folder / "first.jpg", quality=90)
    for kind in SHOTS:
        shot, at = image, [room[0] // 2, room[1] // 2]
        if kind in ("subject", "all"):
            shot = moved(shot, rng)
        if kind in ("shift", "all"):
            at = [
                place + rng.choice((-1, 1)) * rng.randint(side // 4, side // 2)
                for place, side in zip(at, room, strict=True)
            ]
        shot = window(shot, at, room)
        if kind in ("exposure", "all"):
            factor = rng.choice((0.75, 0.85, 1.15, 1.3))
            shot = shot.point(lambda value, factor=factor: min(255, round(value * factor)))
        shot.save(folder / f"{kind}.jpg", quality=90)


def window(image: Image.Image, at: list[int] | tuple[int, int], room: list[int]) -> Image.Image:
    return image.crop((at[0], at[1], at[0] + image.width - room[0], at[1] + image.height - room[1]))


def moved(image: Image.Image, rng: random.Random) -> Image.Image:
    """Copy an oval of a quarter of the width and two fifths of the height to another place, with soft edges."""
    w, h = image.size
    size = (w // 4, h * 2 // 5)
    left, top = rng.randint(w // 5, w * 4 // 5 - size[0]), rng.randint(h // 5, h * 4 // 5 - size[1])
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((4, 4, size[0] - 5, size[1] - 5), fill=255)
    subject = image.crop((left, top, left + size[0], top + size[1]))
    shot = image.copy()
    step = rng.choice((-1, 1)) * rng.randint(w // 12, w // 6)
    shot.paste(subject, (left + step, top), mask.filter(ImageFilter.GaussianBlur(3)))
    return shot


def make(photos: list[Path], folder: Path, rng: random.Random) -> None:
    (folder / "others").mkdir(parents=True)
    for photo in photos[:OTHERS]:
        shutil.copy(photo, folder / "others" / photo.name)
    for number, photo in enumerate(photos[OTHERS : OTHERS + COPIED]):
        copies(photo, folder / "copies" / f"{number:03}", rng)
    for number, photo in enumerate(photos[OTHERS + COPIED : OTHERS + COPIED + BURSTS]):
        burst(photo, folder / "bursts" / f"{number:03}", rng)


def measure(library: Library, folder: Path) -> bool:
    """Index the photos, find their duplicates, and compare the pairs inside of groups with what was made."""
    library.index(folder)
    started = time.perf_counter()
    groups = library.duplicates()
    seconds = time.perf_counter() - started
    found, kept = set(), Counter[str]()
    for group in groups:
        paths = [Path(group.keep), *(Path(other.path) for other in group.others)]
        found |= {frozenset(pair) for pair in itertools.combinations(paths, 2)}
        if paths[0].parts[-3] == "copies":
            kept[paths[0].stem] += 1
    true = set()
    for one in (folder / "copies").iterdir():
        true |= {frozenset(pair) for pair in itertools.combinations(one.iterdir(), 2)}
    shots = {
        frozenset(pair) for one in (folder / "bursts").iterdir() for pair in itertools.combinations(one.iterdir(), 2)
    }
    precision, recall = len(found & true) / max(1, len(found)), len(found & true) / len(true)
    print(f"{len(true):,} pairs of copies: precision {precision:.4f}, recall {recall:.4f} ({seconds:.1f} s)")
    print(f"{len(found & shots)} of {len(shots):,} pairs of shots of one burst taken for copies")
    print("kept first:", ", ".join(f"{name} {count}" for name, count in kept.most_common()))
    return precision >= 0.98 and recall >= 0.95


def measure_rows(folder: Path, count: int) -> bool:
    """Find the duplicates among made embeddings and hashes, a tenth of them copies of others, in a new process."""
    library = folder / "library"
    rng = np.random.default_rng(0)
    with Library.open(library, create=True) as made:
        (folder / "one").mkdir()
        Image.effect_noise((64, 64), 50).save(folder / "one" / "one.png")
        made.index(folder / "one")
        dim = made.model.dim
    with closing(sqlite3.connect(library / "catalog.sqlite")) as connection, connection:
        for start in range(0, count, CHUNK):
            vectors = rng.normal(size=(CHUNK, dim))
            hashes = rng.integers(-(2**63), 2**63, CHUNK)
            originals, others = np.arange(CHUNK // 10), np.arange(CHUNK // 10, CHUNK // 5)
            vectors[others] = vectors[originals] + 0.3 * rng.normal(size=(len(others), dim))
            hashes[others] = hashes[originals] ^ (1 << rng.integers(0, 63, len(others)))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            rows = [(start + at + 10, int(value)) for at, value in enumerate(hashes)]
            connection.executemany(
                "INSERT INTO contents (id, digest, width, height, format, phash, sharpness, embedded) "
                "VALUES (?1, randomblob(16), 100, 100, 'JPEG', ?2, 1, '{}')",
                rows,
            )
            connection.executemany(
                "INSERT INTO images (root_id, relpath, size, mtime_ns, content_id) VALUES (1, ?, 1, 1, ?)",
                [(b"%d.jpg" % id, id) for id, _ in rows],
            )
            connection.executemany(
                "INSERT INTO embeddings (model_id, content_id, precision, vector) VALUES (1, ?, 'int8', ?)",
                [(rows[at][0], vectors[at].astype(np.float16).tobytes()) for at in range(CHUNK)],
            )
    program = (
        "import resource, sys, time; from searcher.library import Library; started = time.perf_counter()\n"
        "groups = Library.open(sys.argv[1]).duplicates()\n"
        "print(len(groups), time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
    )
    run = subprocess.run([sys.executable, "-c", program, library], capture_output=True, text=True, check=True)
    groups, seconds, memory = (float(word) for word in run.stdout.split())
    print(f"{count:,} rows: {groups:,.0f} groups of {count // 10:,} in {seconds:.1f} s, {memory:.2f} GB of memory")
    return seconds <= 120 and groups == count // 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    photos = rng.sample(sorted(arguments.photos.rglob("*.jpg")), OTHERS + COPIED + BURSTS)
    work = Path(tempfile.mkdtemp(prefix="searcher-duplicates-"))
    try:
        make(photos, work / "photos", rng)
        with Library.open(work / "library", model=arguments.model, create=True) as library:
            good = measure(library, work / "photos")
        (work / "rows").mkdir()
        return int(not (measure_rows(work / "rows", arguments.rows) and good))
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
