"""The Ray engine: Ray Data gives the pieces to workers, which write the shards themselves and return counts.

If a worker or its machine is lost, Ray gives its pieces to another one. A shard appears under its name only when it is
complete, so nothing is lost, and nothing is there twice.
"""

import logging
import os
import pickle
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from searcher.errors import SearcherError
from searcher.models import Model
from searcher.photos.cores import usable_cores
from searcher.progress import Progress
from searcher.scale.embedding import Settings
from searcher.scale.engine import Cluster, Count, Outcome
from searcher.scale.files import first_line
from searcher.scale.packing import pack
from searcher.scale.plan import Job
from searcher.scale.worker import ANSWER, JOB, Link, Worker

# Ray reports its use to its makers, and prints what it does. Both are read when it is imported or started.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")

import ray
import ray.data
from ray.exceptions import RayError

Result = TypeVar("Result")

CORES_EACH = 4  # of a worker, unless the user says how many workers there are
IN_FLIGHT = 2  # pieces that wait at a worker, the one under way included: at the end, few wait behind another
TASKS_A_CORE = 4  # that `do_each` gives to Ray at a time
RETRIES = 3  # of such a task, after its worker was lost
PATIENCE = 10.0  # seconds for a cluster to accept a connection
STARTS = 3  # tries to start Ray: it gives up after 30 s, which is short for a busy machine
STORE_BYTES = 256 * 2**20  # for objects of a Ray that is started here: only names and counts go through it


def run_ray(
    model: Model, jobs: Sequence[Job], settings: Settings, cluster: Cluster, progress: Progress
) -> Generator[Outcome]:
    """Embed the pieces on a cluster. Yields what became of each, in no particular order.

    Raises SearcherError if the cluster does not answer, has no room for the workers, or loses a piece again and again,
    and if a shard cannot be written.
    """
    with _joined(cluster.address):
        workers, cores = _workers(cluster, len(jobs))
        packed = None if cluster.address is None else ray.put(pack(model.folder))
        begun = _Begun.remote()  # type: ignore[attr-defined]
        link = Link(
            fetch_model=lambda: None if packed is None else ray.get(packed),
            begin=lambda name: int(ray.get(begun.add.remote(name))),
        )
        count = Count(jobs, progress)
        pickled = [{JOB: pickle.dumps(job)} for job in jobs]
        results = ray.data.from_items(pickled, override_num_blocks=len(pickled)).map_batches(
            Worker,
            fn_constructor_args=(settings, cores, link),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=IN_FLIGHT),
            num_cpus=cores,
            num_gpus=1 if cluster.gpus else 0,
        )
        try:
            for batch in results.iter_batches(batch_size=None, prefetch_batches=0):
                for outcome in _outcomes(batch, progress):
                    count.add(outcome)
                    yield outcome
        except RayError as error:
            raise SearcherError(f"the cluster failed: {_reason(error)}; run the same command again to go on") from error


def do_each(task: Callable[[str], Result], items: Sequence[str], cluster: Cluster) -> Iterator[Result]:
    """Do a task for each of several items on a cluster, with one core each. Yields the results in any order.

    The task is sent to each machine once. Raises SearcherError if the cluster does not answer, or loses an item again
    and again.
    """
    with _joined(cluster.address):
        shared = ray.put(task)
        work: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
        most = TASKS_A_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        left = iter(items)
        waiting: list[Any] = []
        try:
            while True:
                waiting += [work.remote(shared, item) for item in islice(left, most - len(waiting))]
                if not waiting:
                    return
                ready, waiting = ray.wait(waiting)
                yield from ray.get(ready)
        except RayError as error:
            raise SearcherError(f"the cluster failed: {_reason(error)}; run the same command again to go on") from error


def _call(task: Callable[[str], Result], item: str) -> Result:
    return task(item)


@ray.remote(num_cpus=0)
class _Begun:
    """Counts how often workers have begun each piece."""

    def __init__(self) -> None:
        self._times = Counter[str]()

    def add(self, name: str) -> int:
        self._times[name] += 1
        return self._times[name]


def _outcomes(batch: Any, progress: Progress) -> Iterator[Outcome]:
    for photos, failed, begun, unread, fatal in zip(*(batch[name] for name in ANSWER), strict=True):
        if fatal:
            raise SearcherError(str(fatal))
        if begun > 1:
            progress.notice("a worker was lost, and another one has embedded its shard again")
        yield Outcome(int(photos), int(failed), str(unread) if unread else None)


@contextmanager
def _joined(address: str | None) -> Iterator[None]:
    """Join the cluster at an address, or start Ray on this machine, and leave or end it afterwards.

    A cluster that this program has joined before is used as it is.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    if ray.is_initialized():
        yield
        return
    folder = None if address is not None else tempfile.mkdtemp(prefix="searcher-ray-", dir="/tmp")  # a short path
    # Ray prints to stdout that a worker was lost, the last of it when it ends.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            if folder is not None:
                _start(folder)
            elif address is not None:
                _join(address)
            yield
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _start(folder: str) -> None:
    """Start Ray on this machine, with its sockets and log files in `folder`. Raises SearcherError."""
    for tries in range(1, STARTS + 1):
        try:
            with _silence():
                ray.init(
                    num_cpus=usable_cores(),
                    object_store_memory=STORE_BYTES,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=folder,
                )
            return
        except Exception as error:  # Ray raises bare Exception, too
            ray.shutdown()
            if tries == STARTS:
                raise SearcherError(f"Ray does not start on this machine: {first_line(error)}") from error


def _join(address: str) -> None:
    """Join a cluster. Raises SearcherError."""
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if host and port.isdigit():  # Ray itself would wait for minutes
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        with _silence():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise SearcherError(f"no Ray answers at {address}: {first_line(error)}") from error


@contextmanager
def _silence() -> Iterator[None]:
    """Let what native code prints go nowhere: while it starts, Ray prints which log level it was given."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _workers(cluster: Cluster, pieces: int) -> tuple[int, int]:
    """The number of workers, and the cores of each. Raises SearcherError if the cluster has too few."""
    has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cores, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
    wanted = cluster.gpus or cluster.workers or max(1, cores // CORES_EACH)
    if cluster.gpus > gpus or wanted > cores:
        raise SearcherError(
            f"the cluster has {cores} cores and {gpus} GPUs, which is too few for {wanted} workers: "
            "reduce --workers or --gpus"
        )
    return min(wanted, pieces), cores // wanted


def _reason(error: BaseException) -> str:
    """The line of Ray's traceback that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
