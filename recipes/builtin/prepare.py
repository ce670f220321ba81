"""Turn the fetched data folders into what `searcher train` reads: captioned pairs, sentences, folders to measure on.

    python recipes/builtin/prepare.py DATA OUT

DATA is what `extract.py` made of the repositories that it names. WordNet 3.0's dictionary is read from
`/usr/share/wordnet` (Debian's `wordnet-base`). What is held out is decided here, once, for every source:

- every tenth of the sorted WordNet ids of Tiny ImageNet is never trained on, nor is a class elsewhere of the same name;
- the validation images of Tiny ImageNet, a fifth of every Caltech-101 class and an eighth of Flickr8k only measure;
- a photo of another source that looks the same as a photo that measures is left out;
- so is a photo whose captions mention a class that is held out.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from searcher.datasets.samples import sample_photos

WORDNET = Path("/usr/share/wordnet/data.noun")
SENSES = WORDNET.with_name("index.noun")
LOOKS = Path(__file__).with_name("looks.jsonl")
HELD_OUT_EVERY = 10  # of the sorted WordNet ids of Tiny ImageNet, the last of each ten
SAME_PHOTO = 0.97  # product of two centred thumbnails: above it lie copies, by eye
TEMPLATES = ("{}", "a photo of {}", "a good photo of {}", "a cropped photo of {}")
SCENES = {
    0: ["buildings", "a city with tall buildings", "architecture", "houses in a town"],
    1: ["a forest", "trees in the woods", "a path through a forest", "green trees"],
    2: ["a glacier", "ice and snow", "a frozen landscape", "an iceberg"],
    3: ["a mountain", "a mountain landscape", "rocky peaks", "a valley between mountains"],
    4: ["the sea", "waves at the beach", "the ocean", "water and sky"],
    5: ["a street", "a road in a city", "cars parked in a street", "people walking in a street"],
}
# Caltech-101's folder names are its own shorthand: what a person would say instead, the plainest first.
CALTECH = {
    "Faces": ["a face", "a person", "a portrait of a person"],
    "Faces_easy": ["a face", "a person", "a portrait of a person"],
    "Leopards": ["a leopard", "a big cat", "a wild animal"],
    "Motorbikes": ["a motorcycle", "a motorbike", "a vehicle"],
    "airplanes": ["an airplane", "a plane", "a jet", "an aircraft"],
    "ant": ["an ant", "an insect"],
    "bass": ["a bass", "a fish"],
    "beaver": ["a beaver", "an animal"],
    "bonsai": ["a bonsai", "a small tree in a pot", "a plant"],
    "brontosaurus": ["a brontosaurus", "a dinosaur"],
    "butterfly": ["a butterfly", "an insect"],
    "car_side": ["a car", "an automobile", "a vehicle seen from the side"],
    "cougar_body": ["a cougar", "a puma", "a big cat"],
    "cougar_face": ["the face of a cougar", "a puma", "a big cat"],
    "crab": ["a crab", "a shellfish"],
    "crocodile": ["a crocodile", "a reptile"],
    "crocodile_head": ["the head of a crocodile", "a reptile"],
    "cup": ["a cup", "a mug", "a drinking cup"],
    "dalmatian": ["a dalmatian", "a dog", "a spotted dog"],
    "dollar_bill": ["a dollar bill", "money", "a banknote"],
    "dolphin": ["a dolphin", "a sea animal"],
    "electric_guitar": ["an electric guitar", "a guitar", "a musical instrument"],
    "elephant": ["an elephant", "an animal"],
    "emu": ["an emu", "a large bird"],
    "euphonium": ["a euphonium", "a brass instrument"],
    "ewer": ["a ewer", "a pitcher", "a jug"],
    "ferry": ["a ferry", "a boat", "a ship"],
    "flamingo": ["a flamingo", "a pink bird"],
    "flamingo_head": ["the head of a flamingo", "a pink bird"],
    "garfield": ["Garfield", "a cartoon cat"],
    "gerenuk": ["a gerenuk", "an antelope"],
    "grand_piano": ["a grand piano", "a piano", "a musical instrument"],
    "hawksbill": ["a hawksbill", "a sea turtle", "a turtle"],
    "hedgehog": ["a hedgehog", "a small animal"],
    "helicopter": ["a helicopter", "an aircraft"],
    "ibis": ["an ibis", "a wading bird"],
    "inline_skate": ["an inline skate", "a roller skate"],
    "joshua_tree": ["a joshua tree", "a tree in the desert"],
    "ketch": ["a ketch", "a sailing boat", "a sailboat"],
    "laptop": ["a laptop", "a notebook computer"],
    "llama": ["a llama", "an animal"],
    "lotus": ["a lotus", "a flower", "a lotus flower"],
    "menorah": ["a menorah", "a candlestick"],
    "minaret": ["a minaret", "a mosque", "a tower of a mosque"],
    "nautilus": ["a nautilus", "a shell"],
    "okapi": ["an okapi", "an animal"],
    "pagoda": ["a pagoda", "a temple", "an Asian temple", "an old temple"],
    "panda": ["a panda", "a panda bear"],
    "pigeon": ["a pigeon", "a bird"],
    "pizza": ["a pizza", "food"],
    "platypus": ["a platypus", "an animal"],
    "revolver": ["a revolver", "a gun", "a pistol"],
    "rhino": ["a rhinoceros", "a rhino"],
    "rooster": ["a rooster", "a cock", "a chicken"],
    "saxophone": ["a saxophone", "a musical instrument"],
    "schooner": ["a schooner", "a sailing ship"],
    "sea_horse": ["a sea horse", "a seahorse"],
    "snoopy": ["Snoopy", "a cartoon dog"],
    "soccer_ball": ["a soccer ball", "a football"],
    "starfish": ["a starfish", "a sea star"],
    "stop_sign": ["a stop sign", "a traffic sign"],
    "strawberry": ["a strawberry", "a fruit"],
    "sunflower": ["a sunflower", "a flower", "a yellow flower"],
    "tick": ["a tick", "a mite"],
    "trilobite": ["a trilobite", "a fossil"],
    "umbrella": ["an umbrella", "a parasol"],
    "watch": ["a watch", "a wristwatch"],
    "water_lilly": ["a water lily", "a flower"],
    "wheelchair": ["a wheelchair", "a chair with wheels"],
    "wild_cat": ["a wild cat", "a wildcat", "a cat"],
    "windsor_chair": ["a windsor chair", "a wooden chair", "a chair"],
    "wrench": ["a wrench", "a spanner", "a tool"],
    "yin_yang": ["a yin yang symbol", "a black and white symbol"],
}

# Labels of the sets of plain photos, where "a" and the label would not do.
LABELLED = {
    "airplane": ["an airplane", "a plane", "a jet", "an aircraft"],
    "asphalt": ["asphalt", "the surface of a road"],
    "bicycle": ["a bicycle", "a bike"],
    "boat": ["a boat", "a boat on the water"],
    "brown cap mushroom": ["brown mushrooms", "a mushroom"],
    "brick wall": ["a brick wall", "bricks", "a wall of bricks"],
    "bus": ["a bus", "a vehicle"],
    "car": ["a car", "an automobile", "a vehicle"],
    "car carrier ship": ["a car carrier", "a ship", "a large ship at sea"],
    "cargo ship": ["a cargo ship", "a ship", "a freighter"],
    "carrots": ["carrots", "a carrot", "a vegetable"],
    "cat": ["a cat", "a kitty", "a pet"],
    "cloudy sky": ["a cloudy sky", "clouds", "grey clouds in the sky"],
    "cobblestone": ["cobblestones", "a stone pavement"],
    "coin": ["a coin", "coins", "money"],
    "coral": ["coral", "a coral reef"],
    "cow": ["a cow", "cattle", "a farm animal"],
    "cruise ship": ["a cruise ship", "a ship", "an ocean liner"],
    "cup of coffee": ["a cup of coffee", "coffee", "a cup"],
    "deer": ["a deer", "a wild animal"],
    "dog": ["a dog", "a puppy", "a pet"],
    "garlic": ["garlic", "a vegetable"],
    "ginger": ["ginger", "a ginger root"],
    "grass": ["grass", "a lawn", "green grass"],
    "gravel": ["gravel", "pebbles", "small stones"],
    "horse": ["a horse", "a pony"],
    "motorcycle": ["a motorcycle", "a motorbike"],
    "mug": ["a mug", "a coffee mug", "a cup"],
    "page of text": ["a page of text", "printed text", "a document"],
    "paving stones": ["paving stones", "a brick pavement", "a pavement"],
    "pants": ["pants", "trousers", "a pair of trousers"],
    "person": ["a person", "a man or a woman"],
    "rain": ["rain", "rainy weather"],
    "sea slug": ["a sea slug", "a nudibranch"],
    "ship": ["a ship", "a large ship"],
    "shoes": ["shoes", "a shoe", "a pair of shoes"],
    "shorts": ["shorts", "a pair of shorts"],
    "satsumas": ["satsumas", "a tangerine"],
    "sour milk": ["a carton of sour milk", "a milk carton"],
    "starfish": ["a starfish", "a sea star"],
    "stone": ["stones", "rocks", "a wall of stone"],
    "wood": ["wood", "wooden boards", "a wooden surface"],
    "badminton": ["badminton", "a badminton match", "a sport"],
    "baseball": ["baseball", "a baseball game", "a sport"],
    "basketball": ["basketball", "a basketball game", "a sport"],
    "boxing": ["boxing", "a boxing match", "a sport"],
    "chess": ["chess", "a game of chess", "a chessboard"],
    "cricket": ["cricket", "a cricket match", "a sport"],
    "fencing": ["fencing", "two people fencing", "a sport"],
    "field hockey": ["field hockey", "hockey players", "a sport"],
    "football": ["football", "soccer", "a football match", "a sport"],
    "formula one": ["formula one", "a racing car", "a car race"],
    "gymnastics": ["gymnastics", "a gymnast", "a sport"],
    "ice hockey": ["ice hockey", "an ice hockey game", "a sport"],
    "kabaddi": ["kabaddi", "a kabaddi match", "a sport"],
    "motorcycle racing": ["motorcycle racing", "a racing motorcycle", "a motorcycle race"],
    "rifle shooting": ["rifle shooting", "a person aiming a gun", "a sport"],
    "swimming": ["swimming", "a swimmer", "a swimming pool", "a sport"],
    "table tennis": ["table tennis", "ping-pong", "a sport"],
    "tennis": ["tennis", "a tennis match", "a sport"],
    "volleyball": ["volleyball", "a volleyball game", "a sport"],
    "weight lifting": ["weightlifting", "a person lifting weights", "a sport"],
    "wrestling": ["wrestling", "wrestlers", "a sport"],
    "sunny sky": ["a sunny sky", "sunshine", "a blue sky"],
    "sunrise": ["a sunrise", "a sunset", "the sun on the horizon"],
    "temple": ["a temple", "an old temple", "a pagoda", "old Asian buildings"],
    "truck": ["a truck", "a lorry", "a vehicle"],
}
# Sets that have a file of their own, by its name: their labels are told from each other alone.
OWN_FILE = {
    "ships": "ships",  # a cargo ship is a ship as well
    "sports": "sports",
    "brick": "closeups",  # what fills the picture
    "coins": "closeups",
    "coins_on_tables": "closeups",
    "cups": "closeups",
    "loose_coins": "closeups",
    "materials": "closeups",
    "pages": "closeups",
}
# What the sets of plain photos hardly show and ImageNet does: told from cats and dogs only if it stands beside them.
PLAIN = ("frog", "bird")
PLAIN_EACH = 1500
# Their photos may show kinds that are held out (tarantulas, spiny lobsters), or hardly what the label says.
NOT_LABELLED = {"spider", "lobster", "plant"}


@dataclass(frozen=True)
class Synset:
    """One meaning in WordNet: its words, the definition, and the ids of what it is a kind of."""

    words: list[str]
    gloss: str
    hypernyms: list[str]


def read_wordnet(path: Path) -> dict[str, Synset]:
    """Every noun synset by WordNet id (`n` and eight digits, as ImageNet writes it)."""
    synsets = {}
    for line in path.read_text().splitlines():
        if line.startswith(" "):
            continue  # the licence at the head of the file
        data, _, gloss = line.partition(" | ")
        fields = data.split()
        count = int(fields[3], 16)
        words = [re.sub(r"\(.*\)", "", w).replace("_", " ") for w in fields[4 : 4 + 2 * count : 2]]
        pointers = fields[5 + 2 * count :]
        hypernyms = ["n" + pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] in ("@", "@i")]
        synsets["n" + fields[0]] = Synset(words, gloss.split('; "')[0].strip(), hypernyms)
    return synsets


def first_senses() -> dict[str, str]:
    """The WordNet id of the first sense of every noun, by the noun in lower case."""
    senses = {}
    for line in SENSES.read_text().splitlines():
        if not line.startswith(" "):  # the licence
            word, *fields = line.split()
            senses[word.replace("_", " ")] = "n" + fields[-int(fields[1])]
    return senses


# The words that people use first, whatever the breed or make: every class below one of them is captioned with it too.
EVERYDAY = {
    "dog", "cat", "bird", "fish", "insect", "spider", "snake", "lizard", "frog", "turtle", "monkey", "bear", "sheep",
    "cow", "horse", "deer", "elephant", "shark", "butterfly", "beetle", "car", "truck", "bus", "train", "bicycle",
    "motorcycle", "boat", "ship", "airplane", "bridge", "house", "building", "tower", "church", "chair", "table",
    "lamp", "clock", "bottle", "cup", "hat", "shoe", "dress", "coat", "bag", "ball", "computer", "telephone", "coffee",
    "bread", "cake", "fruit", "vegetable", "flower", "tree", "mushroom", "mountain", "beach", "musical instrument",
    "toy", "vehicle", "animal", "food", "clothing", "furniture",
}  # fmt: skip


def with_article(name: str) -> str:
    return name if name[0].isupper() else ("an " if name[0] in "aeiou" else "a ") + name


def without_article(phrase: str) -> str:
    return re.sub(r"^(?:an?|the) ", "", phrase)


# Hypernyms that nobody would type when looking for a photo.
TOO_GENERAL = {
    "whole", "unit", "artifact", "artefact", "object", "physical object", "entity", "instrumentality",
    "instrumentation", "matter", "abstraction", "living thing", "organism", "being", "causal agent", "commodity",
    "covering", "way", "passage", "mechanism", "device", "structure", "construction", "conveyance", "attribute",
    "placental", "placental mammal", "eutherian", "vertebrate", "craniate", "chordate", "ungulate", "hoofed mammal",
}  # fmt: skip


def general_words(wnid: str, wordnet: dict[str, Synset]) -> list[str]:
    """What a synset is a kind of: two everyday words at most, and the words one level up."""
    above: list[str] = []
    level = [wnid]
    while level:
        level = [up for node in level for up in wordnet[node].hypernyms]
        above += [word for up in level for word in wordnet[up].words]
    everyday = [word for word in dict.fromkeys(above) if word in EVERYDAY]
    parents = [wordnet[up].words[0] for up in wordnet[wnid].hypernyms]
    return list(dict.fromkeys([*everyday[:2], *(word for word in parents if word not in TOO_GENERAL)]))


def captions_of(wnid: str, wordnet: dict[str, Synset]) -> list[str]:
    """Captions for one class: its name in four templates, a synonym, general words and the definition.

    What a class is drawn to is the mean of its captions. General words and definition make that mean resemble the means
    of like classes, also of those that no photo shows: asked by such means instead of by names, version 4 named 24 % of
    the held-out classes' photos right instead of 18 %. `names.py` then teaches the text encoder to say the mean when it
    reads the name.
    """
    synset = wordnet[wnid]
    first, *others = [with_article(name) for name in synset.words]
    captions = [template.format(first) for template in TEMPLATES]
    for name in [*others[:1], *map(with_article, general_words(wnid, wordnet))]:
        captions += [name, f"a photo of {name}"]
    return [*captions, synset.gloss]


@dataclass(frozen=True)
class Looks:
    """What a kind of thing looks like and where it is seen, each said twice; and the classes that it resembles.

    Each of `like` has how many of those who were asked named it. The classes, which are trained on, have none.
    """

    looks: list[str]
    where: list[str]
    like: dict[str, int]

    def captions(self) -> list[str]:
        return [*self.looks, *(f"a photo showing {looks}" for looks in self.looks), *self.where]


@cache
def read_looks() -> dict[str, Looks]:
    """What kinds of things look like, by their names: `looks.jsonl`."""
    rows = map(json.loads, LOOKS.read_text().splitlines())
    return {row["name"]: Looks(row["looks"], row["where"], row.get("like", {})) for row in rows}


def with_looks(captions: list[str]) -> list[str]:
    """A class's captions, and at most half as many that say what the class looks like."""
    found = read_looks().get(without_article(captions[0]))
    return captions + found.captions()[: len(captions) // 2] if found else captions


def write_pairs(path: Path, rows: Iterator[tuple[Path, list[str], str | None]]) -> int:
    """Write (image, captions, label) rows as JSON lines; the label, where there is one, names the image's class.

    A class's captions say what it looks like, too.
    """
    n = 0
    with path.open("w") as file:
        for image, captions, label in rows:
            captions = with_looks(captions) if label else captions
            file.write(json.dumps({"image": str(image), "captions": captions, "label": label}) + "\n")
            n += 1
    return n


def link(images: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        target = folder / image.name
        if not target.is_symlink():
            target.symlink_to(image.resolve())


def thumbnails(images: list[Path]) -> np.ndarray:
    """Grey 16 × 16 thumbnails, centred and of unit length: float32 [n, 256]. The same photo has a product near 1."""
    rows = np.empty((len(images), 256), dtype=np.float32)
    for i, path in enumerate(images):
        with Image.open(path) as image:
            rows[i] = np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), np.float32).ravel()
    rows -= rows.mean(1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def not_among(images: list[Path], measured: np.ndarray) -> list[Path]:
    """The images that are not copies (other size, other compression) of one of the measured."""
    kept = []
    for start in range(0, len(images), 2000):
        part = images[start : start + 2000]
        same = (thumbnails(part) @ measured.T).max(1) > SAME_PHOTO
        kept += [image for image, drop in zip(part, same, strict=True) if not drop]
    return kept


def mention_of(names: set[str]) -> re.Pattern[str]:
    """What is found in a caption that speaks of one of the names, in the singular or plural."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})(?:e?s)?\b", re.IGNORECASE)


def sentence(caption: str) -> str:
    return caption.strip(' ."') + "."


def also_as_photos(phrases: list[str]) -> list[str]:
    """The phrases, and "a photo of" each."""
    return [*phrases, *(f"a photo of {phrase}" for phrase in phrases)]


def main(data: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    wordnet = read_wordnet(WORDNET)

    tiny = data / "tiny-imagenet-200"
    wnids = sorted((tiny / "wnids.txt").read_text().split())
    held_out = set(wnids[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    held_out_names = {word.lower() for wnid in held_out for word in wordnet[wnid].words}
    mention = mention_of(held_out_names)
    for name, looks in read_looks().items():
        if not looks.like and any(map(mention.search, looks.captions())):
            sys.exit(f"{LOOKS}: {name}: speaks of a class that is held out")
    captions = {wnid: captions_of(wnid, wordnet) for wnid in wnids}
    imagenet: list[tuple[Path, list[str], str]] = [
        (image, captions[wnid], wnid)
        for wnid in wnids
        if wnid not in held_out
        for image in sorted((tiny / "train" / wnid / "images").iterdir())
    ]
    print(f"tiny: {len(imagenet)} images of {len(wnids) - len(held_out)} classes; held out: {len(held_out)}")
    by_wnid: dict[str, list[Path]] = {}
    for line in (tiny / "val" / "val_annotations.txt").read_text().splitlines():
        name, wnid = line.split("\t")[:2]
        by_wnid.setdefault(wnid, []).append(tiny / "val" / "images" / name)
    for wnid, images in by_wnid.items():
        label = wordnet[wnid].words[0]
        if wnid == "n03126707":
            label = "crane (machine)"  # a bird has the same name
        link(images, out / "measure" / "tiny-all" / label)
        link(images, out / "measure" / ("tiny-unseen" if wnid in held_out else "tiny-seen") / label)

    caltech = data / "caltech" / "101_ObjectCategories"
    train: list[tuple[Path, list[str], str]] = []
    for folder in sorted(caltech.iterdir()):
        if folder.name == "BACKGROUND_Google":
            continue
        plain = folder.name.replace("_", " ").lower()
        phrases = CALTECH.get(folder.name, [with_article(plain)])
        images = sorted(folder.glob("*.jpg"))
        link(images[::5], out / "measure" / "caltech-held-out" / without_article(phrases[0]))
        if plain in held_out_names:
            print(f"  caltech {plain}: left out of training (the name of a held-out class)")
            continue
        texts = also_as_photos(phrases)
        train += [(image, texts, plain) for i, image in enumerate(images) if i % 5]
    print(f"caltech.jsonl: {write_pairs(out / 'caltech.jsonl', iter(train))} images")

    scenes = data / "scenes" / "train-scene classification"
    rows = [line.split(",") for line in (scenes / "train.csv").read_text().splitlines()[1:]]
    n = write_pairs(
        out / "scenes.jsonl",
        ((scenes / "train" / name, also_as_photos(SCENES[int(c)]), f"scene {c}") for name, c in rows),
    )
    print(f"scenes.jsonl: {n} images")

    held_out_photos = (out / "measure").glob("caltech-held-out/*/*")
    of_tiny_imagenet = (image for images in by_wnid.values() for image in images)
    measured = thumbnails([*of_tiny_imagenet, *held_out_photos, *sample_photos()])
    for source in ("miniimagenet", "imagenette", "imagewoof"):
        for folder in sorted((data / source).glob("*/n*")):
            wnid = folder.name
            names = {word.lower() for word in wordnet[wnid].words}
            if names & held_out_names:
                print(f"  {source} {wnid} {wordnet[wnid].words[0]}: left out of training (a held-out class)")
                continue
            captions[wnid] = captions_of(wnid, wordnet)
            imagenet += [(image, captions[wnid], wnid) for image in not_among(sorted(folder.iterdir()), measured)]
    print(f"imagenet.jsonl: {write_pairs(out / 'imagenet.jsonl', iter(imagenet))} images")
    ours = set(wnids)  # once more in a file of its own, where they are told from each other alone, as when measured
    of_tiny = (row for row in imagenet if row[2] in ours)
    print(f"tiny.jsonl: {write_pairs(out / 'tiny.jsonl', of_tiny)} images")

    train = []
    for folder in sorted((data / "flowers").glob("*/*")):
        flower = folder.name.rstrip("s")
        phrases = [with_article(flower), "a flower", f"{flower} flowers"]
        texts = also_as_photos(phrases)
        train += [(image, texts, flower) for image in sorted(folder.glob("*.jpg"))]
    print(f"flowers.jsonl: {write_pairs(out / 'flowers.jsonl', iter(train))} images")

    labelled: dict[str, list[tuple[Path, list[str], str]]] = {"labelled": []}
    for folder in sorted((data / "labelled").glob("*/*")):
        label = folder.name
        if label in held_out_names | NOT_LABELLED:
            print(f"  {folder.parent.name} {label}: left out of training")
            continue
        phrases = LABELLED.get(label, [with_article(label)])
        texts = also_as_photos(phrases)
        rows_of = labelled.setdefault(OWN_FILE.get(folder.parent.name, "labelled"), [])
        rows_of += [(image, texts, label) for image in not_among(sorted(folder.iterdir()), measured)]
    for word in PLAIN:
        kinds = {wnid for wnid in captions if word in general_words(wnid, wordnet)}
        images = [image for image, _, wnid in imagenet if wnid in kinds]
        texts = also_as_photos([with_article(word)])
        labelled["labelled"] += [(image, texts, word) for image in images[:: max(1, len(images) // PLAIN_EACH)]]
    for name, photos_of in labelled.items():
        print(f"{name}.jsonl: {write_pairs(out / f'{name}.jsonl', iter(photos_of))} images")

    by_image: dict[str, list[str]] = {}
    with (data / "flickr8k" / "captions.txt").open(newline="") as file:
        for row in csv.DictReader(file):
            by_image.setdefault(row["image"], []).append(sentence(row["caption"]))
    photos = data / "flickr8k" / "images"
    captioned = [(photos / name, texts, None) for name, texts in sorted(by_image.items())]
    write_pairs(out / "measure" / "flickr8k-held-out.jsonl", iter(captioned[::8]))
    kept = [row for i, row in enumerate(captioned) if i % 8 and not any(map(mention.search, row[1]))]
    print(f"flickr8k.jsonl: {write_pairs(out / 'flickr8k.jsonl', iter(kept))} images")

    caption_of = {}
    for table in (data / "coco" / "train.csv", data / "coco" / "test.csv"):  # some have quotation marks in between
        for name, caption in re.findall(r'^(\d+\.jpg),(?:[\d ]+,)?"?(.*?)"?\s*$', table.read_text(), re.MULTILINE):
            if not mention.search(caption):
                caption_of[data / "coco" / "data" / name] = sentence(caption)
    kept = [(image, [caption_of[image]], None) for image in not_among(sorted(caption_of), measured)]
    print(f"coco.jsonl: {write_pairs(out / 'coco.jsonl', iter(kept))} images")

    sentences = dict.fromkeys(
        line.strip() for path in sorted((data / "sentences").iterdir()) for line in path.read_text().splitlines()
    )
    for synset in wordnet.values():
        names = synset.words[:3]
        sentences[f"{', '.join(names)}: {synset.gloss}"] = None
        for name in names:
            if name.count(" ") < 2:
                sentences[name if len(name) % 2 else f"a photo of {with_article(name)}"] = None
    sentences.pop("", None)
    (out / "sentences.txt").write_text("\n".join(s.replace("\n", " ") for s in sentences) + "\n")
    print(f"sentences.txt: {len(sentences)} sentences")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
