"""Create smaller and faster files of the same encoders. This happens once at import or export, never during a search.

- "int8": ONNX Runtime's dynamic quantisation of MatMul, per channel. It uses integer arithmetic if the CPU
  supports it. The token table is also stored as int8.
- "compact": for a model that ships with a package. The weights and the token table are stored as int8 (see `compact`).
  Computation is in float32. The embeddings are the same on every machine, and the files have a quarter of the size.

Mean cosine similarity to float32:

- all-MiniLM-L6-v2 (a trained text encoder, six layers): int8 0.9947 (8-bit weights, with VNNI), compact 0.9996, only
  the token table 0.99999
- text encoder of the built-in model, without VNNI: int8 0.9997 (0.9995 with 8-bit weights)
- timm's EfficientNet-Lite0 (a trained image encoder): compact 0.9974
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx

from searcher.models.compact import shrink_tables, store_compact
from searcher.models.drift import MIN_COSINE, acceptable, describe, measure_drift
from searcher.models.folder import ModelFolder
from searcher.models.layout import COMPACT, FLOAT32, ModelError
from searcher.models.manifest import read_manifest, update_manifest
from searcher.models.model import Model

INT8 = "int8"


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
        create = store_compact if precision == COMPACT else quantize_int8
        create(folder / FLOAT32[side], folder / name)
    manifest = read_manifest(folder)
    update_manifest(folder, precisions={**manifest.precisions, precision: files})
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

    The weights have one scale per channel and the token table has one scale per column. On ViT-B-32's text
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
            shrink_tables(model)
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
