"""Read the weights of the built-in model from its ONNX files, so that training can start from them.

The ONNX export keeps the names of the weights, with two exceptions. It stores some weights transposed, for a matrix
product. It stores equal weights only once.
"""

from collections.abc import Iterator

import numpy as np
import onnx
import torch
from torch import Tensor

from searcher.models.layout import CONFIG, PREPROCESS, TEXTUAL, VISUAL, read_json
from searcher.models.manifest import read_manifest
from searcher.models.quantize import stored_weights
from searcher.models.store import BUILTIN, find_model

# The matrix products of a text encoder layer, in the order in which they are computed.
PRODUCTS = ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
COMPUTED = "model.attn_mask"  # a constant that is not part of a checkpoint
NORMS = ("BatchNormalization", "LayerNormalization")  # inputs: the tensor to normalise, weight, bias, …


def builtin_config() -> dict[str, dict[str, object]]:
    """The `model_cfg` and `preprocess_cfg` of the built-in model, in the format of `open_clip_config.json`."""
    folder = find_model(BUILTIN)
    return {"model_cfg": read_json(folder, CONFIG), "preprocess_cfg": read_json(folder, PREPROCESS)}


def builtin_weights() -> dict[str, Tensor]:
    """The state dict of the built-in model as an open_clip model.

    The tensors are float32, but only as precise as the int8 weights in the files.
    """
    folder = find_model(BUILTIN)
    weights = {"logit_scale": torch.tensor(read_manifest(folder).logit_scale).log()}
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
        elif node.op_type in NORMS:  # equal biases are stored once, under one name
            yield _own_name(node.input[1]).removesuffix("weight") + "bias", _tensor(weights[node.input[2]])


def _own_name(name: str) -> str:
    return name.removeprefix("model.").replace(".attn.original.", ".attn.")


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.copy())  # protobuf's memory is read-only
