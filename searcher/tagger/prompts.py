"""Embeddings of prompts. What was computed for a library is kept in its catalog and not computed again."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from searcher.datasets.labels import Label
from searcher.models.prompts import encode_labels
from searcher.progress import SILENT, Progress
from searcher.tagger.context import Context
from searcher.tagger.question import digest

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

# Prompts for what most photos show. A label that is judged by itself competes with their mean, which is one direction
# of the embedding space ("a photo of anything"). So a label that is in this list does not compete with itself.
BACKGROUND = tuple(
    f"a photo of {what}."
    for what in """a person, a group of people, an animal, a plant, food, a vehicle, a building, a room, a street,
    a landscape, the sky, water, furniture, a tool, a machine, clothing, a toy, a sign, text, a pattern""".replace(
        "\n", ""
    ).split(", ")
)


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Vectors of the library's model in its catalog. The key is a digest of what a vector was computed from.

    store: whether `put` may write to the catalog. progress: gets a notice if another writer must be waited for.
    """

    context: Context
    store: bool = False
    progress: Progress = SILENT

    def get(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Those of the vectors that are stored: key → float32 vector."""
        with self.context.catalog.read() as view:
            return view.tags.prompts(keys, self.context.row)

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Store float32 vectors under their keys, if that is allowed. Raises SearcherError if it fails."""
        if self.store:
            with self.context.catalog.write(self.progress) as change:
                change.tags.add_prompts(vectors, self.context.row.id)


def background_vector(model: "DualEncoder", stored: StoredVectors | None = None) -> np.ndarray:
    """The mean (dim,) float32 of the embeddings of BACKGROUND. Its length is not 1."""
    labels = [Label(text, (text,)) for text in BACKGROUND]
    mean: np.ndarray = label_vectors(model, labels, ("{}",), stored).mean(axis=0)
    return mean


def label_vectors(
    model: "DualEncoder", labels: Sequence[Label], templates: Sequence[str], stored: StoredVectors | None = None
) -> np.ndarray:
    """Like `encode_labels`, but compute only what is not in `stored`. Returns (n, dim) float32, writable."""
    keys = [digest(json.dumps([label.wordings, label.templates or tuple(templates)])) for label in labels]
    known = {} if stored is None else stored.get(keys)
    missing = {key: label for key, label in zip(keys, labels, strict=True) if key not in known}
    if missing:
        made = dict(zip(missing, encode_labels(model, list(missing.values()), templates), strict=True))
        if stored is not None:
            stored.put(made)
        known |= made
    return np.stack([known[key] for key in keys])
