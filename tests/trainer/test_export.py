import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg

from searcher.errors import SearcherError
from searcher.models import Model
from searcher.trainer.export import export_model, write_tokenizer
from searcher.trainer.weights import read_weights
from tests.models.sentences import sentences
from tests.models.towers import (
    CONFIGS,
    VIT,
    real_photos,
    small_model,
    torch_images,
    torch_texts,
)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.slow
def test_exported_encoders_equal_torch(name: str, exported: Callable[..., Path]) -> None:
    config = CONFIGS[name]
    torch_model, model = small_model(config), Model.open(exported(name))
    photos = real_photos()
    expected = torch_images(torch_model, photos, PreprocessCfg(size=64))
    np.testing.assert_allclose(model.encode_images(photos), expected, atol=1e-4)
    tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    texts = sentences(200)
    expected = torch_texts(torch_model, tokenizer, texts)
    np.testing.assert_allclose(model.encode_texts(texts), expected, atol=1e-4)


@pytest.mark.slow
def test_export_does_not_change_the_model_or_other_files_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")
    (tmp_path / "visual").mkdir()
    (tmp_path / "visual" / "model.old.onnx").write_text("from an earlier export")
    model = small_model(VIT).train()
    model.visual.extra = torch.nn.Linear(3, 5)  # no embedding depends on it
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tokenizer = open_clip.SimpleTokenizer(context_length=32)
    export_model(model, {"size": 64}, tokenizer, VIT, tmp_path, name="small", languages=["en"], source="a test")
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "open_clip_config.json",
        "searcher.json",
        "textual",
        "visual",
    ]
    assert not (tmp_path / "visual" / "model.old.onnx").exists()
    manifest = json.loads((tmp_path / "searcher.json").read_text())
    assert manifest["logit_scale"] == pytest.approx(1 / 0.07, abs=1e-3)
    assert (manifest["name"], manifest["languages"], manifest["source"]) == ("small", ["en"], "a test")
    # A tensor that is not used is recorded as such.
    found = read_weights(tmp_path / "visual" / "model.onnx")
    assert {name for name, tensor in found.items() if tensor is None} == {"visual.extra.weight", "visual.extra.bias"}
    # Stack traces would contain paths of the machine that exported.
    assert b".py" not in (tmp_path / "visual" / "model.onnx").read_bytes()


@pytest.mark.slow
def test_a_compact_export_is_small_close_to_float32_and_keeps_its_digest(exported: Callable[..., Path]) -> None:
    large, small = exported("resnet"), exported("resnet", "compact")
    whole, compact = Model.open(large), Model.open(small)
    assert compact.precision == "compact"
    assert compact.digest == whole.digest
    for name, part in (("visual/model.onnx", 0.35), ("textual/model.onnx", 0.3)):
        assert (small / name).stat().st_size < part * (large / name).stat().st_size
    # A distributed file must not depend on the integer instructions of the machine that made it.
    text = onnx.load(str(small / "textual/model.onnx"))
    assert not [node.op_type for node in text.graph.node if "Integer" in node.op_type]
    drift = compact.info["drift"]["compact"]
    assert drift["image_cosine"] > 0.999
    assert drift["text_cosine"] > 0.999
    photos = real_photos()
    cosines = np.sum(compact.encode_images(photos) * whole.encode_images(photos), axis=1)
    assert cosines.min() > 0.999


def test_a_tokenizer_that_is_not_fast_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match="cannot be exported"):
        write_tokenizer(object(), tmp_path / "tokenizer.json")
