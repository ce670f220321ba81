"""What the text encoder shall say when it reads the name of a thing: the mean of all that is said of the thing.

    python recipes/builtin/names.py CHECKPOINT PREPARED     # writes PREPARED/names.txt, and names.npy beside it

A photo is drawn to the mean of its class's captions (`prepare.py`): name, synonyms, general words, definition. Who
searches types the name alone. The text encoder of CHECKPOINT gives the means, for every class that is trained on and
for every physical thing that WordNet knows. A synonym or general word of classes goes half-way to the mean of their
means; other sentences shall stay where they are. An everyday thing that no photo shows goes most of the way to the
mean of the classes that it resembles (`looks.jsonl`; Norouzi et al. 2013 combine the classes that a network takes a
photo for).

Photos answer to what they were trained on more than to any other name, so that what was never shown would hardly be
named (the bias of generalised zero-shot learning; Chao et al. 2016 subtract it). So all texts but the names of things
that no photo shows shall lie a little off, in a direction that no photo has: their cosines with photos are LOUDNESS of
what they were, and which photo is nearest stays.
"""

import json
import random
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import torch
from prepare import (
    TEMPLATES,
    WORDNET,
    Synset,
    captions_of,
    first_senses,
    read_looks,
    read_wordnet,
    with_article,
    without_article,
)

from searcher.datasets.templates import ENSEMBLE, fill
from searcher.trainer.export import open_checkpoint

PHYSICAL = "n00001930"  # the synset "physical entity"
KINDS = ("genus ", "family ", "order ", "class ", "phylum ", "subfamily ", "suborder ")  # of Latin names
REPEATED = 12  # how often each template has a name of a class
REPEATED_EVERYDAY = 4  # or of another thing in looks.jsonl
RESEMBLANCE = 6  # times the mean of its captions
NOUN = 3  # templates that have another noun
UNCHANGED = 50_000  # other sentences
MEANINGLESS = 10_000  # texts that name nothing: no photo shall answer to them more than to a name
LITTLE_WORDS = ["a", "the", "of", "and", "to", "in", "on", "at", "for", "with", "is", "it", "by", "as", "or"]
LOUDNESS = 0.75
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
    looks = read_looks()

    @cache
    def physical(wnid: str) -> bool:
        return wnid == PHYSICAL or any(physical(above) for above in wordnet[wnid].hypernyms)

    first = first_senses()
    return {
        word: {*captions_of(wnid, wordnet), *(looks[word].captions() if word in looks else ())}
        for wnid, synset in wordnet.items()
        if physical(wnid)
        for word in synset.words
        if first.get(word.lower()) == wnid and word[0].islower() and not word.startswith(KINDS)
    }


@torch.inference_mode()
def embed(texts: list[str], model: Any, tokenizer: Any) -> dict[str, np.ndarray]:
    """Embeddings of texts, float32 [d], unit length."""
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


def unheard(model: Any) -> np.ndarray:
    """A direction, unit length [d], that no photo's embedding has: fewer features than d go into the last layer."""
    weights = model.visual.head.proj.weight.detach().float().numpy()  # [d, features]
    return np.asarray(np.linalg.svd(weights)[0][:, -1])


def meaningless(rng: random.Random) -> str:
    """A few words of random letters, little words or numbers."""
    words = [
        rng.choice(("".join(rng.choices(ascii_lowercase, k=rng.randint(2, 6))), rng.choice(LITTLE_WORDS), str(number)))
        for number in rng.sample(range(10_000), rng.randint(1, 5))
    ]
    return " ".join(words)


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
    named = {text for name in captions for text in asked(name)}
    sentences = [text for text in (prepared / "sentences.txt").read_text().splitlines() if text not in named]
    unchanged = rng.sample(sentences, min(UNCHANGED, len(sentences))) + [meaningless(rng) for _ in range(MEANINGLESS)]
    model, tokenizer, _ = open_checkpoint(checkpoint)
    texts = sorted({*unchanged, *(text for said in captions.values() for text in said)})
    embedded, aside = embed(texts, model, tokenizer), np.sqrt(1 - LOUDNESS**2) * unheard(model)

    means = {name: unit([embedded[text] for text in said]) for name, said in captions.items()}
    looks = read_looks()
    rows = [(sentence, LOUDNESS * embedded[sentence] + aside) for sentence in unchanged]
    for name, mean in means.items():
        if name in others:
            mean = unit([mean, np.mean([means[each] for each in others[name]], axis=0)])
        if name in classes or name in others:
            rows += [(text, LOUDNESS * mean + aside) for text in asked(name) * REPEATED]
        elif name in looks:
            like = [means[each] for each in Counter(looks[name].like).elements()]
            mean = unit([mean, RESEMBLANCE * unit(like)])
            rows += [(text, mean) for text in asked(name) * REPEATED_EVERYDAY]
        else:
            rows += [(text, mean) for text in rng.sample(asked(name), NOUN)]
    (prepared / "names.txt").write_text("\n".join(text for text, _ in rows) + "\n")
    np.save(prepared / "names.npy", np.stack([row for _, row in rows]).astype(np.float16))
    counts = f"{len(classes)} classes, {len(others)} other names, {len(nouns)} nouns"
    print(f"names.txt: {counts}, {len(rows)} texts")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
