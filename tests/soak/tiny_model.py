"""A model folder for the installed program that is made without PyTorch and opens in milliseconds."""

import json
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper, save

from searcher.models.manifest import write_manifest

SIDE, GRID = 16, 4
DIM = 3 * GRID * GRID
WORDS = ("<pad>", "<unk>", "red", "green", "blue", "bright", "dark", "photo")


def make_tiny_model(folder: Path, name: str, seed: int) -> Path:
    """Write a model with random text embeddings. Its image embeddings are the colours of 4 × 4 fields, mixed by `seed`.

    Each image is embedded by itself, so its embedding does not depend on the batch.
    """
    random = np.random.default_rng(seed)
    for side in ("visual", "textual"):
        (folder / side).mkdir(parents=True)
    config = {
        "embed_dim": DIM,
        "vision_cfg": {"image_size": SIDE},
        "text_cfg": {"context_length": 8, "hf_tokenizer_name": "tiny"},
    }
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer = {
        "version": "1.0",
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "visual/preprocess_cfg.json").write_text(json.dumps({"size": SIDE}))
    (folder / "textual/tokenizer.json").write_text(json.dumps(tokenizer))
    fields = helper.make_node(
        "AveragePool", ["image"], ["fields"], kernel_shape=[SIDE // GRID] * 2, strides=[SIDE // GRID] * 2
    )
    mixed = [
        helper.make_node("Flatten", ["fields"], ["row"]),
        helper.make_node("Mul", ["row", "weights"], ["embedding"]),
    ]
    weights = numpy_helper.from_array(random.normal(1, 0.2, (1, DIM)).astype(np.float32), "weights")
    _save(folder / "visual/model.onnx", [fields, *mixed], [weights], ("image", TensorProto.FLOAT, ["b", 3, SIDE, SIDE]))
    looked_up = [
        helper.make_node("Gather", ["table", "ids"], ["tokens"]),
        helper.make_node("ReduceMean", ["tokens"], ["embedding"], axes=[1], keepdims=0),
    ]
    table = numpy_helper.from_array(random.normal(0, 1, (len(WORDS), DIM)).astype(np.float32), "table")
    _save(folder / "textual/model.onnx", looked_up, [table], ("ids", TensorProto.INT64, ["b", "context"]))
    relevance = {"slope": [5.0, 0.0], "offset": [0.0, 0.0], "measured": True}
    write_manifest(folder, name=name, version="1", logit_scale=20.0, relevance=relevance, languages=["en"])
    return folder


def _save(
    path: Path, nodes: list[NodeProto], weights: list[TensorProto], given: tuple[str, int, list[str | int]]
) -> None:
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", DIM])
    graph = helper.make_graph(nodes, "tiny", [helper.make_tensor_value_info(*given)], [result], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(model, str(path))
