"""Models made of pretrained towers in local files."""

import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.models import Model
from searcher.trainer import checkpoint
from searcher.trainer.export import open_checkpoint
from searcher.trainer.loop import train
from searcher.trainer.pretrained import image_config, load_image_weights, text_config
from tests.trainer.conftest import settings_for

TIMM = "resnet10t"
TEXTS = ["a red disc", "two cars"]


@pytest.fixture(scope="module")
def image_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a classifier of timm, as safetensors."""
    torch.manual_seed(1)
    file = tmp_path_factory.mktemp("weights") / "resnet.safetensors"
    save_file(timm.create_model(TIMM).state_dict(), file)
    return file


def new_model(language_model: Path) -> Any:
    vision, _ = image_config(TIMM)
    text, width = text_config(language_model)
    return checkpoint.create({"embed_dim": width, "vision_cfg": vision, "text_cfg": text})[0]


@pytest.mark.slow
def test_pretrained_towers_are_trained_saved_and_searched_with(
    folder: Path, image_weights: Path, language_model: Path, tmp_path: Path
) -> None:
    towers = {"model": None, "image_tower": TIMM, "image_weights": image_weights, "text_tower": language_model}
    run = train(settings_for(folder, tmp_path / "run", freeze=("image", "text"), epochs=1, **towers))
    trained, given = load_file(run / "open_clip_model.safetensors"), load_file(image_weights)
    for name in ("conv1.0.weight", "layer4.0.conv2.weight", "bn1.running_mean"):
        assert torch.equal(trained[f"visual.trunk.{name}"], given[name])

    theirs: Any = open_clip.create_model(f"local-dir:{run}").eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{run}")(TEXTS)
    moved = tmp_path / "moved"
    shutil.move(run, moved)
    shutil.rmtree(run, ignore_errors=True)
    ours, tokenizer, _ = open_checkpoint(moved)
    with torch.no_grad():
        expected = theirs.encode_text(tokens, normalize=True)
        torch.testing.assert_close(ours.eval().encode_text(tokenizer(TEXTS), normalize=True), expected)
    found = torch.from_numpy(Model.open(moved).encode_texts(TEXTS))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_weights_of_a_state_dict_are_the_same(image_weights: Path, language_model: Path, tmp_path: Path) -> None:
    weights = load_file(image_weights)
    torch.save(weights, tmp_path / "resnet.pth")
    model = new_model(language_model)
    load_image_weights(model, tmp_path / "resnet.pth")
    assert torch.equal(model.visual.trunk.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])


def test_wrong_weights_are_refused_in_one_line(image_weights: Path, language_model: Path, tmp_path: Path) -> None:
    weights = load_file(image_weights)
    model = new_model(language_model)
    wrong: dict[str, dict[str, torch.Tensor]] = {
        "it lacks conv1": {name: tensor for name, tensor in weights.items() if name != "conv1.0.weight"},
        "it has blocks": weights | {"blocks.0": torch.zeros(1)},
        "it has another conv1": weights | {"conv1.0.weight": torch.zeros(1)},
    }
    for said, tensors in wrong.items():
        save_file(tensors, tmp_path / "wrong.safetensors")
        with pytest.raises(InvalidInput, match=said):
            load_image_weights(model, tmp_path / "wrong.safetensors")
    torch.save({"conv1": print}, tmp_path / "code.pth")
    with pytest.raises(InvalidInput, match="is refused: it contains more than weights"):
        load_image_weights(model, tmp_path / "code.pth")
    (tmp_path / "garbage.safetensors").write_bytes(b"garbage")
    with pytest.raises(InvalidInput, match="is not a weights file"):
        load_image_weights(model, tmp_path / "garbage.safetensors")
    with pytest.raises(NotFound, match="no such file"):
        load_image_weights(model, tmp_path / "none.pth")


def test_towers_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="timm has no model named 'resnet999'"):
        image_config("resnet999")
    with pytest.raises(NotFound, match=r"config\.json is missing"):
        text_config(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image_tower": TIMM, "model": "vit-64"}, "use them without --model and --init"),
        ({"image_tower": TIMM, "init": Path("builtin"), "model": None}, "use them without --model and --init"),
        ({"image_weights": Path("none.pth")}, "--image-weights needs --image-tower"),
    ],
)
def test_contradicting_options_are_refused(folder: Path, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SearcherError, match=said):
        train(settings_for(folder, tmp_path / "out", **options))
