"""The built-in model as a checkpoint, so that training can start from it."""

import torch
from torch import Tensor

from searcher.models.layout import CONFIG, PREPROCESS, TEXTUAL, VISUAL, read_json
from searcher.models.manifest import read_manifest
from searcher.models.store import BUILTIN, find_model
from searcher.trainer.config import with_own_text
from searcher.trainer.weights import read_weights


def builtin_config() -> dict[str, dict[str, object]]:
    """The `model_cfg` and `preprocess_cfg` of the built-in model, in the format of `open_clip_config.json`."""
    folder = find_model(BUILTIN)
    config = with_own_text(read_json(folder, CONFIG), folder)
    return {"model_cfg": config, "preprocess_cfg": read_json(folder, PREPROCESS)}


def builtin_weights() -> dict[str, Tensor | None]:
    """The state dict of the built-in model as an open_clip model.

    The tensors are float32, but only as precise as the int8 weights in the files. None stands for a tensor that is not
    stored, because a new model may keep its own.
    """
    folder = find_model(BUILTIN)
    weights: dict[str, Tensor | None] = {"logit_scale": torch.tensor(read_manifest(folder).logit_scale).log()}
    for encoder in (VISUAL, TEXTUAL):
        weights |= read_weights(folder / encoder)
    return weights
