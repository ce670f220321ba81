"""Which model belongs to the embeddings of shards."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.models.model import Model
from searcher.models.remembered import in_precision_of, open_remembered
from searcher.scale.shards import Facts

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


def open_model(facts: Facts, asked: "str | Path | DualEncoder | None" = None) -> "DualEncoder":
    """The model that made embeddings, in a precision that mixes with theirs.

    asked: its name, its folder, or the open model. None looks in the folder where it was and in the store. Raises
    NotFound if it is in neither, InvalidInput if `asked` is another model.
    """
    made_with = f"{facts.model} {facts.version}".strip()
    if asked is not None:
        model: DualEncoder = Model.open(asked) if isinstance(asked, str | os.PathLike) else asked
        if model.digest != facts.digest:
            raise InvalidInput(f"the embeddings were made with the model {made_with}, not with {model.name}")
    else:
        found = open_remembered(Path(facts.folder), facts.digest)
        if found is None:
            raise NotFound(
                f"the embeddings were made with the model {made_with}, which is neither in {facts.folder} nor in the "
                "store: pull or import it, or name its folder with --model"
            )
        model = found
    try:
        return in_precision_of(model, facts.precision)
    except SearcherError as error:
        raise InvalidInput(
            f"the embeddings were made with {made_with} in {facts.precision}, from which its {model.precision} "
            f"embeddings differ too much: import the model again with --precision {facts.precision}"
        ) from error
