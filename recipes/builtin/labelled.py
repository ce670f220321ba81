"""Plain photos in folders named by a word, from clones of public repositories: what `prepare.py` reads as `labelled/`.

    python recipes/builtin/labelled.py CLONES OUT

CLONES holds a git clone (bare or not) of each repository of SETS, `https://github.com/OWNER/NAME` as `OWNER+NAME`. OUT
becomes `SET/LABEL/` with photos whose shorter side has 112 pixels at most.
"""

import io
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

SIDE, EACH = 112, 600  # pixels of the shorter side; photos of a label in a set


@dataclass(frozen=True)
class Source:
    """Where a set's photos lie: a commit, and the form of their paths, in which `label` names the label."""

    repository: str
    commit: str
    paths: str


SETS = {
    "hcaptcha": [Source("MaxAndolini/hCaptcha-Images", "b59c816", r"(?P<label>[^/]+)/[^/]+")],
    "hcaptcha2": [Source("orlov-ai/hcaptcha-dataset", "a1b180f", r"(?P<label>[^/]+)/[^/]+")],
    "four_animals": [
        Source(
            "Handepp/Classification-of-4-animals-using-DenseNet201-with-various-optimizers",
            "0c8ced2",
            r"train/(?P<label>[^/]+)/[^/]+",
        )
    ],
    "ships": [
        Source(
            "SmartPracticeschool/llSPS-INT-2478-Ship-Classification-Using-an-Image-Dataset",
            "e715a5e",
            r"dataset/[^/]+/(?P<label>[^/]+)/[^/]+",
        )
    ],
    "mixed": [
        Source(
            "yahyasarhan22/comparative-study-of-image-classification",
            "0264031",
            r"dataset[12]/(?P<label>Bikes|Motorcycles|Cars|cats|snakes|panda)/[^/]+",
        ),
        Source(  # not its horses and monkeys: there are drawings among them
            "herene/animals_pictures_classification", "410b9e4", r"dataset/train/(?P<label>(?!horse|monkey)[^/]+)/[^/]+"
        ),
        Source(
            "set-kaung/Image-Classification-Project",
            "2afa126",
            r"(?:dataset/[^/]+/|test_dataset/)?(?P<label>[^/]+)/[^/]+",
        ),
        Source(
            "evgen-ryzhkov/animals_keras_transfer_learning", "fe86161", r"data/(?:train|valid)/(?P<label>[^/]+)/[^/]+"
        ),
    ],
    "popular_animals": [
        Source("InputBlackBoxOutput/popular-animals-dataset", "0b73f02", r"(?P<label>[^/_][^/]*)/[^/]+")
    ],
    "sea_animals": [
        Source(
            "AbdulwahedA/Sea-Animals-Image-DatasetProject",
            "b0f1ad9",
            r"Sea Animals Image Dataset/(?P<label>[^/]+)/[^/]+",
        )
    ],
    "recaptcha": [
        Source("deathlyface/recaptcha-dataset", "7ebebbe", r"Large/(?P<label>(?!Other|Mountain)[^/]+)/[^/]+")
    ],
    "petimages": [Source("karemsaeed21/cat_vs_dog_classification_CNN", "16df905", r"PetImages/(?P<label>[^/]+)/[^/]+")],
    "bird_cat_dog": [Source("linlawre/CMPE258_hw1", "4f56b0e", r"dataset/(?P<label>[^/]+)/[^/]+")],
    "pacs_photo": [Source("MachineLearning2020/Homework3-PACS", "d586a6c", r"PACS/photo/(?P<label>[^/]+)/[^/]+")],
    "clothing": [
        Source("alexeygrigorev/clothing-dataset-small", "1196151", r"(?:train|validation|test)/(?P<label>[^/]+)/[^/]+")
    ],
    "grocery": [
        Source(
            "marcusklasson/GroceryStoreDataset",
            "fc80ba9",
            r"dataset/(?:train|val|test)/[^/]+/(?P<label>[^/]+)/(?:[^/]+/)?[^/]+",
        )
    ],
    "weather": [
        Source(
            "afaq-ahmad/Image-Classification-using-Multi-Class-weather-dataset-by-general-VGG-and-customize-VGG-model-keras",
            "b432adb",
            r"dataset/(?:train|test)/(?P<label>[^/]+)/[^/]+",
        )
    ],
}
# What their labels are called here; None leaves the photos out.
RENAMED: dict[str, str | None] = {
    "domestic cat": "cat", "smiling dog": "dog", "bus motorbus": "bus", "motorbus": "bus", "bikes": "bicycle",
    "motorcycles": "motorcycle", "cars": "car", "cats": "cat", "snakes": "snake", "truck train": "truck",
    "truck val": "truck", "truck test": "truck", "cargo": "cargo ship", "cruise": "cruise ship",
    "carrier": "car carrier ship", "hydrant": "fire hydrant", "palm": "palm tree", "longsleeve": "long sleeve shirt",
    "outwear": "jacket", "milk": "milk carton", "juice": "juice carton", "cloudy": "cloudy sky",
    "shine": "sunny sky", "clams": "clam", "corals": "coral", "crabs": "crab", "jelly fish": "jellyfish",
    "nudibranchs": "sea slug", "puffers": "pufferfish", "sea rays": "stingray", "sea urchins": "sea urchin",
    "sharks": "shark", "turtle tortoise": "turtle",
    # not photos of what they say
    "empty": None, "horse made of clouds": None, "elephant made of clouds": None, "dog with closed eyes": None,
    "vertical river": None, "airplane in the sky flying left": None,
}  # fmt: skip


def photos(source: Source, clones: Path) -> Iterator[tuple[str, str]]:
    """(label, git object) of every picture file of a source, in a random order that is always the same."""
    clone = clones / source.repository.replace("/", "+")
    listing = ["git", "-C", str(clone), "ls-tree", "-r", "-z", source.commit]
    lines = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]
    random.Random(0).shuffle(lines)
    for line in lines:
        about, path = line.split("\t", 1)
        found = re.fullmatch(source.paths, path)
        if found and path.lower().endswith((".jpg", ".jpeg", ".png")):
            label = re.sub(r"[-_ ]+", " ", found["label"]).lower()
            label = "t-shirt" if label == "t shirt" else label
            if renamed := RENAMED.get(label, label):
                yield renamed, about.split()[2]


def read(git: subprocess.Popen[bytes], name: str) -> bytes:
    """The contents of a git object, from `git cat-file --batch`; empty where the clone lacks it."""
    assert git.stdin and git.stdout
    git.stdin.write(name.encode() + b"\n")
    git.stdin.flush()
    head = git.stdout.readline().split()
    return git.stdout.read(int(head[2]) + 1)[:-1] if head[1] == b"blob" else b""


def shrink(data: bytes, path: Path) -> bool:
    """Write the photo with a shorter side of SIDE at most. False for what is no photo."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            scale = min(1.0, SIDE / min(image.size))
            size = round(image.width * scale), round(image.height * scale)
            photo = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    except (OSError, UnidentifiedImageError, ValueError):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=90)
    return True


def main(clones: Path, out: Path) -> None:
    for name, sources in SETS.items():
        counts: Counter[str] = Counter()
        seen = set()
        for source in sources:
            clone = clones / source.repository.replace("/", "+")
            command = ["git", "-C", str(clone), "cat-file", "--batch"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
                for label, git_object in photos(source, clones):
                    if counts[label] >= EACH or git_object in seen:
                        continue  # the same photo twice is the same git object
                    seen.add(git_object)
                    if shrink(read(git, git_object), out / name / label / f"{git_object}.jpg"):
                        counts[label] += 1
        print(f"{name}: {sum(counts.values())} photos: {dict(sorted(counts.items()))}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
