"""A small run of the trainer from files to a model folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from searcher.commands import main
from searcher.errors import SearcherError
from searcher.models import Model
from searcher.trainer import loop
from searcher.trainer.loop import Settings, learning_rate, train

COLOURS = ("red", "green", "blue", "yellow")
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32, "head_width": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs of four colours in class folders, a CSV of them, and a small model config."""
    root = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for colour in COLOURS:
        (root / "classes" / colour).mkdir(parents=True)
        for i in range(12):
            image = Image.new("RGB", (40, 40), (int(rng.integers(90, 160)),) * 3)
            x, y = rng.integers(2, 18, 2)
            ImageDraw.Draw(image).ellipse((x, y, x + 20, y + 20), fill=colour)
            image.save(root / "classes" / colour / f"{i}.png")
            rows.append(f"classes/{colour}/{i}.png,a {colour} disc")
    (root / "pairs.csv").write_text("\n".join(rows) + "\n")
    (root / "tiny.json").write_text(json.dumps(TINY))
    return root


def settings_for(folder: Path, out: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {"epochs": 4, "batch_size": 16, "lr": 3e-3, "workers": 0} | changes
    return Settings(sources=(folder / "pairs.csv",), out=out, model=str(folder / "tiny.json"), **values)


@pytest.mark.slow
def test_a_run_leaves_a_checkpoint_for_open_clip_and_the_same_model_for_search(folder: Path, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    out = train(settings_for(folder, tmp_path / "run", epochs=20, val=folder / "classes"), lines.append)
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
    # open_clip resizes tensors or pictures by its own transform: see the test of preprocessing for the pixels' 1/255
    assert (ours.encode_images(paths) * image).sum(1).min() > 0.999


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_same_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    whole = train(settings_for(folder, tmp_path / "whole"), lambda line: None)

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 6:
            raise KeyboardInterrupt  # after the step, before its checkpoint: step 6 is done again

    with pytest.raises(KeyboardInterrupt):
        train(settings_for(folder, tmp_path / "stopped"), stop)
    stopped = train(settings_for(folder, tmp_path / "stopped", resume=True, workers=2), lambda line: None)
    one, two = (load_file(run / "open_clip_model.safetensors") for run in (whole, stopped))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=0)
    steps = [json.loads(line)["step"] for line in (stopped / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))


def test_a_frozen_tower_does_not_change_and_sentences_teach_the_other(folder: Path, tmp_path: Path) -> None:
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("".join(f"a {colour} disc\n" for colour in COLOURS) * 8)
    teacher = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float16)
    np.save(tmp_path / "sentences.npy", np.tile(teacher[:4], (8, 1)))
    lines: list[dict[str, Any]] = []
    run = train(
        Settings(
            sources=(sentences,), out=tmp_path / "text", model=str(folder / "tiny.json"), freeze="image",
            epochs=60, batch_size=16, lr=5e-3, workers=0,
        ),
        lines.append,
    )  # fmt: skip
    assert lines[-1]["loss"] < 0.1
    before = load_file(run / "open_clip_model.safetensors")
    second = train(settings_for(folder, tmp_path / "image", init=run, freeze="text", epochs=1), lambda line: None)
    after = load_file(second / "open_clip_model.safetensors")
    for name, tensor in before.items():
        changed = not torch.equal(tensor, after[name])
        assert changed == (name.startswith("visual.") or name == "logit_scale"), name


def test_a_second_run_does_not_overwrite_the_first(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "training.safetensors").touch()
    with pytest.raises(SearcherError, match="--resume"):
        train(settings_for(folder, tmp_path), lambda line: None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "no such file or folder"),
        (["pairs.csv", "--weights", "1,2"], "2 weights for 1 sources"),
        (["pairs.csv", "--model", "no-such-model"], "no model config 'no-such-model'"),
        (["pairs.csv", "--init", "nowhere"], "no checkpoint at nowhere"),
        (["tiny.json"], "not a .csv, .tsv, .jsonl file or a folder"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_no_model(
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


def test_the_learning_rate_warms_up_and_falls_to_nought() -> None:
    rates = [learning_rate(step, 100, 1.0, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[100] == pytest.approx(0)
