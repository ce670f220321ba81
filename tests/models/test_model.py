import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.models import DualEncoder, Model, ModelError
from searcher.models.session import Encoder, Pace, unit_length
from searcher.photos.decode import decode
from tests.models.towers import real_photos


def test_embeddings_are_float32_of_unit_length_and_do_not_depend_on_the_batch(small_folder: Path) -> None:
    model = Model.open(small_folder)
    photos = real_photos()
    together = model.encode_images(photos * 3)
    assert together.shape == (3 * len(photos), model.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    alone = np.concatenate([model.encode_images([photo]) for photo in photos])
    np.testing.assert_allclose(together[: len(photos)], alone, atol=1e-5)
    pixels = np.stack([model.preprocess(photo) for photo in photos])
    np.testing.assert_allclose(model.encode_pixels(pixels), alone, atol=1e-5)


def test_no_images_and_no_texts_give_empty_arrays(small_folder: Path) -> None:
    model = Model.open(small_folder)
    assert model.encode_images([]).shape == (0, 48)
    assert model.encode_texts([]).shape == (0, 48)
    assert model.encode_pixels(np.zeros((0, 3, 64, 64), np.float32)).shape == (0, 48)


def test_a_path_and_its_image_give_the_same_embedding(small_folder: Path) -> None:
    model = Model.open(small_folder)
    path = next(path for path in sample_photos() if path.name == "coffee.png")
    expected = model.encode_images([Image.open(path).convert("RGB")])
    np.testing.assert_allclose(model.encode_images([path]), expected, atol=1e-5)
    np.testing.assert_allclose(model.encode_images([str(path)]), expected, atol=1e-5)


def test_the_exif_orientation_is_applied_to_images_in_memory_and_to_files(small_folder: Path, tmp_path: Path) -> None:
    model = Model.open(small_folder)
    photo = Image.new("RGB", (64, 64), "red")
    photo.paste("white", (0, 0, 64, 20))
    lying = photo.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # the viewer must rotate it clockwise
    lying.save(tmp_path / "lying.png", exif=exif)
    expected = model.encode_images([photo])
    assert np.abs(model.encode_images([lying]) - expected).max() > 1e-4
    opened = Image.open(tmp_path / "lying.png")
    np.testing.assert_allclose(
        model.encode_images([opened, opened.convert("RGB")]), np.repeat(expected, 2, 0), atol=1e-5
    )
    np.testing.assert_allclose(model.encode_images([tmp_path / "lying.png"]), expected, atol=1e-5)


def test_encode_images_decodes_a_file_as_index_does(small_folder: Path, tmp_path: Path) -> None:
    model = Model.open(small_folder)
    photo = real_photos()[0]
    photo.resize((photo.width * 3, photo.height * 3)).save(tmp_path / "large.jpg")
    data = (tmp_path / "large.jpg").read_bytes()
    pixels = model.preprocess(decode(data, min_side=model.image_size).image)
    np.testing.assert_allclose(
        model.encode_images([tmp_path / "large.jpg"]), model.encode_pixels(pixels[None]), atol=1e-6
    )


def test_a_16_bit_image_is_scaled_and_not_clipped(small_folder: Path) -> None:
    model = Model.open(small_folder)
    grey = np.asarray(real_photos()[0].convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    shallow = Image.fromarray(grey).convert("RGB")
    assert float(np.sum(model.encode_images([deep]) * model.encode_images([shallow]))) > 0.999


def test_a_model_has_the_facts_of_its_manifest(small_folder: Path) -> None:
    model = Model.open(small_folder)
    assert (model.name, model.slug, model.version, model.dim) == ("small", "small", "1", 48)
    assert (model.image_size, model.precision, model.languages) == (64, "float32", ("en",))
    assert model.logit_scale == pytest.approx(14.2857)
    assert model.scale_and_bias == pytest.approx((14.2857, 0.0))
    assert model.known_script("a dog")
    assert not model.known_script("кот")


def test_a_search_loads_only_the_text_encoder_and_no_torch(small_folder: Path) -> None:
    script = f"""
import sys
from searcher.models import DualEncoder, Model, ModelError
model = Model.open({str(small_folder)!r})
model.encode_texts(["a dog"])
assert list(model._encoders) == ["textual"]
heavy = {{"torch", "open_clip", "transformers", "onnx", "huggingface_hub", "ftfy", "rich"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def tiny_encoder(path: Path, shape: list[int | str], kind: int, inputs: int = 1) -> None:
    """Write an encoder that flattens its first input and multiplies it by a fixed matrix."""
    width = int(np.prod([side for side in shape[1:] if isinstance(side, int)]))
    weights = np.random.default_rng(0).standard_normal((width, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["x0"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    if inputs == 2:  # the sum of the mask is added to the output
        nodes[-1].output[0] = "z"
        nodes += [
            helper.make_node("Cast", ["x1"], ["m"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["m", "axes"], ["s"], keepdims=1),
            helper.make_node("Add", ["z", "s"], ["y"]),
        ]
    given = [helper.make_tensor_value_info(f"x{i}", kind, shape) for i in range(inputs)]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 8])
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([1]), "axes")]
    graph = helper.make_graph(nodes, "tiny", given, [output], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))


@pytest.mark.parametrize("batch", [1, 4])
def test_an_encoder_with_a_fixed_batch_size_is_run_in_a_loop(batch: int, tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "fixed.onnx", [batch, 3, 4, 4], TensorProto.FLOAT)
    tiny_encoder(tmp_path / "free.onnx", ["b", 3, 4, 4], TensorProto.FLOAT)
    pixels = np.random.default_rng(1).standard_normal((7, 3, 4, 4)).astype(np.float32)
    fixed, free = Encoder(tmp_path / "fixed.onnx"), Encoder(tmp_path / "free.onnx")
    np.testing.assert_allclose(fixed.run(pixels), free.run(pixels), atol=1e-6)


@pytest.mark.parametrize(("cores", "fastest"), [(1, 4), (2, 8), (4, 8), (4, 16), (64, 32)])
def test_pace_finds_the_fastest_step_in_the_first_batches(cores: int, fastest: int) -> None:
    pace = Pace(cores)
    tried = []
    for _ in range(7):
        tried.append(pace.step)
        pace.note(7, 32, 0.0)  # from another thread, which started earlier
        pace.note(pace.step, 5, 0.0)  # too few photos to measure
        pace.note(pace.step, 32, 1.0 if pace.step == fastest and len(tried) > 1 else 2.0)
    assert set(tried) == set(pace.steps)
    assert pace.step == fastest
    pace.note(fastest, 32, 100.0)
    assert pace.step == fastest


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.INT64])
def test_token_ids_are_converted_to_the_input_type_of_the_session(kind: int, tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "text.onnx", ["b", 5], kind)
    ids = np.arange(10, dtype=np.int64).reshape(2, 5)
    assert Encoder(tmp_path / "text.onnx").run(ids).shape == (2, 8)


def test_float16_inputs_are_supported(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "half.onnx", ["b", 3, 4, 4], TensorProto.FLOAT16)
    assert Encoder(tmp_path / "half.onnx").run(np.ones((2, 3, 4, 4), np.float32)).dtype == np.float32


def test_a_text_encoder_with_two_inputs_gets_the_attention_mask(small_folder: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = Path(shutil.copytree(small_folder, tmp_path / "multilingual"))
    (folder / "searcher.json").unlink()
    tiny_encoder(folder / "textual/model.onnx", ["b", 77], TensorProto.INT64, inputs=2)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "embed_dim": 8}))
    assert Model.open(folder).encode_texts(["a dog", "two dogs"]).shape == (2, 8)


def test_the_cpu_is_used_if_the_accelerator_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny_encoder(tmp_path / "free.onnx", ["b", 3, 4, 4], TensorProto.FLOAT)
    genuine, asked = onnxruntime.InferenceSession, []

    def broken_driver(path: str, options: object, providers: list[str], **other: object) -> object:
        asked.append(providers)
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("CUDA driver version is insufficient for CUDA runtime version")
        return genuine(path, options, providers=providers, **other)

    installed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: installed)
    monkeypatch.setattr(onnxruntime, "InferenceSession", broken_driver)
    encoder = Encoder(tmp_path / "free.onnx")
    assert asked == [installed, ["CPUExecutionProvider"]]
    assert encoder.provider == "CPUExecutionProvider"
    assert encoder.run(np.ones((2, 3, 4, 4), np.float32)).shape == (2, 8)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("precision", "used", "providers"),
    [
        (None, "float32", ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("int8", "int8", ["CPUExecutionProvider"]),
    ],
)
def test_float32_is_used_on_a_gpu_and_int8_runs_on_the_cpu(
    precision: str | None,
    used: str,
    providers: list[str],
    small_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from searcher.models.importing import import_folder

    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path))
    import_folder(small_folder, "mine")
    assert Model.open("mine").precision == "int8"
    genuine, asked = onnxruntime.InferenceSession, []

    def with_card(path: str, options: object, providers: list[str], **other: object) -> object:
        asked.append((Path(path).name, providers))
        return genuine(path, options, **other | {"providers": ["CPUExecutionProvider"], "provider_options": [{}]})

    installed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: installed)
    monkeypatch.setattr(onnxruntime, "InferenceSession", with_card)
    model = Model.open("mine", precision=precision)
    assert model.precision == used
    model.encode_texts(["a dog"])
    model.encode_images(real_photos()[:1])
    name = "model.onnx" if used == "float32" else "model.int8.onnx"
    assert asked == [(name, providers), (name, providers)]


def test_a_model_is_a_dual_encoder(small_folder: Path) -> None:
    model: DualEncoder = Model.open(small_folder)  # mypy checks this line
    assert model.in_precision("float32").digest == model.digest
    assert model.info["precision"] == "float32"


def test_threads_that_open_a_model_at_once_open_each_part_once(
    small_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from searcher.models import session
    from searcher.models.tokenizer import TextTokenizer

    photos, texts = real_photos()[:3], ["a dog", "two cats"]
    expected = Model.open(small_folder)
    vectors = expected.encode_images(photos), expected.encode_texts(texts)
    opened: list[str] = []
    genuine, load = session._open, TextTokenizer.load

    def counted(path: Path, *rest: Any) -> Any:
        opened.append(path.parent.name)
        return genuine(path, *rest)

    def counted_load(path: Path, *rest: Any) -> Any:
        opened.append(path.name)
        return load(path, *rest)

    monkeypatch.setattr(session, "_open", counted)
    monkeypatch.setattr(TextTokenizer, "load", counted_load)
    model, barrier = Model.open(small_folder), Barrier(8)

    def use(number: int) -> tuple[str, np.ndarray, np.ndarray]:
        barrier.wait()
        if number % 2:
            return model.precision, model.encode_images(photos), model.encode_texts(texts)
        found = model.encode_texts(texts)
        return model.digest, model.encode_images(photos), found

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(use, range(8)))
    assert sorted(opened) == ["textual", "tokenizer.json", "visual"]
    assert {each[0] for each in results} == {"float32", model.digest}
    for _, images, found in results:
        np.testing.assert_array_equal(images, vectors[0])
        np.testing.assert_array_equal(found, vectors[1])


def test_threads_may_share_a_pace() -> None:
    pace, barrier = Pace(2), Barrier(8)

    def use(_: int) -> None:
        barrier.wait()
        for _ in range(200):
            step = pace.step
            pace.note(step, 32, 1.0 if step == 8 else 2.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert pace.step == 8


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("side", ["visual", "textual"])
def test_numbers_that_are_not_finite_never_leave_a_model(
    value: float, side: str, small_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "broken"))
    (folder / "searcher.json").unlink()
    encoder = onnx.load(str(folder / side / "model.onnx"))
    (output,) = encoder.graph.output
    for node in encoder.graph.node:
        node.output[:] = ["before" if name == output.name else name for name in node.output]
    spoilt = numpy_helper.from_array(np.array(value, np.float32), "spoilt")
    encoder.graph.initializer.append(spoilt)
    encoder.graph.node.append(helper.make_node("Mul", ["before", "spoilt"], [output.name]))
    onnx.save(encoder, str(folder / side / "model.onnx"))
    model = Model.open(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match="not finite") as caught:
            _ = model.encode_images(real_photos()[:1]) if side == "visual" else model.encode_texts(["a dog"])
    assert "\n" not in str(caught.value)


def test_rows_without_a_finite_length_become_nan() -> None:
    rows = np.array([[3, 4], [0, 0], [1e30, 0], [np.inf, 1], [np.nan, 1]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = unit_length(rows)
    np.testing.assert_allclose(found[:2], [[0.6, 0.8], [0.0, 0.0]], atol=1e-7)
    assert np.isnan(found[2:]).all()


def test_an_encoder_that_does_not_return_one_row_per_input_is_an_error(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x0", "axes"], ["y"], keepdims=1)],
        "tiny",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["b", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array([0]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "sum.onnx"))
    with pytest.raises(ModelError, match="not one row per input"):
        Encoder(tmp_path / "sum.onnx").run(np.ones((2, 3), np.float32))
