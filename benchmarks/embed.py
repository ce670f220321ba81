"""Claim: Ray and the local engine write equal shards, also if a worker is killed, and Ray costs little at equal cores.

    python benchmarks/embed.py [--photos 20000] [--rounds 2] [--model builtin]

Small JPEGs are embedded with two cores: by the local engine, and by Ray with two workers of one core each, in turns.
In one more run with Ray, one worker is killed with SIGKILL half-way. All rows of all runs must be equal. Printed are
photos per second from the first to the last photo, and the seconds before: Ray starts, and its workers open the model.
Without --model, a tiny model is used, so that what is measured is the engines and not the encoder. That is the worst
case: with a real encoder, the same cost is spread over more work per photo.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from searcher.photos.cores import usable_cores
from searcher.progress import Progress
from searcher.scale.embed import embed
from searcher.scale.engine import Cluster
from tests.pictures import draw
from tests.soak.tiny_model import make_tiny_model

WORKERS = 2
PICTURES = 997
LIMIT = 0.25  # the share by which Ray may be slower with the tiny model


@dataclass(frozen=True)
class Run:
    """start: seconds before the first photos are embedded. work: seconds from then on. cpu: of all processes, those of
    Ray included, a photo, in seconds. Other programs on the machine disturb it less."""

    start: float
    work: float
    cpu: float
    bytes: int


class Watch(Progress):
    """Notes when the work begins, and kills a worker of Ray when half of it is done, if it is asked to."""

    def __init__(self, kill: bool) -> None:
        self.begun = self.cpu_begun = self.cpu_ended = 0.0
        self.first = 0
        self.kill, self.killed = kill, 0

    def advance(self, done: int, total: int | None) -> None:
        if total is None:
            return
        if done and not self.begun:
            self.begun, self.cpu_begun = time.perf_counter(), cpu_seconds()
            self.first = done
        if done == total:
            self.cpu_ended = cpu_seconds()
        if self.kill and not self.killed and done * 2 > total:
            workers = [child for child in psutil.Process().children(recursive=True) if is_worker(child)]
            self.killed = workers[0].pid
            os.kill(self.killed, signal.SIGKILL)


def cpu_seconds() -> float:
    """CPU time of this process and all that it has started and that run now."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def make(folder: Path, count: int) -> None:
    """Photos of different contents. There are fewer pictures, because drawing takes longer than embedding."""
    folder.mkdir()
    pictures = []
    for seed in range(min(count, PICTURES)):
        draw(folder / "0.jpg", seed, (320, 240))
        pictures.append((folder / "0.jpg").read_bytes())
    (folder / "0.jpg").unlink()
    for number in range(count):
        data = pictures[number % PICTURES] + number.to_bytes(4)  # what is after the end of a JPEG is not decoded
        (folder / f"{number:06}.jpg").write_bytes(data)


def is_worker(process: psutil.Process) -> bool:
    try:
        return "MapWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def run(photos: Path, out: Path, model: str, size: int, cluster: Cluster | None, kill: bool = False) -> Run:
    begun = time.perf_counter()
    watch = Watch(kill)
    report = embed([str(photos)], str(out), model=model, photos_a_shard=size, cluster=cluster, progress=watch)
    ended = time.perf_counter()
    assert not report.failed and (watch.killed or not kill), report
    rows = sum(pq.read_metadata(shard).num_rows for shard in out.glob("*.parquet"))
    assert rows == report.photos, (rows, report)
    work = (ended - watch.begun) * report.photos / (report.photos - watch.first)
    cpu = (watch.cpu_ended - watch.cpu_begun) / (report.photos - watch.first)
    size = sum(shard.stat().st_size for shard in out.glob("*.parquet"))
    return Run(ended - begun - work, work, cpu, size)


def rows(out: Path) -> tuple[list[str], np.ndarray]:
    """The ids and the embeddings, by id."""
    table = pq.read_table(out, columns=["id", "embedding"]).sort_by("id").combine_chunks()
    vectors = table["embedding"].chunk(0).flatten().to_numpy().reshape(len(table), -1)
    return table["id"].to_pylist(), vectors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--shard-size", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default=None)
    given = parser.parse_args()
    if usable_cores() != WORKERS:
        sys.exit(f"run this with {WORKERS} cores: taskset -c 0,1 python benchmarks/embed.py")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model = given.model or str(make_tiny_model(home / "model", "tiny", 1))
        photos = home / "photos"
        make(photos, given.photos)
        print(f"{given.photos:,} JPEGs of 320 × 240; load {os.getloadavg()[0]:.1f}, {WORKERS} cores", flush=True)
        cluster = Cluster(workers=WORKERS)
        turns = [("local", None, False), *[("ray", cluster, False), ("local", None, False)] * given.rounds]
        turns.append(("ray", cluster, True))
        runs: dict[str, list[Run]] = {"local": [], "ray": []}
        for turn, (engine, where, kill) in enumerate(turns):
            out = home / f"{engine} {turn}"
            done = run(photos, out, model, given.shard_size, where, kill)
            same = [np.array_equal(one, other) for one, other in zip(rows(home / "local 0"), rows(out), strict=True)]
            print(
                f"{engine:6}{'killed' if kill else '':7} {given.photos / done.work:8.1f} photos/s, "
                f"{done.cpu * 1e3:.2f} ms of CPU/photo, {done.start:5.1f} s before, "
                f"{done.bytes / given.photos:.0f} bytes/photo, "
                f"{'equal' if all(same) else 'DIFFERENT'}; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            if not all(same):
                return 1
            if not kill:
                runs[engine].append(done)
        if not given.rounds:
            return 0
        overhead = min(run.work for run in runs["ray"]) / min(run.work for run in runs["local"]) - 1
        cpu = min(run.cpu for run in runs["ray"]) / min(run.cpu for run in runs["local"]) - 1
        print(f"Ray takes {overhead:+.1%} of time and {cpu:+.1%} of CPU time, in the best run of each")
        return 0 if given.model or overhead <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
