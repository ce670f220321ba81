"""Small training runs, from files to a model folder."""

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from searcher.commands import main
from searcher.errors import SearcherError
from searcher.models import Model
from searcher.trainer import checkpoint
from searcher.trainer.config import model_config
from searcher.trainer.loop import Settings, learning_rate, train
from tests.trainer.conftest import COLOURS, Recorder, settings_for
from tests.trainer.test_checkpoints import Payload
from tests.trainer.test_shards import write_shards


@pytest.mark.slow
def test_a_run_writes_an_open_clip_checkpoint_and_the_same_model_for_search(folder: Path, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    out = train(settings_for(folder, tmp_path / "run", epochs=20, val=folder / "classes"), Recorder(lines))
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["zero_shot"] > 0.5  # chance is 0.25
    assert [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()] == lines
    with Image.open(out / "curves.png") as curves:
        assert curves.width > curves.height > 100

    theirs, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{out}")
    theirs.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{out}")
    ours = Model.open(out)
    texts = [f"a {colour} disc" for colour in COLOURS]
    paths = sorted((folder / "classes").glob("*/0.png"))
    with torch.no_grad():
        text = theirs.encode_text(tokenizer(texts), normalize=True).numpy()
        pixels = torch.stack([preprocess(Image.open(path).convert("RGB")) for path in paths])
        image = theirs.encode_image(pixels, normalize=True).numpy()
    assert np.abs(ours.encode_texts(texts) - text).max() < 1e-4
    # open_clip resizes with its own transform. The preprocessing tests cover the difference of 1/255 per pixel.
    assert (ours.encode_images(paths) * image).sum(1).min() > 0.999


@pytest.mark.usefixtures("unpublished")
def test_a_frozen_tower_does_not_change_and_sentences_train_the_text_tower(folder: Path, tmp_path: Path) -> None:
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("".join(f"a {colour} disc\n" for colour in COLOURS) * 8)
    teacher = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float16)
    np.save(tmp_path / "sentences.npy", np.tile(teacher[:4], (8, 1)))
    lines: list[dict[str, Any]] = []
    run = train(
        Settings(
            sources=(sentences,), out=tmp_path / "text", model=str(folder / "tiny.json"), freeze=("image",),
            epochs=60, batch_size=16, lr=5e-3, workers=0,
        ),
        Recorder(lines),
    )  # fmt: skip
    assert lines[-1]["loss"] < 0.1
    before = load_file(run / "open_clip_model.safetensors")
    second = train(settings_for(folder, tmp_path / "image", init=run, freeze=("text",), epochs=1))
    after = load_file(second / "open_clip_model.safetensors")
    for name, tensor in before.items():
        changed = not torch.equal(tensor, after[name])
        assert changed == (name.startswith("visual.") or name == "logit_scale"), name


def test_a_second_run_does_not_overwrite_the_first(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "training.safetensors").touch()
    with pytest.raises(SearcherError, match="--resume"):
        train(settings_for(folder, tmp_path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "no such file or folder"),
        (["pairs.csv", "--weights", "1,2"], "2 weights for 1 sources"),
        (["pairs.csv", "--model", "no-such-model"], "no model config 'no-such-model'"),
        (["pairs.csv", "--init", "nowhere"], "no checkpoint at nowhere"),
        (["pairs.csv", "--interpolate", "0.5"], "--interpolate .* needs --init"),
        (["pairs.csv", "--loss", "sigmoid", "--label-smoothing", "0.1"], "can only be used with the softmax loss"),
        (["pairs.csv", "--batch-size", "10", "--accumulate", "3"], "a batch of 10 cannot be divided"),
        (["pairs-{0..1}.tar"], "no such file: pairs-0.tar"),
        (["pairs.csv", "--weights", "-1"], "every weight must be a number above 0"),
        (["tiny.json"], "not a .csv, .tsv or .jsonl file or a folder"),
    ],
)
def test_wrong_input_gives_a_one_line_error_and_no_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(folder)
    extra = [] if "--model" in arguments else ["--model", "tiny.json"]
    with pytest.raises(SearcherError, match=said) as caught:
        CliRunner().invoke(
            main, ["train", *arguments, *extra, "--out", str(tmp_path / "out")], standalone_mode=False,
            catch_exceptions=False,
        )  # fmt: skip
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "searcher.json").exists()


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, 1.0, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[100] == pytest.approx(0)


@pytest.mark.usefixtures("unpublished")
def test_min_area_and_grayscale_change_the_images_of_a_run(folder: Path, tmp_path: Path) -> None:
    def first_loss(out: str, **changes: Any) -> float:
        lines: list[dict[str, Any]] = []
        train(settings_for(folder, tmp_path / out, epochs=0.1, **changes), Recorder(lines))
        return float(lines[0]["loss"])

    plain = first_loss("plain")
    assert plain == first_loss("said", min_area=0.5, grayscale=0.0)
    assert plain != first_loss("deep", min_area=0.1)
    assert plain != first_loss("grey", grayscale=1.0)


@pytest.fixture(scope="module")
def sigmoid_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT after 12 steps with the sigmoid loss, as a compact model, by a user whose files others cannot read."""
    values: dict[str, Any] = {"loss": "sigmoid", "model": str(folder / "vit.json"), "precision": "compact"}
    before = os.umask(0o027)
    try:
        return train(settings_for(folder, tmp_path_factory.mktemp("sigmoid") / "first", **values))
    finally:
        os.umask(before)


@pytest.mark.slow
def test_all_files_of_a_model_have_the_mode_of_a_new_file(sigmoid_run: Path) -> None:
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in sigmoid_run.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o640}, modes
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o750}, modes


@pytest.mark.slow
def test_a_sigmoid_run_interpolated_with_its_start_gives_a_model_for_search(
    sigmoid_run: Path, folder: Path, tmp_path: Path
) -> None:
    lines: list[dict[str, Any]] = []
    first = sigmoid_run
    assert first.joinpath("README.md").read_text().count("Not measured") == 1
    assert Model.open(first).logit_bias == pytest.approx(-10, abs=1)
    changes = {"init": first, "model": None, "interpolate": 0.25, "loss": "sigmoid", "val": folder / "pairs.csv"}
    second = train(settings_for(folder, tmp_path / "second", accumulate=2, average=0.9, **changes), Recorder(lines))
    state = load_file(second / "training.safetensors")
    start, mixed = (load_file(run / "open_clip_model.safetensors") for run in (first, second))
    name = "visual.proj"
    expected = start[name].lerp(state[f"average/module.{name}"], 0.25)
    torch.testing.assert_close(mixed[name], expected)
    assert not torch.equal(state[f"average/module.{name}"], state[f"model/{name}"])
    assert {f"{way}_r{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)} <= lines[-1].keys()
    assert np.isfinite(Model.open(second).encode_texts(["a red disc"])).all()
    card = (second / "README.md").read_text()
    for said in (
        "# second",
        "ViT, 32 × 32 pixels",
        "- pairs.csv: 48 records × 1",
        "recall@1",
        "| interpolate | 0.25 |",
    ):
        assert said in card, said


@pytest.mark.usefixtures("unpublished")
def test_pt_checkpoints_that_contain_more_than_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    few = {"epochs": 0.1, "model": str(folder / "vit.json")}
    first = train(settings_for(folder, tmp_path / "first", **few))
    weights = load_file(first / "open_clip_model.safetensors")
    foreign = {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}}
    torch.save(foreign, tmp_path / "epoch_3.pt")  # the format of open_clip's own training
    frozen = few | {"init": tmp_path / "epoch_3.pt", "freeze": ("image",), "seed": 5}
    second = train(settings_for(folder, tmp_path / "second", **frozen))
    assert torch.equal(load_file(second / "open_clip_model.safetensors")["visual.proj"], weights["visual.proj"])

    refused = {
        "payload.pt": (Payload(tmp_path / "owned"), "is refused: it contains more than weights"),
        "other.pt": ({"visual.proj": torch.zeros(2, 2)}, "does not contain the weights of this architecture"),
        "list.pt": ([1, 2], "does not contain the weights of this architecture"),
    }
    for name, (content, said) in refused.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(SearcherError, match=said) as caught:
            train(settings_for(folder, tmp_path / "third", init=tmp_path / name))
        assert "\n" not in str(caught.value)
    (tmp_path / "empty.pt").touch()
    (tmp_path / "garbage.safetensors").write_bytes(b"garbage")
    for name in ("empty.pt", "garbage.safetensors"):
        with pytest.raises(SearcherError, match="is not a weights file"):
            train(settings_for(folder, tmp_path / "third", init=tmp_path / name))
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "third").exists()


@pytest.mark.usefixtures("unpublished")
def test_a_teacher_next_to_pairs_is_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "classes").symlink_to(folder / "classes")
    (tmp_path / "pairs.csv").write_text((folder / "pairs.csv").read_text())
    np.save(tmp_path / "pairs.npy", np.random.default_rng(0).standard_normal((48, 32)).astype(np.float16))
    lines: list[dict[str, Any]] = []
    train(settings_for(tmp_path, tmp_path / "run", epochs=14, model=str(folder / "tiny.json")), Recorder(lines))
    assert lines[-1]["distillation"] < lines[0]["distillation"] - 0.05
    assert lines[-1]["loss"] == pytest.approx(lines[-1]["distillation"] + lines[-1]["contrastive"], abs=1e-4)


@pytest.mark.usefixtures("unpublished")
def test_unusable_records_are_counted_and_reported(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "classes").symlink_to(folder / "classes")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = (folder / "pairs.csv").read_text().splitlines()[:9]
    rows += [
        "gone.png,a caption",
        "classes/red/0.png,",
        "broken.png,a caption",
        f"classes/blue/0.png,{'word ' * 10_000}",
    ]
    rows += ["classes/green/0.png,一张绿色圆盘的照片", "classes/blue/1.png,🔵 on grey 🙂"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    lines: list[dict[str, Any]] = []
    remarks: list[str] = []
    changes = {"batch_size": 12, "epochs": 2, "model": str(folder / "vit.json")}
    train(settings_for(tmp_path, tmp_path / "run", **changes), Recorder(lines, remarks))
    assert remarks == ["2 records cannot be used; the first is record 9: no such image: gone.png"]
    assert lines[-1]["bad"] == 2 + 2  # the broken image, once per epoch


@pytest.mark.usefixtures("unpublished")
def test_one_row_is_enough_for_a_run_but_no_row_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "classes").symlink_to(folder / "classes")
    lines: list[dict[str, Any]] = []
    cases = {
        "one": "image,caption\nclasses/red/0.png,a red disc\n",
        "none": "image,caption\n",
        "other": "photo,caption\nclasses/red/0.png,a red disc\n",
        "broken": "image,caption\nbroken.png,a red disc\n",
    }
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, text in cases.items():
        (tmp_path / f"{name}.csv").write_text(text)
    values = {"model": str(folder / "vit.json"), "batch_size": 4, "epochs": 1}
    train(settings_for(folder, tmp_path / "run", sources=(tmp_path / "one.csv",), **values), Recorder(lines))
    assert lines[-1]["loss"] == pytest.approx(math.log(4), abs=1e-3)  # four equal rows, probability 1/4 each
    for name, said in (
        ("none", "no usable .image, caption. pair"),
        ("other", "has no column image or filepath; its columns are: photo, caption"),
        ("broken", "every record of a batch was unusable"),
    ):
        with pytest.raises(SearcherError, match=said):
            sources = (tmp_path / f"{name}.csv",)
            train(settings_for(folder, tmp_path / name, sources=sources, **values))


@pytest.mark.usefixtures("unpublished")
def test_shards_and_files_can_be_mixed_in_a_run(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path, 2)
    lines: list[dict[str, Any]] = []
    sources = (tmp_path / "discs-{0..1}.tar", folder / "pairs.csv", folder / "classes")
    values = {"sources": sources, "weights": (1.0, 0.5, 0.5), "model": str(folder / "vit.json"), "epochs": 4}
    train(settings_for(folder, tmp_path / "run", **values), Recorder(lines))
    assert lines[-1]["step"] == 4 * (48 + 24 + 24) // 16


@pytest.mark.parametrize("name", ["resnet-64", "vit-64", "resnet18-64"])
def test_the_included_configs_are_small_models(name: str) -> None:
    model, tokenizer = checkpoint.create(model_config(name))
    assert sum(parameter.numel() for parameter in model.parameters()) < 25e6
    with torch.no_grad():
        image = model.eval().encode_image(torch.zeros(1, 3, 64, 64))
        assert image.shape == model.encode_text(tokenizer(["a photo"])).shape
