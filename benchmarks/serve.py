"""A page that 50 people use at once: how long do their searches take, and does the server's memory stay flat?

    python benchmarks/serve.py                         # ten minutes
    python benchmarks/serve.py --minutes 1 --folder serve-library

A library of 100,000 photos with made embeddings is served on the loopback interface, with the built-in model. Each
client sends one text query every two seconds, all of them different, and asks for ten thumbnails a second that were
made before. The clients share the cores with the server. The target is a p95 of 250 ms for text queries, from the
first byte sent to the last byte received, no error, and memory that does not grow.
"""

import argparse
import asyncio
import io
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil
from PIL import Image

from searcher.datasets.labels import read_labels

P95_MS, GROWTH = 250.0, 1.05
CHUNK = 10_000
THUMBNAILS = 3000
WARM_UP_S = 10.0


def make(folder: Path, photos: int) -> None:
    """A library whose photos have the directions of labels, mixed with noise, and thumbnails for the first ones."""
    from searcher.catalog import Catalog
    from searcher.catalog.connect import CATALOG_NAME
    from searcher.models import Model
    from searcher.models.relevance import read_labels as embed_labels
    from searcher.vectors.store import VectorStore

    model = Model.open("builtin")
    labels = np.stack([text.vectors[0] for text in embed_labels(model, read_labels("@imagenet"))])
    rng = np.random.default_rng(1)
    catalog = Catalog(folder)
    with catalog.write() as change:
        root = change.files.add_root(b"/photos", whole=True)
        model_id = change.models.add(model, model.folder)
        change.models.use(model_id)
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as database:
        for start in range(0, photos, CHUNK):
            ids = range(start + 1, min(start + CHUNK, photos) + 1)
            noise = rng.normal(size=(len(ids), model.dim)).astype(np.float32) / model.dim**0.5
            vectors = 0.5 * labels[rng.integers(0, len(labels), len(ids))] + noise
            vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
            with database:
                many = database.executemany
                columns = "id, digest, width, height, format, taken_at"
                contents = (
                    (id, digest(id), 4000, 3000, f"20{id % 24:02}-{id % 12 + 1:02}-{id % 28 + 1:02}T12:00:00")
                    for id in ids
                )
                many(f"INSERT INTO contents ({columns}) VALUES (?, ?, ?, ?, 'JPEG', ?)", contents)
                columns = "id, root_id, relpath, size, mtime_ns, content_id"
                images = ((id, root.id, b"%d/%d.jpg" % (id % 100, id), id) for id in ids)
                many(f"INSERT INTO images ({columns}) VALUES (?, ?, ?, 1, 1, ?)", images)
                columns = "id, model_id, content_id, precision, vector"
                rows = (
                    (id, model_id, id, model.precision, row.tobytes()) for id, row in zip(ids, vectors, strict=True)
                )
                many(f"INSERT INTO embeddings ({columns}) VALUES (?, ?, ?, ?, ?)", rows)
    with catalog.read() as view:
        row = view.models.current()
    assert row is not None
    VectorStore(folder, row).rebuild(catalog)
    catalog.close()
    noisy = Image.effect_noise((256, 192), 40).convert("RGB")
    for id in range(1, min(photos, THUMBNAILS) + 1):
        path = folder / "thumbnails" / digest(id).hex()[:2] / f"{digest(id).hex()}-256.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        noisy.rotate(id).save(file, "WEBP", quality=50)
        path.write_bytes(file.getvalue())


def digest(id: int) -> bytes:
    return (id * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") * 2


@dataclass
class Result:
    """Milliseconds of each request, and what went wrong."""

    queries: list[float] = field(default_factory=list)
    thumbnails: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    late: int = 0


class Connection:
    """One connection that is kept open. It asks and reads the whole answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, int]:
        """The status and the bytes of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        return int(head[9:12]), length


async def pace(seconds: float, until: float, rng: random.Random, act) -> int:  # type: ignore[no-untyped-def]
    """Call `act` every so many seconds, from a random moment on. Returns how often it was not done in time."""
    late, due = 0, time.perf_counter() + rng.random() * seconds
    while due < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await act()
        due += seconds
        if due < time.perf_counter():
            late += 1
            due = time.perf_counter()
    return late


async def client(number: int, port: int, until: float, texts: list[str], photos: int, result: Result) -> None:
    rng = random.Random(number)
    begin = time.perf_counter() + WARM_UP_S
    search, pictures = Connection(port), Connection(port)

    async def timed(connection: Connection, path: str, into: list[float]) -> None:
        start = time.perf_counter()
        try:
            status, size = await connection.get(path)
        except (OSError, asyncio.IncompleteReadError, IndexError) as error:
            result.errors.append(f"{path}: {error!r}")
            connection._streams = None
            return
        if status != 200 or not size:
            result.errors.append(f"{path}: {status}")
        if start > begin:
            into.append((time.perf_counter() - start) * 1e3)

    async def query() -> None:
        await timed(
            search, f"/api/search?limit=100&q={quote(rng.choice(texts))}%20{rng.randrange(1000)}", result.queries
        )

    async def thumbnail() -> None:
        id = rng.randint(1, min(photos, THUMBNAILS))
        await timed(pictures, f"/api/images/{id}/thumbnail?size=256", result.thumbnails)

    result.late += sum(await asyncio.gather(pace(2.0, until, rng, query), pace(0.1, until, rng, thumbnail)))


async def watch(process: psutil.Process, until: float) -> list[tuple[float, float, float]]:
    """(seconds, MB of the server, its share of the time of one core), every ten seconds."""
    start, seen = time.perf_counter(), []
    process.cpu_percent()
    while time.perf_counter() < until:
        await asyncio.sleep(min(10.0, max(0.1, until - time.perf_counter())))
        seen.append((time.perf_counter() - start, process.memory_info().rss / 1e6, process.cpu_percent() / 100))
    return seen


async def load(port: int, pid: int, arguments: argparse.Namespace) -> tuple[Result, list[tuple[float, float, float]]]:
    result = Result()
    texts = [f"{label.name} {where}" for label in read_labels("@imagenet") for where in ("", "at night", "in the snow")]
    until = time.perf_counter() + WARM_UP_S + 60 * arguments.minutes
    clients = [client(n, port, until, texts, arguments.photos, result) for n in range(arguments.clients)]
    _, memory = await asyncio.gather(asyncio.gather(*clients), watch(psutil.Process(pid), until))
    return result, memory


def quantiles(values: list[float]) -> str:
    if not values:
        return "none"
    low, high, most = np.quantile(values, [0.5, 0.95, 0.99])
    return f"{len(values):,}: median {low:.0f} ms, p95 {high:.0f} ms, p99 {most:.0f} ms, max {max(values):.0f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--folder", type=Path, help="Store the library here, or use the one that is already here.")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="searcher-serve-"))
    try:
        if not (folder / "catalog.sqlite").exists():
            make(folder, arguments.photos)
        command = [sys.executable, "-m", "searcher", "serve", "--no-open", "--port", "0", "--library", str(folder)]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline().rstrip("/\n").rpartition(":")[2])
            result, memory = asyncio.run(load(port, server.pid, arguments))
            server.terminate()
        half = [mb for seconds, mb, _ in memory if seconds > WARM_UP_S]
        early, late = np.median(half[: max(1, len(half) // 5)]), np.median(half[-max(1, len(half) // 5) :])
        print(f"{arguments.photos:,} photos, {arguments.clients} clients, {arguments.minutes:g} minutes")
        print(f"text queries  {quantiles(result.queries)}")
        print(f"thumbnails    {quantiles(result.thumbnails)}")
        print(f"{len(result.errors)} errors; {result.late} requests were sent late {result.errors[:3] or ''}")
        print(f"memory {early:.0f} MB at the beginning, {late:.0f} MB at the end, most {max(half):.0f} MB")
        print(
            f"the server used {np.median([cpu for _, _, cpu in memory]):.2f} cores; it ended with {server.returncode}"
        )
        if not result.queries:
            return 1
        slow = np.quantile(result.queries, 0.95) > P95_MS
        return int(slow or bool(result.errors) or late > early * GROWTH or server.returncode != 0)
    finally:
        if not arguments.folder:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
