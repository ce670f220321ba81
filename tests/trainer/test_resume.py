"""A run that was killed and resumed ends like a run that was not."""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from searcher.errors import SearcherError
from searcher.trainer import loop
from searcher.trainer.loop import Settings, train
from tests.trainer.conftest import settings_for, skip_results
from tests.trainer.processes import start
from tests.trainer.test_shards import write_shards

EPOCHS = 5  # of 3 steps


def step_by_step(patch: pytest.MonkeyPatch) -> None:
    """Write metrics and a checkpoint at every step."""
    patch.setattr(loop, "SAVE_EVERY", 0)
    patch.setattr(loop, "LOG_EVERY", 1)


@pytest.fixture
def stepwise(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write metrics and a checkpoint at every step, and use one thread, so that sums are the same in all processes."""
    step_by_step(monkeypatch)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run_in_a_process(settings: Settings) -> None:
    """The same run in a process of its own, which ends with it."""
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    skip_results(patch)
    step_by_step(patch)
    train(settings)


def kill_a_run(settings: Settings) -> int:
    """Start a run and kill it with SIGKILL at a random time after its first steps. Returns the steps it reported."""
    run = start(run_in_a_process, settings)
    metrics, wanted = settings.out / "metrics.jsonl", random.randint(2, 6)
    try:
        while len(steps_of(metrics)) < wanted:
            assert run.is_alive(), "the run ended before it could be killed"
            time.sleep(0.005)
        time.sleep(random.random() * 0.05)
    finally:
        assert run.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.join()
    return len(steps_of(metrics))


def steps_of(metrics: Path) -> list[str]:
    return metrics.read_text().splitlines() if metrics.exists() else []


def assert_same_end(whole: Path, other: Path) -> None:
    """Assert that the results and the states (with the average and the optimizer's moments) are equal to 1e-6."""
    for name in ("open_clip_model.safetensors", "training.safetensors"):
        one, two = load_file(whole / name), load_file(other / name)
        assert one.keys() == two.keys()
        for key in one:
            torch.testing.assert_close(one[key], two[key], atol=1e-6, rtol=0)
    steps = [[json.loads(line)["step"] for line in steps_of(run / "metrics.jsonl")] for run in (whole, other)]
    assert steps[0] == steps[1]


@pytest.mark.slow
@pytest.mark.usefixtures("unpublished", "stepwise")
def test_a_killed_run_ends_with_the_same_weights_with_and_without_workers(folder: Path, tmp_path: Path) -> None:
    values = {"epochs": EPOCHS, "average": 0.9}
    whole = train(settings_for(folder, tmp_path / "whole", **values))
    for workers in (0, 2):
        out = tmp_path / f"killed {workers}"
        assert kill_a_run(settings_for(folder, out, workers=workers, **values)) < 3 * EPOCHS
        train(settings_for(folder, out, workers=workers, resume=True, **values))
        assert_same_end(whole, out)


@pytest.mark.slow
@pytest.mark.usefixtures("unpublished", "stepwise")
def test_a_killed_run_on_shards_resumes_at_the_same_position(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path, shards=4)
    shards = tmp_path / "discs-{0..3}.tar"
    values: dict[str, Any] = {"sources": (shards,), "epochs": EPOCHS, "average": 0.9, "workers": 2}
    whole = train(settings_for(folder, tmp_path / "whole", **values))
    out = tmp_path / "killed"
    kill_a_run(settings_for(folder, out, **values))
    train(settings_for(folder, out, resume=True, **values))
    assert_same_end(whole, out)


@pytest.mark.usefixtures("unpublished", "stepwise")
def test_a_run_is_resumed_only_with_the_same_settings_and_data(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("\n".join((folder / "pairs.csv").read_text().splitlines()[:17]))
    (tmp_path / "classes").symlink_to(folder / "classes")
    values: dict[str, Any] = {"sources": (tmp_path / "few.csv",), "epochs": 1}
    out = train(settings_for(folder, tmp_path / "run", **values))
    with pytest.raises(SearcherError, match="use --resume to continue it"):
        train(settings_for(folder, out, **values))
    with pytest.raises(SearcherError, match=r"cannot resume: the run was started with --weight-decay 0.05, not 0.1"):
        train(settings_for(folder, out, resume=True, **values | {"weight_decay": 0.1}))
    with pytest.raises(SearcherError, match="cannot resume: the data now gives 3 steps, not 1"):
        changed = values | {"sources": (folder / "pairs.csv",)}
        train(settings_for(folder, out, resume=True, **changed))
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')  # cut short by a kill
    train(settings_for(folder, out, resume=True, **values))
    assert [json.loads(line)["step"] for line in steps_of(out / "metrics.jsonl")] == [1]
    (out / "training.safetensors").write_bytes(b"\0" * 50)
    with pytest.raises(SearcherError, match="cannot resume from"):
        train(settings_for(folder, out, resume=True, **values))
