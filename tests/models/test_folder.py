import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from searcher.errors import NotFound
from searcher.models import Model, ModelError, ModelFolder, write_manifest


@pytest.fixture
def folder(small_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small model folder that a test may break."""
    return Path(shutil.copytree(small_folder, tmp_path / "small"))


def use(folder: Path) -> None:
    model = Model.open(folder)
    model.encode_texts(["a dog"])
    model.encode_images([Image.new("RGB", (80, 60))])


def edit(path: Path, **changes: object) -> None:
    found = json.loads(path.read_text())
    found.update(changes)
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not ...}))


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def swap_encoders(folder: Path) -> None:
    (folder / "searcher.json").unlink()
    (folder / "visual/model.onnx").rename(folder / "a")
    (folder / "textual/model.onnx").rename(folder / "visual/model.onnx")
    (folder / "a").rename(folder / "textual/model.onnx")


def unrecorded(path: Path, data: bytes) -> None:
    (path.parents[1] / "searcher.json").unlink()
    path.write_bytes(data)


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no model folder at"),
    "config missing": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "encoder missing": (lambda f: (f / "visual/model.onnx").unlink(), "visual/model.onnx is missing"),
    "tokenizer missing": (lambda f: (f / "textual/tokenizer.json").unlink(), "tokenizer.json is missing"),
    "encoder truncated": (lambda f: truncate(f / "visual/model.onnx"), "visual/model.onnx is incomplete"),
    "encoder empty": (
        lambda f: unrecorded(f / "textual/model.onnx", b""),
        "model.onnx is incomplete",
    ),
    "encoder is a GIF": (lambda f: unrecorded(f / "visual/model.onnx", b"GIF89a" * 99), "cannot be loaded"),
    "encoder is a web page": (lambda f: unrecorded(f / "textual/model.onnx", b"<html>"), "cannot be loaded"),
    "encoders swapped": (swap_encoders, "is not a text encoder"),
    "config truncated": (lambda f: truncate(f / "config.json"), "config.json cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json is not a JSON object"),
    "config of another kind of model": (
        lambda f: (f / "config.json").write_text('{"model_type": "bert"}'),
        "config.json is not an open_clip model config",
    ),
    "wrong embedding dimension": (
        lambda f: edit(f / "config.json", embed_dim=512),
        "48 numbers but config.json says 512",
    ),
    "tokenizer truncated": (
        lambda f: truncate(f / "textual/tokenizer.json"),
        "cannot be used",
    ),
    "preprocess truncated": (lambda f: truncate(f / "visual/preprocess_cfg.json"), "preprocess_cfg.json"),
    "preprocess mode unknown": (
        lambda f: edit(f / "visual/preprocess_cfg.json", resize_mode="warp"),
        "unknown resize mode 'warp'",
    ),
    "newer format": (lambda f: edit(f / "searcher.json", format=2), "newer version of searcher; upgrade searcher"),
    "manifest truncated": (lambda f: truncate(f / "searcher.json"), "searcher.json cannot be read"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_error_for_a_broken_folder_is_one_line_and_names_the_file(breakage: str, folder: Path) -> None:
    break_it, message = BREAKAGES[breakage]
    break_it(folder)
    with pytest.raises((ModelError, NotFound)) as caught:
        use(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_folder_without_manifest_works_and_has_the_same_digest(folder: Path) -> None:
    recorded = ModelFolder.read(folder).digest
    (folder / "searcher.json").unlink()
    (folder / "textual/tokenizer_config.json").unlink()
    use(folder)
    model = Model.open(folder)
    assert model.digest == recorded
    assert model.name == "small"
    assert model.precision == "float32"
    assert model.logit_scale is None
    assert model.scale_and_bias == (100.0, 0.0)


@pytest.mark.parametrize("name", ["visual/model.onnx", "textual/tokenizer.json", "visual/preprocess_cfg.json"])
def test_the_digest_depends_on_everything_that_determines_an_embedding(name: str, folder: Path) -> None:
    (folder / "searcher.json").unlink()
    before = ModelFolder.read(folder).digest
    (folder / "README.md").write_text("a card")
    assert ModelFolder.read(folder).digest == before
    if name.endswith("cfg.json"):
        edit(folder / name, resize_mode="squash")
    else:
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert ModelFolder.read(folder).digest != before


def test_a_path_that_is_not_utf8_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"opens no path that is not UTF-8$"):
        use(folder.rename(tmp_path / "m\udcff"))


def test_verify_finds_a_changed_file_of_the_same_size(folder: Path) -> None:
    assert ModelFolder.read(folder).verify() == []
    data = bytearray((folder / "textual/model.onnx").read_bytes())
    data[-1] ^= 1
    (folder / "textual/model.onnx").write_bytes(data)
    assert ModelFolder.read(folder).verify() == ["textual/model.onnx does not match its recorded digest"]


def test_write_manifest_rejects_an_unknown_fact(folder: Path) -> None:
    with pytest.raises(TypeError, match="licens"):
        write_manifest(folder, name="small", licens="MIT")


def test_the_error_for_a_missing_precision_lists_the_available_ones(folder: Path) -> None:
    with pytest.raises(ModelError, match="no precision 'int4' \\(available: float32\\)"):
        Model.open(folder, precision="int4")
