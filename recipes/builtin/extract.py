"""From clones of public repositories to the data folders that `prepare.py` reads.

    python recipes/builtin/extract.py CLONES DATA

CLONES holds a git clone (bare or not) of each repository of WHOLE and SETS, `https://github.com/OWNER/NAME` as
`OWNER+NAME`. WHOLE sets are taken as they are; of SETS, plain photos in folders named by a word, DATA gets
`labelled/SET/LABEL/`, at most EACH of a label (or as MORE says). Photos that are only trained on come out with a
shorter side of SIDE pixels at most: they are read faster so.
"""

import gzip
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

SIDE, EACH = 96, 600  # pixels of the shorter side; photos of a label in a set
SMALL = 32  # pixels of the SMALL_EVERYth photo of the sets: were one set alone so small, it would tell its labels
SMALL_EVERY = 3
GREY_EVERY = 6  # photos of the sets of which one is grey, as old photos are
MORE = {"hcaptcha": 2500, "critters": 1300, "food": 150}  # many horses, boats and trucks; not as much food


@dataclass(frozen=True)
class Source:
    """Where a set's photos lie: a commit, and the form of their paths, in which `label` names the label.

    `label`: that of all its photos, where no path names it.
    `turned`: a file whose lines tell how many degrees a photo (label/file) was turned to the left.
    `padding`: a colour that fills what lies outside of a picture; photos that have it in a corner are left out.
    `middle`: how much of each side is kept.
    """

    repository: str
    commit: str
    paths: str
    label: str = ""
    turned: str = ""
    padding: tuple[int, int, int] | None = None
    middle: float = 1.0


@dataclass(frozen=True)
class Whole:
    """A set that is taken as it is: what `paths` captures as `rest` goes below `folder`."""

    folder: str
    source: Source
    small: bool = False


TINY = "tiny-imagenet-200"
WHOLE = [
    Whole(
        TINY, Source("seshuad/IMagenet", "153dbc161", TINY + r"/(?P<rest>(?:train|val)/.+\.(?:JPEG|txt)|wnids\.txt)")
    ),
    Whole(
        "caltech",
        Source("MachineLearning2020/Homework2-Caltech101", "836044d", r"(?P<rest>101_ObjectCategories/.+\.jpg)"),
    ),
    Whole(
        "scenes",
        Source(
            "ndb796/Scene-Classification-Dataset",
            "e38f98b5",
            r"(?P<rest>train-scene classification/train(?:\.csv|/.+\.jpg))",
        ),
    ),
    Whole("miniimagenet", Source("Deo0330/split_minidataset", "557ebcae", r"(?P<rest>(?:train|val)/n\d+/.+\.jpg)")),
    Whole("imagenette", Source("thunderInfy/imagenette", "b850f03", r"(?P<rest>train/n\d+/.+\.JPEG)"), small=True),
    Whole("imagewoof", Source("thunderInfy/imagewoof", "6338aee", r"(?P<rest>train/n\d+/.+\.JPEG)"), small=True),
    Whole("flowers", Source("martinwestin/flower_classification", "c169e7e", r"(?P<rest>flowers/.+\.jpg)")),
    Whole("flickr8k", Source("RlNZLER/Image-Text-Matching", "56a15d9", r"data/(?P<rest>images/.+\.jpg)"), small=True),
    Whole("flickr8k", Source("quantumnaan/sic_translator", "d27da85", r"data/ignore_(?P<rest>captions\.txt)")),
    Whole(
        "coco",
        Source("syf0122/COMP5329_Assignment02", "7c1fe6f", r"data/(?P<rest>data/\d+\.jpg|(?:train|test)\.csv)"),
        small=True,
    ),
    Whole("sentences", Source("multi30k/dataset", "a3d2e0d", r"data/task2/raw/(?P<rest>train\.\d\.en)\.gz")),
]
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
    "instruments": [
        Source("aizadaaskar/dl-homework", "e1f4d17", r"(?:train|valid|test)/(?P<label>[^/]+)/[^/]+"),
    ],
    "horses": [Source("shenshutao/image_segmentation", "2653401", r"weizmann_horse_db/rgb/horse\d+\.jpg", "horse")],
    "critters": [
        Source(
            "idouros/critters",
            "6bdf25f",
            r"Data/Original/(?P<label>[^/]+)/[^/]+",
            turned="Data/Original/orientations.txt",
        )
    ],
    "coins": [
        Source("SimhadriSantosh/Coin-Classifier", "35f1bea", r"data/train/\d+/[^/]+", "coin"),
        Source("cho0h5/coin-detection", "64b677e", r"data/train/[^/]+/[^/]+", "coin"),
    ],
    "loose_coins": [Source("kaa/coins-dataset", "dbfaaa6", r"(?:src|classified)/.+", "coin")],
    "brick": [
        Source(
            "dimitrisdais/crack_detection_CNN_masonry",
            "83c371c",
            r"dataset/crack_detection_224_images/.+",
            "brick wall",
        )
    ],
    "coins_on_tables": [Source("RaziRaouf/CoinDetector", "1e69eac", r"dataset/images/[^/]+", "coin")],
    "materials": [
        Source(
            "abdullahsherdy/DeepLearning_raw_materials_classification",
            "579c74f",
            r"minc-2500/images/brick/[^/]+",
            "brick wall",
            padding=(124, 117, 104),
        ),
        Source("Hola-Gordon/Computer-Vision-Lab2", "2f53b36", r"data/raw/(?P<label>brick|stone|wood)/[^/]+"),
        Source("pidoko/textureClassification", "c27b763", r"(?P<label>stone|wood)/[^/]+"),
        Source(
            "kauevestena/deep_pavements_dataset",
            "1733bb2",
            r"dataset/(?P<label>asphalt|cobblestone|grass|gravel|paving stones|sett)/[^/]+",
        ),
    ],
    "pages": [
        Source("sgrpanchal31/table-detection-dataset", "8f7e17b", r"images/.+", "page of text", middle=0.3),
        Source("zzzDavid/ICDAR-2019-SROIE", "27be427", r"data/img/\d+\.jpg", "receipt", middle=0.6),
    ],
    "cups": [
        Source("nhhoang-tony/Latte-art", "0f4f1a2", r"public/static/img/[a-z]+-\d+\.jpeg", "cup of coffee"),
        Source("alanshensihao/imageaugmentation", "ff793d0", r"mug/\d+\.jpg", "mug"),
    ],
    "temples": [Source("Nirajan17/temple-classification", "2523e7a", r"dataset/(?:train|test)/[^/]+/[^/]+", "temple")],
    "heritage": [
        Source(
            "shuxinqiao/Architectural-Heritage-Elements-Classification",
            "34f82a3",
            r"dataset/(?:train|val|test)/(?P<label>[^/]+)/[^/]+",
        )
    ],
    "rooms": [
        Source("emanhamed/Houses-dataset", "5e14821", r"Houses Dataset/\d+_(?P<label>kitchen|bedroom|frontal)\.jpg")
    ],
    "sports": [Source("jurjsorinliviu/Sports-Type-Classifier", "563008b", r"data/(?P<label>[^/.]+)/[^/]+")],
    "food": [Source("Gandolier/genai_food101_repo", "1ed9ca6f2", r"data/train/(?P<label>[^/]+)/[^/]+")],
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
    "sharks": "shark", "turtle tortoise": "turtle", "oatghurt": "yoghurt", "soyghurt": "yoghurt",
    "motorbike": "motorcycle", "acordian": "accordion", "alphorn": "alpenhorn", "bagpipes": "bagpipe",
    "bongo drum": "bongo drums", "casaba": "cabasa", "marakas": "maracas", "saxaphone": "saxophone",
    "brick": "brick wall", "sett": "cobblestone", "frontal": "house", "formula1": "formula one",
    "motogp": "motorcycle racing", "wwe": "wrestling", "hockey": "field hockey", "shooting": "rifle shooting",
    "dome(outer)": "dome", "dome(inner)": "ceiling of a dome",
    # not photos of what they say
    "empty": None, "horse made of clouds": None, "elephant made of clouds": None, "dog with closed eyes": None,
    "vertical river": None, "airplane in the sky flying left": None,
}  # fmt: skip


def files(source: Source, clones: Path) -> Iterator[tuple[re.Match[str], str]]:
    """(path, git object) of the files of a source, in a random order that is always the same."""
    listing = ["git", "-C", str(clone(source, clones)), "ls-tree", "-r", "-z", source.commit]
    lines = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]
    random.Random(0).shuffle(lines)
    for line in lines:
        about, path = line.split("\t", 1)
        if found := re.fullmatch(source.paths, path):
            yield found, about.split()[2]


def is_photo(path: str) -> bool:
    return path.lower().endswith((".jpg", ".jpeg", ".png"))


def photos(source: Source, clones: Path) -> Iterator[tuple[str, str, int]]:
    """(label, git object, degrees by which it is turned to the left) of every picture file of a source."""
    turned: dict[str, str] = {}
    if source.turned:
        show = ["git", "-C", str(clone(source, clones)), "show", f"{source.commit}:{source.turned}"]
        lines = subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines()
        turned = dict(line.rsplit(" ", 1) for line in lines if " " in line)
    for path, git_object in files(source, clones):
        if is_photo(path[0]):
            label = source.label or re.sub(r"[-_ ]+", " ", path["label"]).lower()
            label = "t-shirt" if label == "t shirt" else label
            if renamed := RENAMED.get(label, label):
                yield renamed, git_object, int(turned.get("/".join(path[0].split("/")[-2:]), 0))


def clone(source: Source, clones: Path) -> Path:
    return clones / source.repository.replace("/", "+")


def reader(source: Source, clones: Path) -> subprocess.Popen[bytes]:
    command = ["git", "-C", str(clone(source, clones)), "cat-file", "--batch"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def read(git: subprocess.Popen[bytes], name: str) -> bytes:
    """The contents of a git object, from `git cat-file --batch`; empty where the clone lacks it."""
    assert git.stdin and git.stdout
    git.stdin.write(name.encode() + b"\n")
    git.stdin.flush()
    head = git.stdout.readline().split()
    return git.stdout.read(int(head[2]) + 1)[:-1] if head[1] == b"blob" else b""


def upright(data: bytes, side: int = SIDE, turned: int = 0, middle: float = 1.0) -> Image.Image | None:
    """The photo (or its middle part) with a shorter side of `side` pixels at most. None for what is no photo."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            x, y = image.width * (1 - middle) / 2, image.height * (1 - middle) / 2
            box = x, y, image.width - x, image.height - y
            scale = min(middle, side / min(image.size))
            size = round(image.width * scale), round(image.height * scale)
            return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, box).rotate(-turned, expand=True)
    except (OSError, UnidentifiedImageError, ValueError):
        return None


def has_padding(photo: Image.Image, colour: tuple[int, int, int]) -> bool:
    """Whether a corner has the colour, as far as JPEG keeps it."""
    right, bottom = photo.width - 1, photo.height - 1
    corners = [photo.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))]
    return any(max(abs(a - b) for a, b in zip(corner, colour, strict=True)) < 6 for corner in corners)


def write(photo: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=90)


def main(clones: Path, data: Path) -> None:
    for whole in WHOLE:
        count = 0
        with reader(whole.source, clones) as git:
            for path, git_object in files(whole.source, clones):
                target, content = data / whole.folder / path["rest"], read(git, git_object)
                target.parent.mkdir(parents=True, exist_ok=True)
                if whole.small and is_photo(path[0]):
                    if photo := upright(content):
                        write(photo, target)
                        count += 1
                else:
                    content = gzip.decompress(content) if path[0].endswith(".gz") else content
                    count += target.write_bytes(content) > 0
        print(f"{whole.folder}: {count} files", flush=True)

    out = data / "labelled"
    for name, sources in SETS.items():
        counts: Counter[str] = Counter()
        seen = set()
        for source in sources:
            with reader(source, clones) as git:
                for label, git_object, turned in photos(source, clones):
                    if counts[label] >= MORE.get(name, EACH) or git_object in seen:
                        continue  # the same photo twice is the same git object
                    seen.add(git_object)
                    small = int(git_object[:4], 16) % SMALL_EVERY == 0
                    grey = int(git_object[4:8], 16) % GREY_EVERY == 0
                    photo = upright(read(git, git_object), SMALL if small else SIDE, turned, source.middle)
                    if photo and not (source.padding and has_padding(photo, source.padding)):
                        write(photo.convert("L") if grey else photo, out / name / label / f"{git_object}.jpg")
                        counts[label] += 1
        print(f"{name}: {sum(counts.values())} photos: {dict(sorted(counts.items()))}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
