"""Opens the model that made stored embeddings, which remember its digest, its folder and the precision."""

from pathlib import Path
from typing import TYPE_CHECKING

from searcher.errors import SearcherError
from searcher.models.model import Model
from searcher.models.store import find_digest

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


def open_remembered(folder: Path, digest: str) -> Model | None:
    """The model with this digest: in the folder where it was, or anywhere in the store. None if it is in neither."""
    try:
        model = Model.open(folder)
        if model.digest == digest:
            return model
    except SearcherError:
        pass
    found = find_digest(digest)
    return None if found is None else Model.open(found)


def in_precision_of(model: "DualEncoder", made: str | None) -> "DualEncoder":
    """The model in a precision that mixes with embeddings of the precision `made`: its own, if that one does.

    Raises SearcherError if it does not, and the model does not have the precision `made`.
    """
    if made is None or made == model.precision or model.mixes_with(made):
        return model
    return model.in_precision(made)
