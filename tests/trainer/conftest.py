"""Training images (discs of four colours), and model configs that train in seconds."""

import importlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image, ImageDraw

from searcher.progress import Progress
from searcher.trainer import features, loop
from searcher.trainer.loop import Settings

COLOURS = ("red", "green", "blue", "yellow")
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
CONFIGS: dict[str, dict[str, Any]] = {
    "tiny": {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32, "head_width": 16},
    "vit": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 32},
    "timm": {
        "timm_model_name": "resnet10t", "timm_model_pretrained": False, "timm_pool": "avg", "timm_proj": "linear",
        "image_size": 32,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs in class folders, a CSV of them, and the configs `tiny.json` (a ResNet), `vit.json` and `timm.json`."""
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
    for name, vision in CONFIGS.items():
        (root / f"{name}.json").write_text(json.dumps({"embed_dim": 32, "vision_cfg": vision, "text_cfg": TEXT}))
    return root


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small BERT of random weights, as Hugging Face stores it."""
    transformers: Any = importlib.import_module("transformers")
    folder = tmp_path_factory.mktemp("bert")
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    words += [f"{a}{b}{c}" for a in letters for b in letters for c in letters[:2]]  # more than 1,000: a table
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    shape = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=40, **shape)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_vocabulary() -> Iterator[None]:
    """Read the vocabulary of open_clip once for all models. Reading it takes longer than creating a small model."""
    read = SimpleTokenizer.__init__

    @cache
    def first(**options: Any) -> SimpleTokenizer:
        tokenizer = SimpleTokenizer.__new__(SimpleTokenizer)
        read(tokenizer, **options)
        return tokenizer

    def copied(self: SimpleTokenizer, **options: Any) -> None:
        vars(self).update(vars(first(**options)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimpleTokenizer, "__init__", copied)
        yield


class Recorder(Progress):
    """Collects the lines of a run, and its notices."""

    def __init__(self, lines: list[dict[str, Any]], notices: list[str] | None = None) -> None:
        self.lines = lines
        self.notices: list[str] = [] if notices is None else notices

    def metrics(self, values: Mapping[str, Any]) -> None:
        self.lines.append(dict(values))

    def notice(self, message: str) -> None:
        self.notices.append(message)


def settings_for(folder: Path, out: Path, **changes: Any) -> Settings:
    """Settings for a run of 12 steps over the discs. `changes` replaces any of them."""
    values: dict[str, Any] = {"epochs": 4, "batch_size": 16, "lr": 3e-3, "workers": 0} | changes
    values = {"sources": (folder / "pairs.csv",), "model": str(folder / "tiny.json")} | values
    return Settings(out=out, **values)


@pytest.fixture(autouse=True)
def feature_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for the features of locked trunks."""
    folder = tmp_path / "cache" / "features"
    monkeypatch.setattr(features, "cache_folder", lambda: folder)
    return folder


@pytest.fixture
def unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the export and the curves: they have their own tests and take longer than these runs."""
    skip_results(monkeypatch)


def skip_results(patch: pytest.MonkeyPatch) -> None:
    for name in ("publish", "draw_curves"):
        patch.setattr(loop, name, lambda *arguments: None)
