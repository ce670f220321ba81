"""What the text encoder shall say when it reads the name of a thing: the mean of all that is said of the thing.

    python recipes/builtin/names.py CHECKPOINT PREPARED     # writes PREPARED/names.txt, and names.npy beside it

A photo is drawn to the mean of its class's captions (`prepare.py`): name, synonyms, general words, definition. Who
searches types the name alone. The text encoder of CHECKPOINT gives the means, for every class that is trained on and
for every physical thing that WordNet knows. A synonym or general word of classes goes half-way to the mean of their
means; other sentences shall stay where they are.
"""

import json
import random
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from prepare import (
    TEMPLATES,
    WORDNET,
    Synset,
    captions_of,
    first_senses,
    read_wordnet,
    with_article,
    without_article,
)

from searcher.datasets.templates import ENSEMBLE, fill
from searcher.trainer.export import open_checkpoint

PHYSICAL = "n00001930"  # the synset "physical entity"
KINDS = ("genus ", "family ", "order ", "class ", "phylum ", "subfamily ", "suborder ")  # of Latin names
REPEATED = 4  # how often each template has a name of a class
NOUN = 2  # templates that have another noun
UNCHANGED = 100_000  # other sentences
BATCH = 512


def class_captions(prepared: Path) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The captions of the classes that images are trained on, by the name that is theirs, the first caption.

    And their other names, general ones as well, each with the classes that have it.
    """
    captions: dict[str, set[str]] = {}
    others: dict[str, set[str]] = {}
    for path in sorted(prepared.glob("*.jsonl")):
        for line in path.open():
            row = json.loads(line)
            if row["label"]:
                first, *rest = (
                    without_article(text) for text in row["captions"] if f"a photo of {text}" in row["captions"]
                )
                captions.setdefault(first, set()).update(row["captions"])
                for name in rest:
                    others.setdefault(name, set()).add(first)
    return captions, {name: classes for name, classes in others.items() if name not in captions}


def noun_captions(wordnet: dict[str, Synset]) -> dict[str, set[str]]:
    """The captions of every physical thing, by its names: each name stands for the first of its senses."""

    @cache
    def physical(wnid: str) -> bool:
        return wnid == PHYSICAL or any(physical(above) for above in wordnet[wnid].hypernyms)

    first = first_senses()
    return {
        word: set(captions_of(wnid, wordnet))
        for wnid, synset in wordnet.items()
        if physical(wnid)
        for word in synset.words
        if first.get(word.lower()) == wnid and word[0].islower() and not word.startswith(KINDS)
    }


@torch.inference_mode()
def embed(texts: list[str], checkpoint: Path) -> dict[str, np.ndarray]:
    """Embeddings of texts, float32 [d], unit length."""
    model, tokenizer, _ = open_checkpoint(checkpoint)
    found: dict[str, np.ndarray] = {}
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        found.update(zip(part, model.encode_text(tokenizer(part), normalize=True).numpy(), strict=True))
        if start // BATCH % 50 == 0:
            print(f"{start}/{len(texts)}", file=sys.stderr, flush=True)
    return found


def unit(vectors: list[np.ndarray]) -> np.ndarray:
    """Their mean, at unit length."""
    mean = np.mean(vectors, axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def asked(name: str) -> list[str]:
    """What a person or `searcher tag` would write to ask for it."""
    return [
        name,
        *(template.format(with_article(name)) for template in TEMPLATES),
        *(fill(template, name) for template in ENSEMBLE),
    ]


def main(checkpoint: Path, prepared: Path) -> None:
    rng = random.Random(0)
    (classes, others), nouns = class_captions(prepared), noun_captions(read_wordnet(WORDNET))
    captions = nouns | {name: {*asked(name)} for name in others} | classes
    sentences = (prepared / "sentences.txt").read_text().splitlines()
    unchanged = rng.sample(sentences, min(UNCHANGED, len(sentences)))
    embedded = embed(sorted({*unchanged, *(text for texts in captions.values() for text in texts)}), checkpoint)

    means = {name: unit([embedded[text] for text in texts]) for name, texts in captions.items()}
    rows = [(sentence, embedded[sentence]) for sentence in unchanged]
    for name, mean in means.items():
        if name in others:
            mean = unit([mean, np.mean([means[each] for each in others[name]], axis=0)])
        trained = name in classes or name in others
        rows += [(text, mean) for text in (asked(name) * REPEATED if trained else rng.sample(asked(name), NOUN))]
    (prepared / "names.txt").write_text("\n".join(text for text, _ in rows) + "\n")
    np.save(prepared / "names.npy", np.stack([row for _, row in rows]).astype(np.float16))
    counts = f"{len(classes)} classes, {len(others)} other names, {len(nouns)} nouns"
    print(f"names.txt: {counts}, {len(rows)} texts")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
