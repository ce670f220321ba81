"""Embeddings of texts. What was computed for a library is kept in its catalog and not computed again."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from searcher.datasets.labels import Label
from searcher.models.prompts import encode_labels
from searcher.progress import SILENT, Progress
from searcher.tagger.context import Context
from searcher.tagger.question import digest

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

_Item = TypeVar("_Item")

# Prompts for what most photos show: the scale on which taught labels and prompts are compared.
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


def label_vectors(
    model: "DualEncoder", labels: Sequence[Label], templates: Sequence[str], stored: StoredVectors | None = None
) -> np.ndarray:
    """Like `encode_labels`, but compute only what is not in `stored`. Returns (n, dim) float32, writable."""
    keys = [digest(json.dumps([label.wordings, label.templates or tuple(templates)])) for label in labels]
    return _looked_up(keys, labels, lambda missing: encode_labels(model, missing, templates), stored)


def text_vectors(model: "DualEncoder", texts: Sequence[str], stored: StoredVectors | None = None) -> np.ndarray:
    """Like `model.encode_texts`, but compute only what is not in `stored`. Returns (n, dim) float32."""
    return _looked_up([digest(f"text {text}") for text in texts], texts, model.encode_texts, stored)


def _looked_up(
    keys: Sequence[str],
    items: Sequence[_Item],
    encode: Callable[[Sequence[_Item]], np.ndarray],
    stored: StoredVectors | None,
) -> np.ndarray:
    known = {} if stored is None else stored.get(keys)
    missing = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
    if missing:
        made = dict(zip(missing, encode(list(missing.values())), strict=True))
        if stored is not None:
            stored.put(made)
        known |= made
    return np.stack([known[key] for key in keys])
