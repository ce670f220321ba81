"""Weights read back from exported model folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.errors import InvalidInput
from searcher.models import Model
from searcher.models.layout import TEXTUAL, VISUAL
from searcher.trainer import builtin, checkpoint
from searcher.trainer.export import export_model
from searcher.trainer.weights import read_weights
from tests.models.towers import CONFIGS, VIT, small_model

TEXTS = ["a dog on the beach", "two red cars", "snow", "a photo of an old temple in the forest at night"]
UNUSED = "num_batches_tracked"


def bert_config(language_model: Path) -> dict[str, Any]:
    text = {"hf_model_name": str(language_model), "hf_tokenizer_name": str(language_model), "context_length": 32}
    text |= {"hf_model_pretrained": False, "hf_pooler_type": "mean_pooler", "hf_proj_type": None}
    vision = {"timm_model_name": "resnet10t", "timm_model_pretrained": False, "timm_pool": "avg"}
    vision |= {"timm_proj": "linear", "image_size": 64}
    return {"embed_dim": 48, "vision_cfg": vision, "text_cfg": text}


def varied(model: Any) -> Any:
    """The same model with random values where a new one has zeros and ones, so that mistakes show."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 1 and tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.2, 0.2)
            tensor.uniform_(low, high, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def bert(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """A compact model folder with a BERT and a ResNet of timm, the model that it was made from, and its tokenizer."""
    torch.manual_seed(0)
    config = bert_config(language_model)
    model, tokenizer = checkpoint.create(config)
    folder = tmp_path_factory.mktemp("compact")
    export_model(varied(model), {"size": 64}, tokenizer, config, folder, name="bert", precision="compact")
    return folder, model, tokenizer


def all_weights(folder: Path) -> dict[str, torch.Tensor | None]:
    return read_weights(folder / VISUAL) | read_weights(folder / TEXTUAL)


def steps(expected: torch.Tensor, found: torch.Tensor) -> float:
    """The largest difference, in steps of the coarsest int8 scale that the tensor may have."""
    return float((expected - found).abs().max() / (expected.abs().max().clamp_min(1e-12) / 127))


@pytest.mark.slow
def test_the_state_dict_of_a_compact_folder_is_read_back(bert: tuple[Path, Any, Any]) -> None:
    folder, model, _ = bert
    found, expected = all_weights(folder), model.state_dict()
    assert found.keys() == expected.keys() - {"logit_scale"}
    assert all(name.endswith(UNUSED) for name, tensor in found.items() if tensor is None)
    for name, tensor in found.items():
        if tensor is not None:
            assert tensor.shape == expected[name].shape
            assert steps(expected[name], tensor) <= (0 if tensor.ndim == 1 else 0.501)


@pytest.mark.slow
def test_training_starts_from_the_embeddings_of_a_compact_built_in_model(
    bert: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, model, tokenizer = bert
    monkeypatch.setattr(builtin, "find_model", lambda name: folder)
    torch.manual_seed(1)
    config = checkpoint.config_of_checkpoint(Path("builtin"))["model_cfg"]
    other, _ = checkpoint.create(config)
    checkpoint.load_weights(other.eval(), Path("builtin"))
    assert other.logit_scale.item() == pytest.approx(model.logit_scale.item(), abs=1e-4)
    pixels = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        for one, two in (
            (model.encode_text(tokenizer(TEXTS)), other.encode_text(tokenizer(TEXTS))),
            (model.encode_image(pixels), other.encode_image(pixels)),
        ):
            assert torch.cosine_similarity(one, two).min() > 0.99
    del config["text_cfg"]["hf_model_name"]
    another, _ = checkpoint.create({**config, "text_cfg": VIT["text_cfg"]})
    with pytest.raises(InvalidInput, match="does not contain the weights of this architecture"):
        checkpoint.load_weights(another, Path("builtin"))


@pytest.mark.slow
def test_a_compact_folder_with_a_language_model_gives_the_embeddings_of_torch(bert: tuple[Path, Any, Any]) -> None:
    folder, torch_model, tokenizer = bert
    model = Model.open(folder)
    pixels = np.stack([model.preprocess(Image.open(photo).convert("RGB")) for photo in sample_photos()[:3]])
    with torch.no_grad():
        texts = torch_model.encode_text(tokenizer(TEXTS), normalize=True).numpy()
        images = torch_model.encode_image(torch.from_numpy(pixels), normalize=True).numpy()
    assert np.sum(texts * model.encode_texts(TEXTS), axis=1).min() > 0.999
    assert np.sum(images * model.encode_pixels(pixels), axis=1).min() > 0.99
    textual = model._encoder("textual")
    assert [model.text_inputs(textual, [text])[0].shape[1] for text in ("a", TEXTS[2])] == [3, 6]
    for text in TEXTS:  # padding does not change a text, so it is the same alone and beside longer ones
        np.testing.assert_allclose(
            model.encode_texts([text])[0], model.encode_texts(TEXTS)[TEXTS.index(text)], atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "compact"])
@pytest.mark.parametrize("name", CONFIGS)
def test_weights_of_the_architectures_of_open_clip_are_read_back(
    name: str, precision: str, exported: Callable[..., Path]
) -> None:
    found, expected = all_weights(exported(name, precision)), small_model(CONFIGS[name]).state_dict()
    assert found.keys() == expected.keys() - {"logit_scale"}
    for name, tensor in found.items():
        if tensor is None:
            assert name.endswith(UNUSED)
            continue
        assert tensor.shape == expected[name].shape
        assert steps(expected[name], tensor) <= (0.501 if precision == "compact" and tensor.ndim > 1 else 0), name


def test_a_file_that_does_not_say_where_its_weights_are_is_refused(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    model = helper.make_model(helper.make_graph([], "empty", [], []))
    for places in (None, {"a.weight": {"shape": [2], "initializer": "missing"}}, {"a.weight": 3}):
        if places is not None:
            helper.set_model_props(model, {"searcher.weights": json.dumps(places)})
        onnx.save(model, str(tmp_path / "model.onnx"))
        with pytest.raises(InvalidInput, match="does not say where its weights are"):
            read_weights(tmp_path / "model.onnx")
