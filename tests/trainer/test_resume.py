"""A run that was killed goes on as if it had not been."""

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
# The same run in a process of its own: metrics and a checkpoint at every step, no export.
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
loop.train(settings, lambda line: None)
"""


@pytest.fixture
def stepwise(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Metrics and a checkpoint at every step, on one thread, as in PROGRAM."""
    monkeypatch.setattr(loop, "SAVE_EVERY", 0)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def kill_a_run(source: Path, out: Path, model: Path, workers: int) -> int:
    """Start a run, kill it with SIGKILL at a random moment after its first steps; the steps that it has reported."""
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
    """The result and the whole state, the average and the optimizer's moments among it, to 1e-6."""
    for name in ("open_clip_model.safetensors", "training.safetensors"):
        one, two = load_file(whole / name), load_file(other / name)
        assert one.keys() == two.keys()
        for key in one:
            torch.testing.assert_close(one[key], two[key], atol=1e-6, rtol=0)
    steps = [[json.loads(line)["step"] for line in steps_of(run / "metrics.jsonl")] for run in (whole, other)]
    assert steps[0] == steps[1]


@pytest.mark.slow
@pytest.mark.usefixtures("unpublished", "stepwise")
def test_a_run_killed_at_a_random_step_ends_with_the_same_weights_with_any_number_of_workers(
    folder: Path, tmp_path: Path
) -> None:
    values = {"epochs": EPOCHS, "average": 0.9}
    whole = train(settings_for(folder, tmp_path / "whole", **values), lambda line: None)
    for workers in (0, 1, 2):
        out = tmp_path / f"killed {workers}"
        assert kill_a_run(folder / "pairs.csv", out, folder / "tiny.json", workers) < 3 * EPOCHS
        train(settings_for(folder, out, workers=workers, resume=True, **values), lambda line: None)
        assert_same_end(whole, out)


@pytest.mark.slow
@pytest.mark.usefixtures("unpublished", "stepwise")
def test_shards_are_replayed_to_their_position(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path, shards=4)
    shards = tmp_path / "discs-{0..3}.tar"
    values: dict[str, Any] = {"sources": (shards,), "epochs": EPOCHS, "average": 0.9, "workers": 2}
    whole = train(settings_for(folder, tmp_path / "whole", **values), lambda line: None)
    out = tmp_path / "killed"
    kill_a_run(shards, out, folder / "tiny.json", 2)
    train(settings_for(folder, out, resume=True, **values), lambda line: None)
    assert_same_end(whole, out)


@pytest.mark.usefixtures("unpublished", "stepwise")
def test_a_run_is_continued_only_as_it_began(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("\n".join((folder / "pairs.csv").read_text().splitlines()[:17]))
    (tmp_path / "classes").symlink_to(folder / "classes")
    values: dict[str, Any] = {"sources": (tmp_path / "few.csv",), "epochs": 1}
    out = train(settings_for(folder, tmp_path / "run", **values), lambda line: None)
    with pytest.raises(SearcherError, match="--resume continues it"):
        train(settings_for(folder, out, **values), lambda line: None)
    with pytest.raises(SearcherError, match=r"cannot resume: the run began with --lr 0.003, not 0.1"):
        train(settings_for(folder, out, resume=True, **values | {"lr": 0.1}), lambda line: None)
    with pytest.raises(SearcherError, match="cannot resume: the data now makes 3 steps, not 1"):
        changed = values | {"sources": (folder / "pairs.csv",)}
        train(settings_for(folder, out, resume=True, **changed), lambda line: None)
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')  # cut short by a kill
    train(settings_for(folder, out, resume=True, **values), lambda line: None)
    assert [json.loads(line)["step"] for line in steps_of(out / "metrics.jsonl")] == [1]
    (out / "training.safetensors").write_bytes(b"\0" * 50)
    with pytest.raises(SearcherError, match="cannot resume from"):
        train(settings_for(folder, out, resume=True, **values), lambda line: None)
