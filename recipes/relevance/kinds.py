"""Make searcher/datasets/kinds.txt: for each noun of WordNet that names a kind of things, what belongs to it.

    apt-get install wordnet-base
    pip install wordfreq scikit-learn
    python recipes/relevance/kinds.py /usr/share/wordnet

A kind such as "bird" is also a robin, an owl or a duck, and a photo of a robin is nearer to "robin" than to "bird". So
a search for a kind uses further wordings. There are at most 15 for each kind. A wording is a list of at most six
kinds that are similar: the narrower kinds with most kinds below them are grouped by k-means of their embeddings by the
built-in model. The words of a kind below are those that are most frequent in English (wordfreq). Kinds of people are
counted, but not listed: WordNet's words for them are often dated or insulting.
"""

import argparse
import re
from pathlib import Path

import numpy as np
import wordfreq
from sklearn.cluster import KMeans
from wordnet import WordNet

from searcher.models import Model

OUT = Path(__file__).parents[2] / "searcher" / "datasets" / "kinds.txt"
LEAST_FREQUENT = 2.0  # Zipf frequency of a kind's name: about one word in ten million
NAME = re.compile(r"[a-z][a-z' -]{2,}")
PEOPLE = 18  # WordNet's group of nouns for people
NARROWER = 60  # kinds below a kind that are grouped
GROUPS, IN_GROUP = 15, 6

HEADER = """\
# For each kind of things: how many kinds belong to it, itself included, and lists of some of them. Made by
# recipes/relevance/kinds.py from WordNet 3.0, Copyright 2006 by Princeton University, All rights reserved.
# See WORDNET-LICENSE.txt.
"""


def narrower(net: WordNet, kind: str) -> list[str]:
    """The words of the kinds below a kind, those with most kinds below them first."""
    words: dict[str, tuple[int, float]] = {}
    for below in net.tree(kind) - {kind}:
        if net.group[below] == PEOPLE:
            continue
        frequency, word = net.word(below)
        words[word] = max(words.get(word, (0, 0.0)), (len(net.tree(below)), frequency))
    ranked = sorted(words, key=lambda word: (-words[word][0], -words[word][1], word))
    return ranked[:NARROWER]


def grouped(words: list[str], vectors: dict[str, np.ndarray]) -> list[list[str]]:
    """Similar words together: at most GROUPS lists of IN_GROUP words, the most typical of a group first."""
    if len(words) <= GROUPS:
        return [[word] for word in words]
    points = np.stack([vectors[word] for word in words])
    of = KMeans(GROUPS, n_init=2, random_state=0).fit(points).labels_
    groups = []
    for group in range(GROUPS):
        rows = np.flatnonzero(of == group)
        near = points[rows] @ points[rows].mean(axis=0)
        groups.append([words[row] for row in rows[np.argsort(-near, kind="stable")][:IN_GROUP]])
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wordnet", type=Path, help="the folder with data.noun and index.noun")
    net = WordNet(parser.parse_args().wordnet)
    kinds = {
        word: kind
        for word in sorted(net.meanings)
        if NAME.fullmatch(word)
        and (kind := net.meaning(word)) is not None
        and len(net.tree(kind)) > 1
        and wordfreq.zipf_frequency(word, "en") >= LEAST_FREQUENT
    }
    lists = {kind: narrower(net, kind) for kind in set(kinds.values())}
    texts = sorted({word for words in lists.values() if len(words) > GROUPS for word in words})
    print(f"{len(kinds)} kinds; embedding {len(texts)} words")
    model = Model.open("builtin")
    vectors = dict(zip(texts, model.encode_texts(texts), strict=True))
    groups = {kind: grouped(words, vectors) for kind, words in lists.items()}
    with OUT.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        for word, kind in kinds.items():
            wordings = [", ".join(group) for group in groups[kind]]
            file.write("\t".join([word, str(len(net.tree(kind))), *wordings]) + "\n")
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
