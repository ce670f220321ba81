"""Store the float32 weights of an ONNX file as int8, in the standard way: with DequantizeLinear.

ONNX Runtime converts the weights back to float32 once, when it opens the file, and computes in float32. Only rows that
are taken out of an embedding table are converted at each run.

A weight `name` is stored as two initializers: `name.int8` and `name.scale`.
"""

import secrets
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INT8 = ".int8"
SCALE = ".scale"
_SMALL = 64  # a tensor with fewer weights per channel stays float32, because their rounding errors do not cancel out
_TABLE = 1000  # rows; a table of this many or more is converted row by row
_OPSET = 13  # the first one in which DequantizeLinear has one scale per channel


def store_compact(source: Path, target: Path) -> None:
    """Write the float32 encoder `source` to `target`, with its large weights and its embedding tables as int8.

    A weight has one scale per output channel. A table has one scale per column.
    """
    model = onnx.load(str(source))
    shrink_tables(model)
    uses = _uses(model)
    nodes = []
    for tensor in list(model.graph.initializer):
        axis = _channel_axis(tensor, uses[tensor.name])
        if _can_be_int8(model, tensor) and np.prod(tensor.dims) >= _SMALL * tensor.dims[axis]:
            scale = _store(model, tensor, axis)
            nodes.append(_dequantize(tensor.name + INT8, scale, tensor.name, axis))
    _set_nodes(model, [*nodes, *model.graph.node])
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")  # never through a link that is here already
    try:
        onnx.save(model, str(partial))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def shrink_tables(model: onnx.ModelProto) -> None:
    """Store the embedding tables of `model` as int8. Only the rows that are needed are converted to float32."""
    uses = _uses(model)
    tables = {}
    for tensor in list(model.graph.initializer):
        users = uses[tensor.name]
        only_gathered = users and all(node.op_type == "Gather" and place == 0 for node, place in users)
        if only_gathered and _can_be_int8(model, tensor) and len(tensor.dims) == 2 and tensor.dims[0] >= _TABLE:
            tables[tensor.name] = _store(model, tensor, axis=1)
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Gather" and node.input[0] in tables:
            scale, (out,) = tables[node.input[0]], node.output
            node.input[0] += INT8
            node.output[0] = out + INT8
            nodes.append(_dequantize(node.output[0], scale, out, axis=-1))
    _set_nodes(model, nodes)


def float_weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The initializers of an encoder by name. Weights that are stored as int8 are converted back to float32."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[1] in weights:
            name = node.input[1].removesuffix(SCALE)
            if name + INT8 in weights:
                axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
                stored, scale = weights.pop(name + INT8), weights.pop(name + SCALE)
                weights[name] = stored.astype(np.float32) * _along(scale, axis, stored.ndim)
    return weights


def quantize(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Round float32 values to int8 of the same shape, with float32 scales (n,) along `axis`."""
    others = tuple(other for other in range(values.ndim) if other != axis)
    scale = np.maximum(np.abs(values).max(axis=others), np.float32(1e-12)) / np.float32(127)
    return np.rint(values / _along(scale, axis, values.ndim)).astype(np.int8), scale


def _along(scale: np.ndarray, axis: int, axes: int) -> np.ndarray:
    shape = [1] * axes
    shape[axis] = -1
    return scale.reshape(shape)


def _uses(model: onnx.ModelProto) -> dict[str, list[tuple[onnx.NodeProto, int]]]:
    """The nodes that use each value, and the position among their inputs."""
    uses = defaultdict(list)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            uses[name].append((node, place))
    return uses


def _can_be_int8(model: onnx.ModelProto, tensor: onnx.TensorProto) -> bool:
    """Whether `tensor` is a float32 matrix or more, with finite values. A mask that contains -inf cannot be int8."""
    opset = next(found.version for found in model.opset_import if found.domain in ("", "ai.onnx"))
    if opset < _OPSET or tensor.data_type != TensorProto.FLOAT or sum(side > 1 for side in tensor.dims) < 2:
        return False
    return bool(np.isfinite(numpy_helper.to_array(tensor)).all())


def _channel_axis(tensor: onnx.TensorProto, users: list[tuple[onnx.NodeProto, int]]) -> int:
    """The axis of the output channels: the last one of the second factor of a product, otherwise the first one."""
    for node, place in users:
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        if place == 1 and node.op_type in ("MatMul", "Gemm") and not transposed:
            return len(tensor.dims) - 1
    return 0


def _store(model: onnx.ModelProto, tensor: onnx.TensorProto, axis: int) -> str:
    """Replace `tensor` by its int8 values and their scales. Returns the name of the scales."""
    values, scale = quantize(numpy_helper.to_array(tensor), axis)
    model.graph.initializer.remove(tensor)
    model.graph.initializer.append(numpy_helper.from_array(values, tensor.name + INT8))
    model.graph.initializer.append(numpy_helper.from_array(scale, tensor.name + SCALE))
    return tensor.name + SCALE


def _dequantize(values: str, scale: str, name: str, axis: int) -> onnx.NodeProto:
    return helper.make_node("DequantizeLinear", [values, scale], [name], name=f"{name}.dequantize", axis=axis)


def _set_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
