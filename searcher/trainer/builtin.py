"""The weights of the model in the box, read back from the ONNX files that it ships as, to go on training from them.

Exporting keeps the name of a weight, except where it stores one turned over for a matrix product, or one for two that
are equal.
"""

from collections.abc import Iterator

import numpy as np
import onnx
import torch
from torch import Tensor

from searcher.models.folder import CONFIG, MANIFEST, PREPROCESS, TEXTUAL, VISUAL, read_json
from searcher.models.quantize import stored_weights
from searcher.models.store import BUILTIN, find_model

# Of a layer of the text encoder, in the order in which they are multiplied with.
PRODUCTS = ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
COMPUTED = "model.attn_mask"  # not learned, nor part of a checkpoint
NORMS = ("BatchNormalization", "LayerNormalization")  # inputs: what is normalised, weight, bias, …


def builtin_config() -> dict[str, dict[str, object]]:
    """`model_cfg` and `preprocess_cfg`, as `open_clip_config.json` has them."""
    folder = find_model(BUILTIN)
    return {"model_cfg": read_json(folder, CONFIG), "preprocess_cfg": read_json(folder, PREPROCESS)}


def builtin_weights() -> dict[str, Tensor]:
    """The state dict of its open_clip model: float32, as far as the int8 in which they are stored tells."""
    folder = find_model(BUILTIN)
    weights = {"logit_scale": torch.tensor(read_json(folder, MANIFEST)["logit_scale"]).log()}
    for encoder in (VISUAL, TEXTUAL):
        weights |= _weights(onnx.load(str(folder / encoder)))
    return weights


def _weights(model: onnx.ModelProto) -> Iterator[tuple[str, Tensor]]:
    weights = stored_weights(model)
    for name, values in weights.items():
        if name.startswith("model.") and name != COMPUTED:
            yield _own_name(name), _tensor(values)
    products = 0
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights and not node.input[1].startswith("model."):
            layer, which = divmod(products, len(PRODUCTS))
            yield f"transformer.resblocks.{layer}.{PRODUCTS[which]}", _tensor(weights[node.input[1]].T)
            products += 1
        elif node.op_type in NORMS:  # biases that were always the same are stored once
            yield _own_name(node.input[1]).removesuffix("weight") + "bias", _tensor(weights[node.input[2]])


def _own_name(name: str) -> str:
    return name.removeprefix("model.").replace(".attn.original.", ".attn.")


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.copy())  # protobuf's memory cannot be written to
