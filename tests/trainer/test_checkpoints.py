"""Broken checkpoint folders: each gives a one-line error."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from searcher.errors import SearcherError
from searcher.trainer.export import export_checkpoint, export_pretrained, open_checkpoint
from tests.models.towers import VIT, small_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint folder with a config but no weights."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": VIT, "preprocess_cfg": {}}))
    return folder


class Payload:
    """An object that creates a file when its pickle is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.target,))


def unknown_tower(folder: Path) -> None:
    config = {"embed_dim": 8, "vision_cfg": {"timm_model_name": "no_such_tower"}, "text_cfg": VIT["text_cfg"]}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    (folder / "open_clip_model.safetensors").write_bytes(b"\0" * 100)


def other_shapes(folder: Path) -> None:
    torch.save({"visual.proj": torch.zeros(3, 3)}, folder / "open_clip_pytorch_model.bin")


def other_config(folder: Path, text: str) -> None:
    (folder / "open_clip_config.json").write_text(text)
    other_shapes(folder)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "open_clip_config.json").unlink(), "open_clip_config.json is missing"),
    "no weights": (lambda f: None, "contains no weights"),
    "config is not JSON": (
        lambda f: other_config(f, "{"),
        "cannot be read as an open_clip config",
    ),
    "config of something else": (
        lambda f: other_config(f, '{"model_type": "bert"}'),
        "cannot be read as an open_clip config",
    ),
    "unknown architecture": (unknown_tower, "open_clip cannot load"),
    "weights of another model": (other_shapes, "open_clip cannot load"),
    "weights truncated": (
        lambda f: (f / "open_clip_model.safetensors").write_bytes(b"\0" * 100),
        "open_clip cannot load",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_checkpoint_gives_a_one_line_error(kind: str, checkpoint: Path, tmp_path: Path) -> None:
    break_it, message = BROKEN[kind]
    break_it(checkpoint)
    with pytest.raises(SearcherError) as caught:
        export_checkpoint(checkpoint, tmp_path / "out", name="mine")
    assert message in str(caught.value)
    assert str(checkpoint) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_refused_and_not_run(checkpoint: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": Payload(tmp_path / "owned")}, checkpoint / "open_clip_pytorch_model.bin")
    with pytest.raises(SearcherError, match="open_clip cannot load"):
        export_checkpoint(checkpoint, tmp_path / "out", name="mine")
    assert not (tmp_path / "owned").exists()
    with (tmp_path / "plain.pkl").open("wb") as file:  # the payload works if it is loaded without protection
        pickle.dump(Payload(tmp_path / "owned"), file)
    pickle.loads((tmp_path / "plain.pkl").read_bytes())
    assert (tmp_path / "owned").exists()


def test_weights_in_a_pt_file_without_objects_are_read(checkpoint: Path) -> None:
    expected = small_model(VIT).state_dict()
    torch.save(expected, checkpoint / "open_clip_pytorch_model.bin")
    found = open_checkpoint(checkpoint)[0].state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_an_unknown_tag_gives_an_error_that_lists_the_known_tags(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match=r"no weights 'nothing' for RN50 \(available: .*openai"):
        export_pretrained("RN50", "nothing", tmp_path, name="mine")
