"""Guess the relevance of a model that was not measured on labelled photos."""

from pathlib import Path

from searcher.models.drift import PROMPTS, crops, drift_photos
from searcher.models.manifest import update_manifest
from searcher.models.model import Model
from searcher.models.relevance import BUILTIN, BUILTIN_STRANGERS, strangers


def guess_relevance(folder: Path) -> None:
    """Write a calibration that fits the model's cosines to its searcher.json, unless it has one.

    The cosines are those of the photos and prompts that ship with the package, of which few belong together. Raises
    ModelError if the model cannot be used.
    """
    model = Model.open(folder)
    if model.info.get("relevance"):
        return
    found = strangers(model.encode_images(crops(drift_photos())), model.encode_texts(PROMPTS))
    update_manifest(folder, relevance=BUILTIN.moved(BUILTIN_STRANGERS, found).as_dict())
