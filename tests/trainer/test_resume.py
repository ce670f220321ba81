"""A run that was killed and resumed ends like a run that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from searcher.errors import SearcherError
from searcher.trainer import loop
from searcher.trainer.loop import train
from tests.trainer.conftest import settings_for
from tests.trainer.test_shards import write_shards

EPOCHS = 8  # of 3 steps
# The same run in a separate process, with metrics and a checkpoint at every step, and no export.
PROGRAM = """
import sys, torch
from pathlib import Path
from searcher.trainer import loop
torch.set_num_threads(1)
loop.LOG_EVERY, loop.SAVE_EVERY = 1, 0
loop.publish = lambda *arguments: None
source, out, model, workers = sys.argv[1:]
settings = loop.Settings(
    sources=(Path(source),), out=Path(out), model=model, workers=int(workers), epochs=8, batch_size=16, lr=3e-3,
    average=0.9,
)
loop.train(settings)
"""


@pytest.fixture
def stepwise(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write metrics and a checkpoint at every step, and use one thread, as in PROGRAM."""
    monkeypatch.setattr(loop, "SAVE_EVERY", 0)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def kill_a_run(source: Path, out: Path, model: Path, workers: int) -> int:
    """Start a run and kill it with SIGKILL at a random time after its first steps. Returns the steps it reported."""
    command = [sys.executable, "-c", PROGRAM, str(source), str(out), str(model), str(workers)]
    root = Path(__file__).parents[2]
    run = subprocess.Popen(command, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True)
    metrics, wanted = out / "metrics.jsonl", random.randint(2, 15)
    try:
        while len(steps_of(metrics)) < wanted:
            assert run.poll() is None, "the run ended before it could be killed"
            time.sleep(0.005)
        time.sleep(random.random() * 0.1)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
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
def test_a_killed_run_ends_with_the_same_weights_for_any_number_of_workers(folder: Path, tmp_path: Path) -> None:
    values = {"epochs": EPOCHS, "average": 0.9}
    whole = train(settings_for(folder, tmp_path / "whole", **values))
    for workers in (0, 1, 2):
        out = tmp_path / f"killed {workers}"
        assert kill_a_run(folder / "pairs.csv", out, folder / "tiny.json", workers) < 3 * EPOCHS
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
    kill_a_run(shards, out, folder / "tiny.json", 2)
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
