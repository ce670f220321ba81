"""The Ray engine. Ray starts once in this file, because that takes seconds."""

import os
import pickle
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from searcher.errors import SearcherError
from searcher.models import Model
from searcher.progress import Progress
from searcher.scale.embed import embed
from searcher.scale.embedding import Settings
from searcher.scale.engine import Cluster
from searcher.scale.packing import open_model, pack
from searcher.scale.pieces import FileAt, Files
from searcher.scale.plan import Job
from searcher.scale.shards import Facts
from searcher.scale.worker import ATTEMPTS, JOB, Link, Worker
from tests.pictures import draw
from tests.soak.tiny_model import make_tiny_model


class Killer(Progress):
    """Kills a worker when so many photos are done."""

    def __init__(self, photos: int) -> None:
        self.photos, self.killed = photos, 0
        self.notices: list[str] = []

    def advance(self, done: int, total: int | None) -> None:
        if total is None or done < self.photos or self.killed:
            return
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if "MapWorker" in " ".join(child.cmdline()):
                    self.killed = child.pid
                    os.kill(child.pid, signal.SIGKILL)
                    return

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.mark.slow
def test_ray_writes_what_the_local_engine_writes_although_a_worker_is_killed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = str(make_tiny_model(tmp_path / "model", "tiny", 1))
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(120):
        draw(photos / f"{number:03}.jpg", number)
    (photos / "bad.jpg").write_bytes(b"no image")
    local = embed([str(photos)], str(tmp_path / "local"), model=model, photos_a_shard=4)
    killer = Killer(photos=40)
    ray = embed(
        [str(photos)],
        str(tmp_path / "ray"),
        model=model,
        photos_a_shard=4,
        cluster=Cluster(workers=2),
        progress=killer,
    )
    assert killer.killed
    assert ray.as_dict() | {"seconds": 0} == local.as_dict() | {"seconds": 0}
    assert (ray.photos, ray.failed, ray.shards) == (121, 1, 31)
    assert pq.read_table(tmp_path / "ray").equals(pq.read_table(tmp_path / "local"))  # also in the embeddings
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    left = psutil.Process().children(recursive=True)
    assert not [
        child
        for child in left
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE and "ray" in child.name()
    ]


def test_an_address_without_ray_is_one_line(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", 1)
    model = str(make_tiny_model(tmp_path / "model", "tiny", 1))
    with pytest.raises(SearcherError, match=r"no Ray answers at 127\.0\.0\.1:1: Connection refused"):
        embed([str(tmp_path / "a.jpg")], str(tmp_path / "out"), model=model, cluster=Cluster("127.0.0.1:1"))


def test_a_worker_without_the_model_folder_unpacks_it(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model", "tiny", 1)
    opened = Model.open(folder)
    packed = pack(folder)
    facts = Facts("tiny", opened.digest, "1", "tiny", str(tmp_path / "nowhere"), opened.dim, "float32")
    assert open_model(facts, 1, packed).digest == opened.digest
    draw(tmp_path / "a.jpg", 1)
    job = Job("part-00000.parquet", Files(str(tmp_path), (FileAt(bytes(tmp_path / "a.jpg"), 1, 1),)))
    settings = Settings(str(tmp_path), facts, False)
    begun = [1, ATTEMPTS, ATTEMPTS + 1]
    worker = Worker(settings, 1, Link(lambda: packed, lambda name: begun.pop(0)))
    batch = {JOB: np.array([pickle.dumps(job)], object)}
    assert worker(batch)["photos"].tolist() == [1]
    assert worker(batch)["photos"].tolist() == [1]  # it is there already
    assert "each worker that embedded it was lost" in worker(batch)["unread"][0]
    broken = Worker(settings, 1, Link(lambda: None, lambda name: 1))
    assert "cannot open the model" in broken(batch)["fatal"][0]
