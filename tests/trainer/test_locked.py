"""Training behind a locked image trunk: what is trained, and the features that are kept on disk."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from searcher.commands.train import command
from searcher.errors import InvalidInput
from searcher.models.preprocess import Preprocess
from searcher.photos.decode import content_digest
from searcher.trainer import checkpoint, features, loop
from searcher.trainer.distributed import Processes
from searcher.trainer.export import export_onnx
from searcher.trainer.features import Features, Trunk, compute
from searcher.trainer.locked import ImageTrunk, freeze, image_head, trunk_digest
from searcher.trainer.loop import train
from searcher.trainer.step import backward
from searcher.trainer.towers import POSTERIOR
from tests.trainer.conftest import Recorder, settings_for

HEAD = "visual.head."
SCALE = "logit_scale"


def trained_tensors(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "open_clip_model.safetensors")


@pytest.fixture(scope="module")
def start(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to start from: a ResNet of timm with open_clip's projection."""
    config = json.loads((folder / "timm.json").read_text())
    torch.manual_seed(0)
    model, tokenizer = checkpoint.create(config)
    out = tmp_path_factory.mktemp("start")
    checkpoint.save_open_clip(out, model, tokenizer, config, {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3})
    return out


@pytest.fixture(scope="module")
def exports() -> dict[str, bytes]:
    """The ONNX files of trunks that tests exported, by the digest of the trunk."""
    return {}


@pytest.fixture(autouse=True)
def exported_once(exports: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Export a trunk for all tests together: it takes longer than what they do with it."""

    def export(trunk: ImageTrunk, example: Tensor, path: Path, name: str) -> None:
        key = f"{trunk_digest(trunk.visual)} {tuple(example.shape)}"
        if key not in exports:
            export_onnx(trunk, example, path, name)
            exports[key] = path.read_bytes()
        path.write_bytes(exports[key])

    monkeypatch.setattr(features, "export_onnx", export)


def trunk_of(start: Path, views: tuple[str, ...] = ("whole",)) -> Trunk:
    model, _ = checkpoint.create(checkpoint.config_of_checkpoint(start)["model_cfg"])
    checkpoint.load_weights(model, start)
    preprocess = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
    return Trunk(model.visual.eval(), Preprocess.from_config(preprocess), views, Processes())


def all_features(found: Features) -> np.ndarray:
    """float16 [photos, views, f]. All photos must be readable."""
    rows = [found[record] for record in range(len(found.digests))]
    assert all(row is not None for row in rows)
    return np.stack([row for row in rows if row is not None])


@pytest.mark.usefixtures("unpublished")
@pytest.mark.parametrize("sides", [("image",), ("image", "text")])
def test_only_the_head_of_a_locked_image_tower_is_trained(
    folder: Path, start: Path, tmp_path: Path, sides: tuple[str, ...]
) -> None:
    settings = settings_for(folder, tmp_path / "out", model=None, init=start, freeze=sides)
    changed = trained_tensors(weights(start), weights(train(settings)))
    image = {name for name in changed if name.startswith("visual.")}
    assert image == {f"{HEAD}proj.weight"}, "not the trunk, and not its running statistics"
    text = {name for name in changed - image if name != SCALE}
    assert bool(text) == ("text" not in sides)


def test_a_tower_without_a_head_leaves_nothing_to_train(folder: Path) -> None:
    config = json.loads((folder / "vit.json").read_text())
    model, _ = checkpoint.create(config)
    with pytest.raises(InvalidInput, match="--freeze image,text leaves nothing to train"):
        freeze(model, ("image", "text"))
    model, _ = checkpoint.create(config)
    freeze(model, ("image",))
    assert not any(parameter.requires_grad for parameter in model.visual.parameters())
    assert model.token_embedding.weight.requires_grad


def test_a_head_gives_the_same_embedding_from_features_as_from_pixels() -> None:
    text = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    for vision in (
        {"timm_model_name": "resnet10t", "timm_pool": "avg", "timm_proj": "linear", "image_size": 32},
        {"timm_model_name": "resnet10t", "timm_pool": "avg", "timm_proj": "", "image_size": 32},
        {"timm_model_name": POSTERIOR, "timm_pool": "avg", "timm_proj": "", "image_size": 64},
    ):
        model, _ = checkpoint.create({"embed_dim": 32, "vision_cfg": vision, "text_cfg": text})
        visual = model.visual.eval()
        size = vision["image_size"]
        images = torch.rand(3, 3, int(str(size)), int(str(size)))
        with torch.no_grad():
            from_features = image_head(visual)(ImageTrunk(visual)(images))
            torch.testing.assert_close(from_features, visual(images), atol=1e-5, rtol=1e-4)


def test_the_digest_of_a_trunk_does_not_depend_on_its_head(start: Path) -> None:
    trunk = trunk_of(start)
    before = trunk_digest(trunk.visual)
    visual: Any = trunk.visual
    with torch.no_grad():
        visual.head.proj.weight += 1
    assert trunk_digest(visual) == before
    with torch.no_grad():
        visual.trunk.bn1.running_mean += 1
    assert trunk_digest(visual) != before


def test_features_are_computed_once_per_content(folder: Path, start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [str(path) for path in sorted((folder / "classes").glob("*/*.png"))]
    values = all_features(compute(trunk_of(start), files))
    assert values.dtype == np.float16 and values.shape[:2] == (len(files), 1)
    assert len({value.tobytes() for value in values}) > len(files) / 2

    def fails(*_: object) -> None:
        raise AssertionError("a known photo was decoded again")

    monkeypatch.setattr(features, "decode", fails)
    assert np.array_equal(values[::-1], all_features(compute(trunk_of(start), files[::-1])))


def test_features_are_those_of_the_torch_model(folder: Path, start: Path) -> None:
    trunk = trunk_of(start, ("whole", "middle", "middle-mirrored"))
    file = folder / "classes" / "red" / "0.png"
    found = compute(trunk, [str(file)])[0]
    with torch.no_grad():
        expected = ImageTrunk(trunk.visual)(torch.from_numpy(trunk.pixels(file.read_bytes()))).numpy()
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=2e-3, rtol=2e-3)
    image = Image.open(file).convert("RGB")
    middle = features.cut(image, "middle")
    assert middle.size == (30, 30), "an eighth of each side is left out"
    mirrored = features.cut(image, "middle-mirrored")
    assert np.array_equal(np.asarray(mirrored), np.asarray(middle)[:, ::-1])


def test_other_views_and_preprocessing_have_features_of_their_own(start: Path) -> None:
    whole, both = trunk_of(start), trunk_of(start, ("whole", "middle"))
    assert whole.cache_file() == trunk_of(start).cache_file()
    assert whole.cache_file() != both.cache_file()


@pytest.mark.usefixtures("unpublished")
def test_a_photo_that_cannot_be_read_is_counted(folder: Path, start: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes((folder / "classes" / "red" / "0.png").read_bytes()[:60])
    rows = [f"{folder}/{line}" for line in (folder / "pairs.csv").read_text().splitlines()[1:]]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(["image,caption", *rows, f"{broken},a broken disc"]) + "\n")
    lines: list[dict[str, Any]] = []
    settings = settings_for(
        folder, tmp_path / "out", sources=(pairs,), model=None, init=start, freeze=("image",), epochs=2
    )
    train(settings, Recorder(lines))
    assert lines[-1]["bad"] > 0


@pytest.mark.usefixtures("unpublished")
@pytest.mark.slow
def test_a_resumed_run_ends_like_one_that_was_not_stopped(
    folder: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0)

    def run(out: Path, **changes: Any) -> Path:
        options = {"model": None, "init": start, "freeze": ("image", "text"), "epochs": 3, "views": ("whole", "middle")}
        return train(settings_for(folder, out, **(options | changes)))

    whole = run(tmp_path / "whole")

    class Stop(Exception):
        pass

    steps: list[int] = []

    def stopped(*arguments: Any) -> Any:
        steps.append(1)
        if len(steps) == 5:
            raise Stop
        return backward(*arguments)

    monkeypatch.setattr(loop, "backward", stopped)
    with pytest.raises(Stop):
        run(tmp_path / "resumed")
    monkeypatch.setattr(loop, "backward", backward)
    resumed = run(tmp_path / "resumed", resume=True, workers=1)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[name], tensor, atol=1e-6, rtol=1e-5)


def test_a_damaged_cache_is_one_clear_line(folder: Path, start: Path, feature_cache: Path) -> None:
    trunk = trunk_of(start)
    feature_cache.mkdir(parents=True)
    trunk.cache_file().write_bytes(b"not a database" * 1000)
    with pytest.raises(Exception, match=r"cannot use the features in .*delete it") as caught:
        compute(trunk, [str(folder / "classes" / "red" / "0.png")])
    assert "\n" not in str(caught.value)


def test_the_cache_is_a_plain_table(folder: Path, start: Path) -> None:
    trunk = trunk_of(start)
    file = folder / "classes" / "red" / "0.png"
    compute(trunk, [str(file)])
    with sqlite3.connect(trunk.cache_file()) as connection:
        ((photo, views),) = connection.execute("SELECT photo, views FROM features").fetchall()
    assert photo == content_digest(file.read_bytes())
    assert len(views) == 2 * 512, "float16 numbers"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--freeze", "image", "--min-area", "0.3"], "--min-area cannot be used with --freeze image"),
        (["--freeze", "image,text", "--grayscale", "0.1"], "--grayscale cannot be used with --freeze image"),
        (["--freeze", "picture"], "--freeze must be image, text or image,text"),
        (["--freeze", "image,image"], "--freeze must be image, text or image,text"),
    ],
)
def test_options_that_contradict_a_locked_trunk_are_usage_errors(folder: Path, options: list[str], said: str) -> None:
    result = CliRunner().invoke(command, [str(folder / "pairs.csv"), "--out", str(folder / "none"), *options])
    assert result.exit_code == 2 and said in result.output


def test_unknown_views_are_refused(folder: Path, tmp_path: Path) -> None:
    for views, said in ((("top",), "no view named 'top'"), ((), "one or more"), (("whole", "whole"), "different")):
        with pytest.raises(InvalidInput, match=said):
            train(settings_for(folder, tmp_path / "out", freeze=("image",), views=views))
