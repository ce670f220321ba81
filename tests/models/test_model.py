import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from searcher.models import Model
from searcher.models.session import Encoder, Pace
from searcher.photos.decode import decode
from searcher.photos.samples import sample_photos
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
    assert model.scale_and_bias == (pytest.approx(14.2857), 0.0)
    assert model.known_script("a dog")
    assert not model.known_script("кот")


def test_a_search_loads_only_the_text_encoder_and_no_torch(small_folder: Path) -> None:
    script = f"""
import sys
from searcher.models import Model
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


@pytest.mark.parametrize("fastest", Pace.STEPS)
def test_pace_finds_the_fastest_step_in_the_first_batches(fastest: int) -> None:
    pace = Pace()
    tried = []
    for _ in range(7):
        tried.append(pace.step)
        pace.note(7, 32, 0.0)  # from another thread, which started earlier
        pace.note(pace.step, 5, 0.0)  # too few photos to measure
        pace.note(pace.step, 32, 1.0 if pace.step == fastest and len(tried) > 1 else 2.0)
    assert set(tried) == set(Pace.STEPS)
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
    from searcher.models import session

    tiny_encoder(tmp_path / "free.onnx", ["b", 3, 4, 4], TensorProto.FLOAT)
    genuine, asked = session.onnxruntime.InferenceSession, []

    def broken_driver(path: str, options: object, providers: list[str], **other: object) -> object:
        asked.append(providers)
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("CUDA driver version is insufficient for CUDA runtime version")
        return genuine(path, options, providers=providers, **other)

    installed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(session.onnxruntime, "get_available_providers", lambda: installed)
    monkeypatch.setattr(session.onnxruntime, "InferenceSession", broken_driver)
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
    from searcher.models import session
    from searcher.models.importing import import_folder

    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path))
    import_folder(small_folder, "mine")
    assert Model.open("mine").precision == "int8"
    genuine, asked = session.onnxruntime.InferenceSession, []

    def with_card(path: str, options: object, providers: list[str], **other: object) -> object:
        asked.append((Path(path).name, providers))
        return genuine(path, options, providers=["CPUExecutionProvider"], **other)

    installed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(session.onnxruntime, "get_available_providers", lambda: installed)
    monkeypatch.setattr(session.onnxruntime, "InferenceSession", with_card)
    model = Model.open("mine", precision=precision)
    assert model.precision == used
    model.encode_texts(["a dog"])
    model.encode_images(real_photos()[:1])
    name = "model.onnx" if used == "float32" else "model.int8.onnx"
    assert asked == [(name, providers), (name, providers)]
