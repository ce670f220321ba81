"""Read the weights of a model back from its ONNX files, so that training can start from them.

The exporter renames some weights, stores some transposed for a matrix product, and stores equal ones once. So the
metadata of each file says where every tensor of the model's state dict is. This stays valid if weights become int8.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from searcher.errors import InvalidInput
from searcher.models.compact import float_weights
from searcher.trainer.rewrite import original_name

# The metadata: {state dict name: place}. A place is null, or has the shape of the tensor and either the initializer
# that holds it, perhaps transposed, or its float32 values as base64.
PLACES = "searcher.weights"
SCALARS = ("logit_scale", "logit_bias")  # these are in searcher.json


def record_places(program: Any, visual: bool) -> None:
    """Write into an exported program where it keeps each tensor of the image tower (`visual`), or of all the others.

    program: the `ONNXProgram` of a module whose attribute `model` is the model. A tensor on which the output does not
    depend is recorded as null, and so is one of whole numbers, because a new model has the same ones. A tensor that is
    used but is not in the graph as it is, e.g. a bias that was joined with others, is copied into the metadata.
    """
    exported = program.exported_program
    nodes = [node for node in exported.graph.nodes if node.op == "placeholder"]
    specs = exported.graph_signature.input_specs
    used = {spec.target for node, spec in zip(nodes, specs, strict=True) if node.users}
    held = _held(program.model.graph.initializers)
    places: dict[str, Any] = {}
    for name, tensor in exported.state_dict.items():
        own = original_name(name.removeprefix("model."))
        if own in SCALARS or own.startswith("visual.") != visual:
            continue
        if name not in used or tensor.dtype != torch.float32:
            places[own] = None
            continue
        values = tensor.detach().numpy().tobytes()
        copied = {"base64": b64encode(values).decode()}
        places[own] = {"shape": list(tensor.shape), **held.get(values, copied)}
    program.model.metadata_props[PLACES] = json.dumps(places, separators=(",", ":"))


def _held(initializers: Mapping[str, Any]) -> dict[bytes, dict[str, Any]]:
    """The places of the float32 values that are in a graph."""
    arrays = {name: value.const_value.numpy() for name, value in initializers.items()}
    arrays = {name: array for name, array in arrays.items() if array.dtype == np.float32}
    matrices = {name: array for name, array in arrays.items() if array.ndim == 2}
    held = {array.T.tobytes(): {"initializer": name, "transposed": True} for name, array in matrices.items()}
    return held | {array.tobytes(): {"initializer": name} for name, array in arrays.items()}


def read_weights(path: Path) -> dict[str, Tensor | None]:
    """The tensors (float32) of a model's state dict that the encoder file `path` contains, by name.

    None stands for a tensor that is not stored, because a new model may keep its own. Weights that are stored as int8
    are rounded. Raises InvalidInput if the file does not say where its weights are, e.g. because another program made
    it.
    """
    model = onnx.load(str(path))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    weights = float_weights(model)
    try:
        return dict(_tensors(json.loads(metadata[PLACES]), weights))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInput(f"{path} does not say where its weights are") from error


def _tensors(places: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Tensor | None]]:
    for name, place in places.items():
        if place is None:
            yield name, None
            continue
        if "base64" in place:
            values = np.frombuffer(b64decode(place["base64"]), dtype="<f4")
        else:
            values = weights[place["initializer"]]
        if place.get("transposed"):
            values = values.T
        yield name, torch.from_numpy(values.reshape(place["shape"]).copy())  # the memory may be read-only
