import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, SparseTensorProto, TensorProto, helper, numpy_helper

from searcher.models import Model, ModelError, drift, models_dir
from searcher.models.drift import acceptable, crops, drift_photos, measure_drift
from searcher.models.external_data import check_external_data
from searcher.models.importing import import_folder


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))


@pytest.fixture
def published(small_folder: Path, tmp_path: Path) -> Path:
    """A folder as Immich publishes it, which has no searcher.json."""
    folder = Path(shutil.copytree(small_folder, tmp_path / "published"))
    (folder / "searcher.json").unlink()
    return folder


def move_weights_out(encoder: Path, location: str) -> None:
    """Move the weights of an encoder to an external file, then record `location` as the path of that file."""
    model = onnx.load(str(encoder))
    onnx.save(model, str(encoder), save_as_external_data=True, location="weights.bin", size_threshold=10_000)
    model = onnx.load(str(encoder), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    encoder.write_bytes(model.SerializeToString())


def test_an_import_creates_int8_encoders_records_their_drift_and_uses_them(published: Path) -> None:
    imported = import_folder(published, "mine")
    assert imported.notices == ()
    int8, float32 = Model.open("mine"), Model.open("mine", precision="float32")
    assert (int8.precision, float32.precision) == ("int8", "float32")
    assert int8.digest == float32.digest == Model.open(published).digest
    assert int8.close_to_float32
    assert float32.close_to_float32
    assert int8.mixes_with("float32") and float32.mixes_with("int8")
    assert not float32.mixes_with("int4")
    assert int8.in_precision("float32").precision == "float32"
    found = int8.info["drift"]["int8"]
    assert set(found) == {"image_cosine", "image_least", "text_cosine", "text_least", "top10"}
    assert 0.99 <= found["image_cosine"] <= 1
    assert 0.99 <= found["text_cosine"] < 1
    assert found["image_least"] <= found["image_cosine"]
    assert 0 < found["top10"] <= 1
    assert found == measure_drift(float32, int8)
    assert int8.info["source"] == str(published)


def test_an_imported_model_gets_the_given_name_and_keeps_its_facts(small_folder: Path) -> None:
    imported = import_folder(small_folder, "mine", "float32")
    assert imported.folder.name == Model.open("mine").name == "mine"
    assert imported.folder.digest == Model.open(small_folder).digest
    assert imported.folder.manifest.licence == "Apache-2.0"
    assert imported.folder.verify() == []


def test_int8_that_differs_too_much_from_float32_is_not_used_and_a_notice_says_so(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "MIN_COSINE", 0.999999)
    imported = import_folder(published, "mine")
    assert len(imported.notices) == 1
    assert "float32 is used" in imported.notices[0]
    model = Model.open("mine")
    assert model.precision == "float32"
    assert model.info["drift"]["int8"]["text_cosine"] < 0.999999
    assert not list(model.folder.rglob("*int8*"))
    overridden = import_folder(published, "mine", "int8")
    assert "int8 is used anyway" in overridden.notices[0]
    assert Model.open("mine").precision == "int8"
    assert not Model.open("mine").close_to_float32


def test_an_import_with_float32_creates_no_int8_encoders(published: Path) -> None:
    import_folder(published, "mine", "float32")
    model = Model.open("mine")
    assert list(model.info["precisions"]) == ["float32"]
    assert not list(model.folder.rglob("*int8*"))


def test_a_drift_is_acceptable_only_if_both_images_and_texts_are_close() -> None:
    assert acceptable({"image_cosine": 0.991, "text_cosine": 0.995})
    assert not acceptable({"image_cosine": 0.989, "text_cosine": 1.0})
    assert not acceptable({"image_cosine": 1.0, "text_cosine": 0.98})


def test_drift_is_measured_on_real_photos_that_ship_with_the_package() -> None:
    photos = drift_photos()
    assert len(photos) == 8
    assert len(crops(photos)) == 40
    assert all(np.asarray(photo).std() > 5 for photo in photos)


def test_importing_an_imported_model_keeps_its_precisions_and_digest(published: Path, tmp_path: Path) -> None:
    import_folder(published, "first")
    second = import_folder(models_dir() / "first", "second")
    assert sorted(second.folder.precisions) == ["float32", "int8"]
    assert second.folder.digest == Model.open("first").digest


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../../secret.bin", "stores its weights outside its folder"),
        ("/etc/passwd", "stores its weights outside its folder"),
        ("gone.bin", "needs gone.bin, which is missing"),
    ],
)
def test_external_weights_that_are_missing_or_outside_the_folder_are_rejected(
    location: str, message: str, published: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.bin").write_bytes(b"x" * 10_000_000)
    move_weights_out(published / "visual/model.onnx", location)
    with pytest.raises(ModelError, match=message) as caught:
        import_folder(published, "mine")
    assert "\n" not in str(caught.value)
    assert list(models_dir().iterdir()) == []


def test_external_weights_inside_the_folder_are_part_of_the_model(published: Path) -> None:
    expected = Model.open(published).encode_texts(["a dog"])
    before = Model.open(published).digest
    move_weights_out(published / "textual/model.onnx", "weights.bin")
    imported = import_folder(published, "mine", "float32")
    assert "textual/weights.bin" in imported.folder.manifest.files
    np.testing.assert_allclose(Model.open("mine").encode_texts(["a dog"]), expected, atol=1e-6)
    assert imported.folder.digest != before
    with (published / "textual/weights.bin").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(ModelError, match=r"weights\.bin is incomplete"):
        import_folder(published, "again")


@pytest.mark.parametrize("kind", ["web page", "truncated", "empty"])
def test_a_broken_folder_leaves_nothing_in_the_store_and_the_error_names_no_staging_folder(
    kind: str, published: Path
) -> None:
    whole = (published / "visual/model.onnx").read_bytes()
    broken = {"web page": b"<html>", "truncated": whole[: len(whole) // 2], "empty": b""}[kind]
    (published / "visual/model.onnx").write_bytes(broken)
    with pytest.raises(ModelError, match=r"visual/model\.onnx is (not an ONNX file|incomplete)") as caught:
        import_folder(published, "mine")
    assert str(models_dir()) not in str(caught.value)
    assert not list(models_dir().glob("*"))


def test_an_encoder_that_returns_nan_is_rejected(published: Path) -> None:
    model = onnx.load(str(published / "visual/model.onnx"))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 4:
            values = np.full(tuple(tensor.dims), np.nan, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, str(published / "visual/model.onnx"))
    with pytest.raises(ModelError, match="an encoder returns vectors that are not finite"):
        import_folder(published, "mine")


def external(name: str, location: str = "../secret.bin") -> TensorProto:
    """A tensor that says its values are in another file."""
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def sparse(tensor: TensorProto) -> SparseTensorProto:
    return helper.make_sparse_tensor(tensor, numpy_helper.from_array(np.array([0, 1]), "places"), [4])


def in_a_branch(tensor: TensorProto) -> NodeProto:
    inner = helper.make_graph([], "inner", [], [], [tensor])
    middle = helper.make_graph([helper.make_node("If", ["c"], ["z"], else_branch=inner)], "middle", [], [])
    return helper.make_node("Loop", ["n", "c"], ["y"], body=middle)


HIDDEN: dict[str, Callable[[ModelProto], object]] = {
    "initializer": lambda m: m.graph.initializer.append(external("w")),
    "sparse initializer": lambda m: m.graph.sparse_initializer.append(sparse(external("w"))),
    "constant": lambda m: m.graph.node.append(helper.make_node("Constant", [], ["y"], value=external("w"))),
    "list of constants": lambda m: m.graph.node.append(helper.make_node("Other", [], ["y"], values=[external("w")])),
    "sparse constant": lambda m: m.graph.node.append(
        helper.make_node("Constant", [], ["y"], sparse_value=sparse(external("w")))
    ),
    "branch of a loop": lambda m: m.graph.node.append(in_a_branch(external("w"))),
    "function": lambda m: m.functions.append(
        helper.make_function("here", "f", [], ["y"], [in_a_branch(external("w"))], [helper.make_opsetid("", 17)])
    ),
    "training graph": lambda m: m.training_info.add().algorithm.initializer.append(external("w")),
}


@pytest.mark.parametrize("place", HIDDEN)
def test_external_weights_outside_are_found_wherever_they_are_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"x" * 100)
    (tmp_path / "visual").mkdir()
    model = helper.make_model(helper.make_graph([], "g", [], []))
    HIDDEN[place](model)
    (tmp_path / "visual/model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="stores its weights outside its folder"):
        check_external_data(tmp_path / "visual/model.onnx")


@pytest.mark.parametrize("entry", [{"offset": "x"}, {"length": "-1"}, {"location": "a\0b"}])
def test_wrong_external_data_is_an_error(entry: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x" * 100)
    tensor = external("w", "weights.bin")
    for key, value in entry.items():
        tensor.external_data.add(key=key, value=value)
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"invalid reference|is incomplete"):
        check_external_data(tmp_path / "model.onnx")


def test_float32_is_used_again_if_an_imported_model_is_imported_with_it(published: Path) -> None:
    import_folder(published, "first", "int8")
    assert import_folder(models_dir() / "first", "second", "float32").folder.precision == "float32"


def test_a_file_that_differs_from_its_recorded_digest_is_rejected(small_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "changed"))
    config = folder / "textual/tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"pad_token": "a"}))
    with pytest.raises(ModelError, match=r"^model mine: textual/tokenizer_config.json does not match its"):
        import_folder(folder, "mine")


def test_an_int8_embedding_hardly_depends_on_the_rest_of_the_batch(published: Path) -> None:
    """Dynamic quantisation uses one scale for a whole batch."""
    import_folder(published, "mine", "int8")
    model = Model.open("mine")
    pictures = crops(drift_photos())
    together = model.encode_images(pictures)
    alone = np.concatenate([model.encode_images([picture]) for picture in pictures])
    assert np.sum(together * alone, axis=1).min() > 0.999
