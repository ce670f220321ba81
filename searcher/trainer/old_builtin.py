"""Read the weights of the built-in model up to version 8. Delete this file with that model.

Its files do not say where its weights are. The export kept their names, with two exceptions: it stored some weights
transposed, and equal ones once. Weights are stored as int8 or float16, with scales and Cast and Mul nodes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

# The matrix products of a text encoder layer, in the order in which they are computed.
PRODUCTS = ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
COMPUTED = "model.attn_mask"  # a constant that is not part of a checkpoint
NORMS = ("BatchNormalization", "LayerNormalization")  # inputs: the tensor to normalise, weight, bias, …


def read_old_weights(path: Path) -> Iterator[tuple[str, Tensor | None]]:
    """The tensors (float32) of the state dict by name. None stands for one on which the output does not depend."""
    model = onnx.load(str(path))
    weights = _float_weights(model)
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
            norm = _own_name(node.input[1]).removesuffix("weight")
            yield norm + "bias", _tensor(weights[node.input[2]])
            if node.op_type == "BatchNormalization":
                yield norm + "num_batches_tracked", None


def _float_weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for ending in (".stored", ".rows"):  # in this order, because the scales of a table can themselves be ".stored"
        for stored in [name for name in weights if name.endswith(ending)]:
            name = stored.removesuffix(ending)
            weights[name] = weights.pop(stored).astype(np.float32)
            if f"{name}.scales" in weights:  # float16 weights have no scales
                weights[name] *= weights.pop(f"{name}.scales")
    return weights


def _own_name(name: str) -> str:
    return name.removeprefix("model.").replace(".attn.original.", ".attn.")


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.copy())  # protobuf's memory is read-only
