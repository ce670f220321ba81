"""Weights stored as int8 with DequantizeLinear."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from searcher.models.compact import float_weights, quantize, shrink_tables, store_compact
from searcher.models.session import Encoder

WORDS, WIDTH = 1200, 64


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "table": (WORDS, WIDTH), "factor": (WIDTH, 96), "gemm": (80, 96), "conv": (8, 1, 8, 8), "few": (8, 1, 3, 3),
        "shift": (80,), "mask": (4, 80), "row": (1, 1, 80),
    }  # fmt: skip
    found = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    # Channels of very different size: one scale for all of them would lose the small ones.
    found["factor"] *= np.logspace(-3, 0, 96, dtype=np.float32)
    found["gemm"] *= np.logspace(-3, 0, 80, dtype=np.float32)[:, None]
    found["mask"][0] = -np.inf
    return found


def write(path: Path, opset: int = 20) -> None:
    """An encoder with all kinds of weights: ids (b, 4) → (b, 80)."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("Gather", ["table", "ids"], ["again"]),
        helper.make_node("Add", ["words", "again"], ["both"]),
        helper.make_node("MatMul", ["both", "factor"], ["wide"]),
        helper.make_node("Unsqueeze", ["wide", "one"], ["image"]),
        helper.make_node("Conv", ["image", "conv"], ["seen"], pads=[4, 4, 3, 3]),
        helper.make_node("Conv", ["image", "few"], ["little"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["seen", "little"], ["sum"]),
        helper.make_node("ReduceMean", ["sum", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "gemm", "shift"], ["y"], transB=1),
    ]
    constants = {**arrays(), "one": np.array([1]), "axes": np.array([1, 2])}
    given = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", 4])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 80])]
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "small", given, out, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), str(path))


def test_a_compact_file_computes_almost_the_same_and_holds_standard_operators(tmp_path: Path) -> None:
    write(tmp_path / "whole.onnx")
    store_compact(tmp_path / "whole.onnx", tmp_path / "small.onnx")
    onnx.checker.check_model(str(tmp_path / "small.onnx"), full_check=True)
    ids = np.random.default_rng(1).integers(0, WORDS, (6, 4))
    whole, small = Encoder(tmp_path / "whole.onnx"), Encoder(tmp_path / "small.onnx", unpack=True)
    assert np.sum(whole.run(ids) * small.run(ids), axis=1).min() > 0.999
    graph = onnx.load(str(tmp_path / "small.onnx")).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    int8 = {name for name, tensor in stored.items() if tensor.data_type == TensorProto.INT8}
    assert int8 == {"table.int8", "factor.int8", "gemm.int8", "conv.int8"}
    assert {"few", "shift", "mask", "row"} < stored.keys()
    scales = {name: stored[f"{name}.scale"].dims[0] for name in ("table", "factor", "gemm", "conv")}
    assert scales == {"table": WIDTH, "factor": 96, "gemm": 80, "conv": 8}
    # only the rows that are needed are converted
    gathers = [node for node in graph.node if node.op_type == "Gather"]
    assert {node.input[0] for node in gathers} == {"table.int8"}


def test_weights_are_read_back_within_half_a_step(tmp_path: Path) -> None:
    write(tmp_path / "whole.onnx")
    store_compact(tmp_path / "whole.onnx", tmp_path / "small.onnx")
    found = float_weights(onnx.load(str(tmp_path / "small.onnx")))
    expected = arrays()
    assert found.keys() == expected.keys() | {"one", "axes"}
    for name in ("few", "shift", "mask", "row"):
        np.testing.assert_array_equal(found[name], expected[name])
    for name, axes in {"table": 0, "factor": 0, "gemm": 1, "conv": (1, 2, 3)}.items():
        step = np.abs(expected[name]).max(axis=axes, keepdims=True) / 127
        assert (np.abs(found[name] - expected[name]) <= 0.501 * step).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_channel_of_zeros_stays_zero(axis: int) -> None:
    values = np.ones((3, 3), dtype=np.float32)
    values[1] = values[:, 1] = 0
    stored, scale = quantize(values, axis)
    assert stored.dtype == np.int8
    assert scale.dtype == np.float32
    np.testing.assert_allclose(stored * np.expand_dims(scale, 1 - axis), values, rtol=1e-6)


def test_weights_are_converted_once_when_the_file_is_opened(tmp_path: Path) -> None:
    write(tmp_path / "whole.onnx")
    store_compact(tmp_path / "whole.onnx", tmp_path / "small.onnx")
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # as `Encoder` does
    options.optimized_model_filepath = str(tmp_path / "opened.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(str(tmp_path / "opened.onnx")).graph.node
    left = [node.input[0] for node in nodes if node.op_type == "DequantizeLinear"]
    assert set(left) <= {"words.int8", "again.int8"}


def test_a_file_of_an_old_opset_keeps_its_weights(tmp_path: Path) -> None:
    write(tmp_path / "old.onnx", opset=12)
    model = onnx.load(str(tmp_path / "old.onnx"))
    before = model.SerializeToString()
    shrink_tables(model)
    assert model.SerializeToString() == before
