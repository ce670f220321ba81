"""Runs that go wrong: they stop with one line, and keep what can be continued."""

import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from searcher.datasets import read_source
from searcher.errors import Interrupted, InvalidInput, SearcherError
from searcher.trainer import checkpoint, loop
from searcher.trainer.loop import train
from searcher.trainer.shards import read_shards
from searcher.trainer.step import backward
from searcher.trainer.stop import StopRequest
from tests.trainer.conftest import Recorder, settings_for
from tests.trainer.test_shards import add


@pytest.fixture
def stepwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write metrics at every step."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)


class SendSignal(Recorder):
    """Sends a signal to this process at a step."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        super().__init__([])
        self.step, self.number = step, number

    def metrics(self, values: Mapping[str, Any]) -> None:
        super().metrics(values)
        if values["step"] == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.usefixtures("unpublished", "stepwise")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_its_state_and_ends_like_an_uninterrupted_one(
    number: signal.Signals, folder: Path, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"average": 0.9, "epochs": 2}
    whole = train(settings_for(folder, tmp_path / "whole", **values))
    out = tmp_path / "stopped"
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match=r"after step [34] of 6. Run the same command with --resume") as caught:
        train(settings_for(folder, out, **values), SendSignal(3, number))
    assert "\n" not in str(caught.value)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert not (out / "open_clip_model.safetensors").exists()
    lines: list[dict[str, Any]] = []
    train(settings_for(folder, out, resume=True, **values), Recorder(lines))
    assert [line["step"] for line in lines] == [5, 6]
    for name in ("open_clip_model.safetensors", "training.safetensors"):
        one, two = load_file(whole / name), load_file(out / name)
        assert one.keys() == two.keys()
        for key in one:
            torch.testing.assert_close(one[key], two[key], atol=1e-6, rtol=0)


@pytest.mark.usefixtures("unpublished", "stepwise")
def test_a_run_that_is_interrupted_at_its_last_step_is_finished_by_resume(folder: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"epochs": 1 / 3, "model": str(folder / "vit.json")}

    class Validating(Recorder):
        def metrics(self, values: Mapping[str, Any]) -> None:
            raise KeyboardInterrupt  # a second Ctrl-C

    with pytest.raises(Interrupted, match=r"before the first checkpoint. Run the same command again"):
        train(settings_for(folder, tmp_path / "run", **values), Validating([]))
    train(settings_for(folder, tmp_path / "run", **values))
    assert (tmp_path / "run" / "open_clip_model.safetensors").is_file()


@pytest.mark.usefixtures("unpublished")
def test_ctrl_c_during_the_export_says_how_to_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, Any] = {"epochs": 1 / 3, "model": str(folder / "vit.json")}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "publish", interrupted)
        with pytest.raises(Interrupted, match=r"Interrupted. Run the same command with --resume"):
            train(settings_for(folder, tmp_path / "run", **values))
    assert train(settings_for(folder, tmp_path / "run", resume=True, **values)) == tmp_path / "run"


def test_a_second_ctrl_c_stops_at_once_and_other_threads_are_left_alone() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        os.kill(os.getpid(), signal.SIGTERM)  # torchrun sends both
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as under nohup
    finally:
        signal.signal(signal.SIGINT, before)

    def elsewhere() -> None:
        with StopRequest() as stop:
            found.append(stop.asked)

    found: list[bool] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [False]


@pytest.mark.slow
def test_ctrl_c_with_loader_processes_and_two_processes_saves_one_state(folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder / "pairs.csv"), "--model", str(folder / "vit.json"), "--out", "run", "--epochs", "5000"]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "searcher", "train", *arguments, "--batch-size", "16", "--workers", "2",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"OMP_NUM_THREADS": "1"}
    with (tmp_path / "output").open("w") as output:
        run = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        metrics = tmp_path / "run" / "metrics.jsonl"
        for _ in range(1200):
            if run.poll() is not None or (metrics.is_file() and metrics.read_text()):
                break
            time.sleep(0.1)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does it
        run.wait(timeout=60)
    said = (tmp_path / "output").read_text()
    assert said.count("Run the same command with --resume") == 1, said[-2000:]
    assert "searcher/trainer" not in said  # no traceback of ours
    assert load_file(tmp_path / "run" / "training.safetensors")


@pytest.mark.usefixtures("unpublished", "stepwise")
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_state_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0)
    values: dict[str, Any] = {"model": str(folder / "vit.json"), "epochs": 2, "warmup": 0}
    out = tmp_path / "run"
    with pytest.raises(SearcherError, match=r"training failed at step \d: the loss is not .*Lower --lr") as caught:
        train(settings_for(folder, out, lr=1e30, **values))
    assert "\n" not in str(caught.value)
    assert not (out / "open_clip_model.safetensors").exists()

    out = tmp_path / "later"

    def spoilt(objective: Any, batch: Any, draw: Any) -> Any:
        terms = backward(objective, batch, draw)
        if draw[1] == 4:
            next(iter(objective.model.parameters())).grad.fill_(float("nan"))
        return terms

    with monkeypatch.context() as patch:
        patch.setattr(loop, "backward", spoilt)
        with pytest.raises(SearcherError, match=r"at step 4: .*Use --resume to continue from the last checkpoint"):
            train(settings_for(folder, out, **values))
    saved = load_file(out / "training.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in saved.values())
    assert not (out / "open_clip_model.safetensors").exists()
    progress = Recorder([])
    train(settings_for(folder, out, resume=True, **values | {"lr": 1e-4}), progress)
    assert [line["step"] for line in progress.lines] == [4, 5, 6]
    assert progress.notices == [
        "the run was started with --lr 0.003 and continues with 0.0001",
        "continuing after step 3 of 6",
    ]


@pytest.mark.usefixtures("unpublished")
def test_weights_that_are_not_finite_after_the_last_step_are_not_exported(folder: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"model": str(folder / "vit.json"), "epochs": 1 / 3, "warmup": 0, "lr": 1e39}
    with pytest.raises(SearcherError, match="training failed at step 1"):
        train(settings_for(folder, tmp_path / "run", **values))
    assert not (tmp_path / "run" / "training.safetensors").exists()
    assert not (tmp_path / "run" / "open_clip_model.safetensors").exists()


def test_a_state_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for text in ("[]", "{}", '{"step": "one"}', "[" * 100_000):
        save_file({"a": torch.zeros(1)}, tmp_path / "training.safetensors", {"searcher": text})
        with pytest.raises(InvalidInput, match="cannot resume from") as caught:
            train(settings_for(folder, tmp_path, resume=True))
        assert "\n" not in str(caught.value)


def test_records_of_a_shard_whose_files_are_apart_are_counted_and_named(folder: Path, tmp_path: Path) -> None:
    picture = (folder / "classes" / "red" / "0.png").read_bytes()
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for number in range(3):
            add(tar, f"{number}.png", picture)
        add(tar, "2.txt", b"together")
        for number in range(2):
            add(tar, f"{number}.txt", b"apart")
    shards = read_shards(tmp_path / "s.tar")
    assert shards.records == 1
    assert [line.split(": ")[1] for line in shards.bad] == ["0", "1"]
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for suffix in ("png", "txt"):
            for number in range(3):
                add(tar, f"{number}.{suffix}", picture if suffix == "png" else b"a disc")
    with pytest.raises(InvalidInput, match="not next to each other in the tar file; write it sorted by name") as caught:
        read_shards(tmp_path / "t.tar")
    assert "\n" not in str(caught.value)


def test_remarks_on_the_data_are_notices(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "classes").symlink_to(folder / "classes")
    (tmp_path / "pairs.csv").write_bytes("image,caption\nclasses/red/0.png,eine Tür\n".encode("cp1252"))
    progress = Recorder([])
    monkeypatch.setattr(checkpoint, "create", lambda config: (_ for _ in ()).throw(InvalidInput("enough")))
    with pytest.raises(InvalidInput, match="enough"):
        train(settings_for(tmp_path, tmp_path / "run", model=str(folder / "vit.json")), progress)
    assert progress.notices == read_source(tmp_path / "pairs.csv").remarks
    assert "Windows-1252" in progress.notices[0]


@pytest.mark.usefixtures("unpublished")
def test_labels_that_are_lists_do_not_end_the_training(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "classes").symlink_to(folder / "classes")
    rows = [{"image": f"classes/red/{n}.png", "caption": f"number {n}", "label": ["a", "b"]} for n in range(4)]
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    progress = Recorder([])
    values: dict[str, Any] = {"sources": (tmp_path / "x.jsonl",), "batch_size": 2, "epochs": 1}
    train(settings_for(folder, tmp_path / "run", **values), progress)
    assert "its label is not text" in progress.notices[0]


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_keeps_the_older_one(tmp_path: Path) -> None:
    file = tmp_path / "training.safetensors"
    checkpoint.save_tensors({"a": torch.ones(3)}, file, {})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # in place of a full disk
    try:
        with pytest.raises(SearcherError, match=r"^cannot write .*training.safetensors: File too large"):
            checkpoint.save_tensors({"a": torch.ones(30_000)}, file, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [file]
    assert load_file(file)["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "name", ["README.md", "visual/notes.md", "config.json", "open_clip_config.json", "open_clip_model.safetensors"]
)
def test_files_that_are_not_from_a_run_are_not_replaced(name: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    first = name.partition("/")[0]
    with pytest.raises(InvalidInput, match=rf"{first} already exists and would be replaced: choose another --out"):
        train(settings_for(folder, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [first]
    assert path.read_text() == "mine"
