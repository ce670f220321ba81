"""Configs of checkpoints are untrusted: nothing of them but plain settings reaches open_clip, and no code runs."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from searcher.errors import InvalidInput, SearcherError
from searcher.models.hub import LAYOUT, Repository
from searcher.trainer.checkpoint import config_of_checkpoint, create
from searcher.trainer.config import model_config
from searcher.trainer.export import export_checkpoint
from searcher.trainer.loop import train
from tests.models.towers import VIT
from tests.trainer.conftest import settings_for

Change = Callable[[dict[str, Any]], object]
NESTED: list[Any] = []
for _ in range(50):
    NESTED = [NESTED]

REFUSED: dict[str, tuple[Change, str]] = {
    "code for the tokenizer": (
        lambda c: c["text_cfg"].update(hf_tokenizer_name="a/b", tokenizer_kwargs={"trust_remote_code": True}),
        r"text_cfg.tokenizer_kwargs.trust_remote_code is refused",
    ),
    "another file for the tokenizer": (
        lambda c: c["text_cfg"].update(tokenizer_kwargs={"gguf_file": "x"}),
        r"text_cfg.tokenizer_kwargs.gguf_file is refused",
    ),
    "an address as a tower": (lambda c: c["vision_cfg"].update(timm_model_name="hf-hub:a/b"), "is refused: 'hf-hub:a/"),
    "a path as a tower": (lambda c: c["vision_cfg"].update(timm_model_name="local-dir:/etc"), "is refused"),
    "an address as a text tower": (lambda c: c["text_cfg"].update(hf_model_name="https://x/y"), "is refused"),
    "a list as a text tower": (lambda c: c["text_cfg"].update(hf_model_name=["a"]), "is refused"),
    "an unknown setting": (lambda c: c.update(checkpoint_path="x"), "checkpoint_path is refused"),
    "an unknown setting of a tower": (lambda c: c["text_cfg"].update(code="x"), "text_cfg.code is refused"),
    "deep nesting": (lambda c: c["text_cfg"].update(width=NESTED), "text_cfg.width is refused"),
    "an object as a number": (lambda c: c["vision_cfg"].update(layers={"a": 1}), "vision_cfg.layers is refused"),
    "a list as a tower": (lambda c: c.update(vision_cfg=[1]), "vision_cfg is not an object"),
    "a text as a dimension": (lambda c: c.update(embed_dim="64"), "embed_dim is not a positive whole number"),
    "no text tower": (lambda c: c.pop("text_cfg"), "needs embed_dim, vision_cfg and text_cfg"),
    "wrong types": (lambda c: c["text_cfg"].update(width="wide"), "open_clip cannot"),
}


def checkpoint_of(config: Any, folder: Path, preprocess: Any = None) -> Path:
    folder.mkdir()
    document = {"model_cfg": config, "preprocess_cfg": preprocess or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    save_file({"visual.proj": torch.zeros(3, 3)}, folder / "open_clip_model.safetensors")
    return folder


@pytest.mark.parametrize("kind", REFUSED)
def test_an_unsafe_config_gives_one_line_however_it_is_opened(kind: str, folder: Path, tmp_path: Path) -> None:
    change, message = REFUSED[kind]
    config = copy.deepcopy(VIT)
    change(config)
    checkpoint = checkpoint_of(config, tmp_path / "checkpoint")
    (tmp_path / "own.json").write_text(json.dumps(config))
    ways: list[Callable[[], object]] = [
        lambda: export_checkpoint(checkpoint, tmp_path / "out", name="mine"),
        lambda: train(settings_for(folder, tmp_path / "out", init=checkpoint, model=None)),
        lambda: train(settings_for(folder, tmp_path / "out", model=str(tmp_path / "own.json"))),
    ]
    for way in ways:
        with pytest.raises(SearcherError, match=message) as caught:
            way()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


def test_a_file_that_is_nested_too_deeply_gives_one_line(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(VIT, tmp_path / "checkpoint")
    deep = '{"model_cfg": ' + "[" * 200_000
    (checkpoint / "open_clip_config.json").write_text(deep)
    (tmp_path / "deep.json").write_text(deep)
    ways: list[Callable[[], object]] = [
        lambda: config_of_checkpoint(checkpoint),
        lambda: model_config(str(tmp_path / "deep.json")),
    ]
    for way in ways:
        with pytest.raises(InvalidInput, match="nested too deeply") as caught:
            way()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("preprocess", [{"mean": "x"}, {"size": []}, {"size": [1, 2, 3]}, {"std": [0, 0, 0]}, [1], 7])
def test_a_wrong_preprocessing_gives_one_line(tmp_path: Path, preprocess: Any) -> None:
    with pytest.raises(InvalidInput, match="preprocess_cfg"):
        config_of_checkpoint(checkpoint_of(VIT, tmp_path / "checkpoint", preprocess))


@pytest.mark.parametrize("way", ["tokenizer", "text tower"])
def test_python_files_of_a_checkpoint_are_not_run(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # nor is the user asked whether to run them
    config = copy.deepcopy(VIT)
    folder = tmp_path / "checkpoint"
    config["text_cfg"]["hf_tokenizer_name"] = str(folder)
    if way == "text tower":
        config["text_cfg"] = {"hf_model_name": str(folder), "context_length": 12}
    checkpoint_of(config, folder)
    code = f"import pathlib\npathlib.Path({str(tmp_path / 'owned')!r}).touch()\nclass Own: pass\n"
    (folder / "own.py").write_text(code)
    own = {"AutoConfig": "own.Own", "AutoModel": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Own", "auto_map": own}))
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": own}))
    with pytest.raises(SearcherError, match=r"custom code|execute code|trust_remote_code") as caught:
        create(config)
    assert "\n" not in str(caught.value)
    with pytest.raises(SearcherError, match="open_clip cannot load"):
        export_checkpoint(folder, tmp_path / "out", name="mine")
    assert not (tmp_path / "owned").exists()


def test_python_files_are_not_downloaded() -> None:
    repository = Repository.__new__(Repository)
    repository.repo, repository.commit = "a/b", "0"
    names = ["open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    repository.files = dict.fromkeys([*names, "tokenizer_own.py", "tokenizer.pkl", "own.py"])
    assert sorted(repository.wanted()) == names
    repository.files = dict.fromkeys([*LAYOUT, "visual/own.py", "textual/tokenizer_own.py"])
    assert sorted(repository.wanted()) == sorted(LAYOUT)


def test_all_configs_of_open_clip_and_our_own_are_accepted() -> None:
    configs = sorted((Path(open_clip.__file__).parent / "model_configs").glob("*.json"))
    assert len(configs) > 100
    for path in configs:
        model_config(str(path))
    for name in ("resnet-64", "vit-64", "resnet18-64"):
        model_config(name)
