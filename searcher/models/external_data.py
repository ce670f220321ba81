"""Check an ONNX file from somebody else, before it is opened: where it stores its weights."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import onnx

from searcher.models.layout import ModelError


def check_external_data(encoder: Path) -> None:
    """Check the external data files of an ONNX file.

    They must be in the same folder as the ONNX file and be complete. Raises ModelError if they are not, or if
    `encoder` is not an ONNX file.
    """
    try:
        model = onnx.load(str(encoder), load_external_data=False)
    except Exception as error:  # protobuf's exceptions have no common base class
        raise ModelError(f"{encoder} is not an ONNX file") from error
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_location(encoder, {item.key: item.value for item in tensor.external_data})


def _check_location(encoder: Path, entry: dict[str, str]) -> None:
    location = entry.get("location", "")
    try:
        file = (encoder.parent / location).resolve()
        needed = [int(entry.get(key) or 0) for key in ("offset", "length")]
    except (ValueError, OSError) as error:  # a path with a NUL, a loop of links, or not a number
        raise ModelError(f"{encoder} has an invalid reference to its weights file") from error
    if not location or not file.is_relative_to(encoder.parent.resolve()):
        raise ModelError(f"{encoder} stores its weights outside its folder ({location}), which is not allowed")
    if not file.is_file():
        raise ModelError(f"{encoder} needs {location}, which is missing")
    if min(needed) < 0 or file.stat().st_size < sum(needed):
        raise ModelError(f"{encoder}: {location} is incomplete")


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All tensors that are stored in a model: in its graph, in the bodies of If and Loop, in functions, in attributes.

    A sparse tensor is two of them.
    """
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from chain.from_iterable(_of_node(node) for node in function.node)
        yield from chain.from_iterable(_of_attribute(attribute) for attribute in function.attribute_proto)
    for training in model.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from chain.from_iterable((sparse.values, sparse.indices) for sparse in graph.sparse_initializer)
    yield from chain.from_iterable(_of_node(node) for node in graph.node)


def _of_node(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    return chain.from_iterable(_of_attribute(attribute) for attribute in node.attribute)


def _of_attribute(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in attribute.sparse_tensors:
        yield from (sparse.values, sparse.indices)
    if attribute.HasField("sparse_tensor"):
        yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
    for graph in attribute.graphs:
        yield from _of_graph(graph)
    if attribute.HasField("g"):
        yield from _of_graph(attribute.g)
