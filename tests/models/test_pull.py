"""Run `searcher models pull` like a user, against a server that speaks the hub's protocol."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
from safetensors.torch import save_file

from searcher.models import Model
from tests.models.fake_hub import COMMIT, FakeHub
from tests.models.towers import VIT, small_model, torch_texts

REPO = "immich-app/ViT-S-64__openai"
Pull = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub(small_folder: Path, tmp_path: Path) -> FakeHub:
    """A repository in the layout that Immich publishes. It also has files that searcher does not need."""
    folder = Path(shutil.copytree(small_folder, tmp_path / "published"))
    (folder / "searcher.json").unlink()
    (folder / "README.md").write_text("# A card\n")
    (folder / "visual/fp16").mkdir()
    (folder / "visual/fp16/model.onnx").write_bytes(b"x" * 200_000)
    (folder / "visual/model.armnn").write_bytes(b"x" * 200_000)
    return FakeHub(REPO, folder)


@pytest.fixture
def pull(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pull]:
    """Run `searcher models …` in its own process while the server is running."""
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))
    with hub.running() as endpoint:

        def run(*arguments: str, at: str = endpoint, **environment: str) -> subprocess.CompletedProcess[str]:
            env = os.environ | {
                "HF_ENDPOINT": at,
                "HF_HOME": str(tmp_path / "hf"),
                "HF_HUB_DISABLE_TELEMETRY": "1",
            }
            command = [sys.executable, "-m", "searcher", "models", *(arguments or ("pull", REPO))]
            return subprocess.run(command, env=env | environment, capture_output=True, text=True, timeout=120)

        yield run


def refused(process: subprocess.CompletedProcess[str]) -> str:
    """Return the error line. stdout must be empty, and stderr must have one error line and no traceback."""
    assert process.returncode == 1, process.stderr
    assert process.stdout == ""
    lines = [line for line in process.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert "Traceback" not in process.stderr
    return lines[0]


def test_a_pulled_model_equals_the_one_on_the_hub_and_works_offline(
    hub: FakeHub, pull: Pull, small_folder: Path
) -> None:
    process = pull("pull", REPO, "--json")
    assert process.returncode == 0, process.stderr
    facts = json.loads(process.stdout)
    assert facts["name"] == "ViT-S-64__openai"
    assert facts["source"] == f"hub:{REPO}@{COMMIT}"
    assert facts["precision"] == "int8"
    assert not any("fp16" in name or "armnn" in name for name in hub.sent)
    model = Model.open("ViT-S-64__openai", precision="float32")
    assert model.digest == Model.open(small_folder).digest
    np.testing.assert_array_equal(model.encode_texts(["a dog"]), Model.open(small_folder).encode_texts(["a dog"]))
    listed = pull("info", "ViT-S-64__openai", "--verify", at="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert "all match the recorded digests" in listed.stdout
    assert "# A card" in listed.stdout
    assert sorted(path.name for path in model.folder.parent.iterdir()) == ["ViT-S-64__openai"]


def test_pulling_again_downloads_nothing(hub: FakeHub, pull: Pull) -> None:
    assert pull().returncode == 0
    before = dict(hub.sent)
    again = pull()
    assert again.returncode == 0
    assert "already on this machine" in again.stderr
    assert hub.sent == before


@pytest.mark.slow
@pytest.mark.parametrize("same_process", [True, False], ids=["same run", "later run"])
def test_an_interrupted_download_resumes_where_it_stopped(
    same_process: bool, hub: FakeHub, pull: Pull, tmp_path: Path
) -> None:
    weights = np.random.default_rng(0).bytes(25_000_000)  # this file stands for external weights
    (hub.folder / "textual/weights.bin").write_bytes(weights)
    hub.cut_after = 12_000_000  # huggingface-hub writes in chunks of 10 MiB
    hub.dies_when_cut = not same_process
    if not same_process:
        assert "run the command again to resume" in refused(pull())
        assert not (tmp_path / "store/ViT-S-64__openai").exists()
        hub.dead, hub.cut_after = False, None
    assert pull().returncode == 0
    assert hub.ranges[0] == f"bytes={10 * 2**20}-"
    assert hub.sent["textual/weights.bin"] < len(weights) + 5_000_000
    kept = Model.open("ViT-S-64__openai").folder
    assert (kept / "textual/weights.bin").read_bytes() == weights
    assert [path.name for path in kept.parent.iterdir()] == ["ViT-S-64__openai"]


@pytest.mark.parametrize("name", ["visual/model.onnx", "textual/tokenizer_config.json"])
def test_a_file_with_a_wrong_digest_is_rejected_and_downloaded_again(
    name: str, hub: FakeHub, pull: Pull, tmp_path: Path
) -> None:
    hub.damaged = {name}
    line = refused(pull())
    assert name in line
    assert "digest" in line
    assert not (tmp_path / "store" / "ViT-S-64__openai").exists()
    hub.damaged = set()
    assert pull().returncode == 0


def test_a_digest_that_is_none_does_not_become_a_path(hub: FakeHub, pull: Pull, tmp_path: Path) -> None:
    hub.blobs = {"config.json": "../../../escaped/"}
    assert "reports no digest of config.json" in refused(pull())
    assert not [*tmp_path.rglob("*escaped*")]


def test_the_error_for_an_unreachable_hub_is_one_line(pull: Pull) -> None:
    line = refused(pull("pull", REPO, at="http://127.0.0.1:9"))
    assert "cannot reach http://127.0.0.1:9" in line
    assert "network" in line


def test_a_missing_or_unusable_repository_is_an_error(hub: FakeHub, pull: Pull) -> None:
    assert "no model repository immich-app/nothing" in refused(pull("pull", "immich-app/nothing"))
    assert "is not the name of a hub repository" in refused(pull("pull", "a/b/c"))
    (hub.folder / "textual/tokenizer.json").unlink()
    assert "textual/tokenizer.json is missing" in refused(pull())


@pytest.mark.slow
def test_an_architecture_with_missing_or_unknown_weights_is_an_error(pull: Pull) -> None:
    assert pull("pull", "ViT-B-32").returncode == 2
    assert "has no weights 'nothing'" in refused(pull("pull", "ViT-B-32/nothing"))


def test_available_models_are_listed_without_network_access(pull: Pull, hub: FakeHub) -> None:
    process = pull("list", "--available", "--json", at="http://127.0.0.1:9")
    rows = json.loads(process.stdout)
    row = next(row for row in rows if row["name"] == "ViT-B-32/openai")
    assert row["hub"] == "immich-app/ViT-B-32__openai"
    assert (row["dim"], row["image_size"], row["languages"]) == (512, 224, ["en"])
    assert row["imagenet"] == pytest.approx(0.633, abs=0.001)
    assert any(row["languages"] is None for row in rows)
    assert rows == sorted(rows, key=lambda row: (row["millions"] is None, row["millions"], row["name"]))
    assert any(row["hub"] is None for row in rows)
    assert hub.requests == 0
    table = pull("list", "--available").stdout
    assert table.index("Without PyTorch") < table.index("immich-app/ViT-B-32__openai") < table.index("train extra")


@pytest.mark.slow
def test_a_repository_with_an_open_clip_checkpoint_is_exported(tmp_path: Path, pull: Pull, hub: FakeHub) -> None:
    shutil.rmtree(hub.folder)
    hub.folder.mkdir()
    config = {"model_cfg": VIT, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}
    (hub.folder / "open_clip_config.json").write_text(json.dumps(config))
    original = small_model(VIT)
    save_file(original.state_dict(), hub.folder / "open_clip_model.safetensors")
    (hub.folder / "open_clip_pytorch_model.bin").write_bytes(b"the same again")
    process = pull("pull", REPO, "--precision", "float32", "--json")
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["source"] == f"hub:{REPO}@{COMMIT}"
    assert "open_clip_pytorch_model.bin" not in hub.sent
    model = Model.open("ViT-S-64__openai")
    assert model.preprocessing.mean == (0.5, 0.5, 0.5)
    tokenizer = open_clip.SimpleTokenizer(context_length=32)
    expected = torch_texts(original, tokenizer, ["a dog", "two cats"])
    np.testing.assert_allclose(model.encode_texts(["a dog", "two cats"]), expected, atol=1e-4)
