"""Create smaller and faster files of the same encoders. This happens once at import or export, never during a search.

- "int8": ONNX Runtime's dynamic quantisation of MatMul, per channel. It uses integer arithmetic if the CPU
  supports it. The token table is also stored as int8.
- "compact": for a model that ships with a package. The weights and the token table are stored as int8, or as
  float16 if int8 falls below MIN_COSINE. Computation is in float32. The embeddings are the same on every
  machine, and the files have a quarter of the size.

Mean cosine similarity to float32:

- all-MiniLM-L6-v2 (a trained text encoder, six layers): int8 0.9947 (8-bit weights, with VNNI), compact
  0.9992, only the token table 0.99999
- text encoder of the built-in model, without VNNI: int8 0.9997 (0.9995 with 8-bit weights)
- timm's ResNet-18 (a trained image encoder): compact 0.9999
"""

import secrets
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from searcher.models.drift import MIN_COSINE, acceptable, describe, measure_drift
from searcher.models.folder import ModelFolder
from searcher.models.layout import FLOAT32, ModelError
from searcher.models.manifest import read_manifest, update_manifest
from searcher.models.model import Model

INT8 = "int8"
COMPACT = "compact"
_COSINE = {"visual": "image_cosine", "textual": "text_cosine"}
_SMALL = 256  # constants with fewer values than this stay float32


def add_precision(folder: Path, precision: str) -> dict[str, float]:
    """Add "int8" or "compact" encoders to a float32 model folder, next to the float32 files.

    The drift is measured on sample photos and prompts. The files and the drift are recorded in searcher.json.
    The default precision does not change. Returns the drift. Raises ModelError for any other precision and
    for a broken folder.
    """
    if precision not in (INT8, COMPACT):
        raise ModelError(f"no precision named {precision!r} (available: float32, {INT8}, {COMPACT})")
    float32 = Model.open(folder, precision="float32")
    files = {side: f"{side}/model.{precision}.onnx" for side in FLOAT32}
    for side, name in files.items():
        if precision == COMPACT:
            store_small(folder / FLOAT32[side], folder / name, INT8)
        else:
            quantize_int8(folder / FLOAT32[side], folder / name)
    manifest = read_manifest(folder)
    precisions = {**manifest.precisions, precision: files}
    update_manifest(folder, precisions=precisions)
    drift = measure_drift(float32, Model.open(folder, precision=precision))
    strays = [side for side in files if drift[_COSINE[side]] < MIN_COSINE]
    if precision == COMPACT and strays:
        for side in strays:
            store_small(folder / FLOAT32[side], folder / files[side], "float16")
        update_manifest(folder, precisions=precisions)
        drift = measure_drift(float32, Model.open(folder, precision=precision))
    update_manifest(folder, drift={**manifest.drift, precision: drift})
    return drift


def choose_precision(folder: Path, asked: str | None = None) -> list[str]:
    """Create int8 encoders for a float32 model folder and use them, unless they differ too much from float32.

    With `asked="float32"`, no int8 encoders are created. With "int8", they are used whatever their drift is.
    With None, the drift decides: the mean cosine similarity must be at least MIN_COSINE for images and for
    texts. Returns notices for the user, one line each. Raises ModelError for any other precision and for a
    broken folder.
    """
    if asked not in (None, "float32", INT8):
        raise ModelError(f"no precision named {asked!r} (available: float32, {INT8})")
    given = ModelFolder.read(folder)
    if asked == "float32" or (asked is None and "float32" not in given.precisions):
        used = asked or given.precision
        _ = given.encoders(used)
        if used != given.precision:
            update_manifest(folder, precision=used)
        return []
    if INT8 not in given.precisions:
        _ = given.encoders("float32")
        add_precision(folder, INT8)
    manifest = read_manifest(folder)
    drift = manifest.drift.get(INT8)
    if asked == INT8 or drift is None or acceptable(drift):
        update_manifest(folder, precision=INT8)
    else:
        others = {precision: files for precision, files in manifest.precisions.items() if precision != INT8}
        _remove_encoders(folder, manifest.precisions[INT8].values(), others)
        update_manifest(folder, precision="float32", precisions=others)
    if drift is None or acceptable(drift):
        return []
    used = "int8 is used anyway" if asked == INT8 else "float32 is used (to use int8, pass --precision int8)"
    return [f"int8 differs too much from float32 ({describe(drift)}; minimum {MIN_COSINE}): {used}"]


def keep_only(folder: Path, precision: str) -> None:
    """Keep only `precision` in a model folder and delete the others.

    Its files get the usual file names of the layout. The recorded digest does not change. Raises ModelError if the
    model does not have this precision.
    """
    given = ModelFolder.read(folder)
    kept = {precision: given.encoders(precision)}
    others = {path for files in given.precisions.values() for path in files.values()}
    _remove_encoders(folder, others - set(FLOAT32.values()), kept)
    for side, name in kept[precision].items():
        (folder / name).replace(folder / FLOAT32[side])
    update_manifest(folder, precision=precision, precisions={precision: FLOAT32})


def _remove_encoders(folder: Path, names: Iterable[str], kept: Mapping[str, Mapping[str, str]]) -> None:
    """Delete encoder files, but none that a precision in `kept` uses. `ModelFolder` has checked where they are."""
    used = {path for files in kept.values() for path in files.values()}
    for name in names:
        if name not in used:
            (folder / name).unlink(missing_ok=True)


def quantize_int8(source: Path, target: Path) -> None:
    """Write the float32 encoder `source` to `target`, with its MatMul weights and its token table as int8.

    The weights have one scale per channel and the token table has one scale per token. On ViT-B-32's text
    encoder, the int8 table makes opening the file three times faster (64 ms instead of 180) and changes the
    mean cosine by 0.0001.

    The weights use 7 of the 8 bits. Without VNNI, x86 adds pairs of 8-bit products in 16 bits, and the sum
    saturates. With 8 bits, a text encoder of random weights fell to a mean cosine of 0.98 because of this. A
    file may be moved to a machine without VNNI.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".quantize.") as scratch:
        prepared, quantized = Path(scratch) / "prepared.onnx", Path(scratch) / "quantized.onnx"
        try:
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            model = onnx.load(str(prepared))
            _shrink_tables(model)
            onnx.save(model, str(prepared))
            quantize_dynamic(
                str(prepared),
                str(quantized),
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                reduce_range=True,
                extra_options={"MatMulConstBOnly": True},
            )
        except OSError:
            raise
        except Exception as error:  # the exceptions of ONNX Runtime's tools have no common base class
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{source} cannot be stored as int8 ({reason}); use --precision float32") from error
        quantized.replace(target)


def store_small(source: Path, target: Path, kind: str) -> None:
    """Write `source` to `target` with its large float32 weights stored as `kind`.

    `kind` is "int8" (one scale per row, which is an output channel of a convolution) or "float16" (rounded).
    Token tables are always stored as int8. ONNX Runtime converts the weights back to float32 once, when it
    opens the file, and computes in float32. Only the size on disk becomes smaller.
    """
    model = onnx.load(str(source))
    _shrink_tables(model)
    tensors: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        large = len(tensor.dims) > 1 and np.prod(tensor.dims) >= _SMALL
        wanted = large and tensor.data_type == TensorProto.FLOAT
        values = numpy_helper.to_array(tensor) if wanted else None
        if values is None or not np.isfinite(values.astype(np.float16)).all():
            tensors.append(tensor)
            continue
        name, stored = tensor.name, f"{tensor.name}.stored"
        if kind == INT8:
            rows, scales = _int8_rows(values)
            if values.ndim > 2:
                rows = _balanced(rows, values / scales)
            tensors += [
                numpy_helper.from_array(rows, stored),
                numpy_helper.from_array(scales, f"{name}.scales"),
            ]
            nodes += [
                helper.make_node("Cast", [stored], [f"{name}.cast"], to=TensorProto.FLOAT, name=f"{name}.cast"),
                helper.make_node("Mul", [f"{name}.cast", f"{name}.scales"], [name], name=f"{name}.scale"),
            ]
        else:
            tensors.append(numpy_helper.from_array(values.astype(np.float16), stored))
            nodes.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT, name=f"{name}.cast"))
    _replace(model, tensors, [*nodes, *model.graph.node])
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")  # never through a link that is here already
    try:
        onnx.save(model, str(partial))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def stored_weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The constants of an encoder, by name.

    Weights that `store_small` converted are returned as the float32 values that the encoder computes with.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for ending in (".stored", ".rows"):  # in this order, because the scales of a table can themselves be ".stored"
        for stored in [name for name in weights if name.endswith(ending)]:
            name = stored.removesuffix(ending)
            weights[name] = weights.pop(stored).astype(np.float32)
            if f"{name}.scales" in weights:  # float16 weights have no scales
                weights[name] *= weights.pop(f"{name}.scales")
    return weights


def _int8_rows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise float32 (n, …). Returns int8 of the same shape and float32 scales (n, 1, …): values ≈ int8 x scales."""
    highest = np.abs(values).reshape(len(values), -1).max(axis=1)
    scales = (np.maximum(highest, 1e-12) / 127).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return np.rint(values / scales).astype(np.int8), scales


def _balanced(rows: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Round some int8 weights (out, in, …) of a convolution the other way, so that errors cancel in every kernel.

    The inputs of a convolution mostly have the same sign, so rounding errors add up to a shift. The shift matters
    most in edge filters, because their weights sum to zero. On a trained ResNet-18, this raises the mean cosine
    to float32 from 0.9974 to 0.9999. The method is SQuant (Guo et al., ICLR 2022) in its simplest form.
    """
    for shape in ((*rows.shape[:2], -1), (len(rows), -1)):
        rounded, wanted = rows.reshape(shape).astype(np.float32), exact.reshape(shape)
        error = wanted - rounded
        excess = np.rint(error.sum(axis=-1, keepdims=True))
        # the weights with the largest error in the direction of the excess move one step in that direction
        rank = np.argsort(np.argsort(-error * np.sign(excess), axis=-1, kind="stable"), axis=-1)
        rounded += np.sign(excess) * (rank < np.abs(excess))
        rows = np.clip(rounded, -127, 127).astype(np.int8).reshape(rows.shape)
    return rows


def _shrink_tables(model: onnx.ModelProto) -> None:
    """Store embedding tables as int8 rows with one scale per row: Gather(rows) x Gather(scales)."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    tensors: dict[str, onnx.TensorProto] = {}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        table = weights.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.data_type != TensorProto.FLOAT or len(table.dims) != 2 or table.dims[0] < 1000:
            nodes.append(node)
            continue
        rows, scales, (out,) = f"{table.name}.rows", f"{table.name}.scales", node.output
        if rows not in tensors:
            stored = _int8_rows(numpy_helper.to_array(table))
            tensors[rows] = numpy_helper.from_array(stored[0], rows)
            tensors[scales] = numpy_helper.from_array(stored[1], scales)
        for part in (rows, scales):
            given = [part, node.input[1]]
            nodes.append(helper.make_node("Gather", given, [f"{out}.{part}"], axis=0, name=f"{out}.{part}"))
        cast = f"{out}.{rows}.float"
        nodes += [
            helper.make_node("Cast", [f"{out}.{rows}"], [cast], to=TensorProto.FLOAT, name=cast),
            helper.make_node("Mul", [cast, f"{out}.{scales}"], [out], name=f"{out}.scaled"),
        ]
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    _replace(model, [*kept, *tensors.values()], nodes)


def _replace(model: onnx.ModelProto, tensors: list[onnx.TensorProto], nodes: list[onnx.NodeProto]) -> None:
    nodes = list(nodes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    # the recorded shapes may refer to values that have changed
    del model.graph.value_info[:]
