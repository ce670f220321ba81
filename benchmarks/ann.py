"""Claim: a search in a large library finds 0.99 of the 10 nearest photos, at least 10 times as fast as a NumPy product.

    python benchmarks/ann.py [--vectors 100000,1000000,5000000x256] [--folder DIR] [--plot FILE.svg]

The vectors are made (benchmarks/made_vectors.py). searcher's files are those of a library. hnswlib and usearch (to be
installed with pip) have the same number of links, and as many candidates when they build. Each query is searched alone.
In each round every way is measured once. Speeds are medians of the rounds, with the slowest and the fastest round.
Recall@10 is given for photo, text and combined queries, and of searcher also for filters that keep a share of the ids.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.made_vectors import Shapes
from searcher.catalog.rows import VectorFile
from searcher.vectors import part as parts
from searcher.vectors.exact import merge
from searcher.vectors.part import Part
from searcher.vectors.plan import max_vectors
from searcher.vectors.writing import EF_CONSTRUCTION, LINKS, write

K, CHUNK = 10, 4096
SHARES = (0.0001, 0.01, 0.5)
CANDIDATES = (64, 128, 256, 512, 1024, 2048)
RECALL, FASTER = 0.99, 10

Search = Callable[[np.ndarray], np.ndarray]
"""One query (dim,) float32 → the ids of the nearest ones."""


def chunks(vectors: np.ndarray, start: int, end: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for at in range(start, end, CHUNK):
        last = min(end, at + CHUNK)
        yield np.arange(at + 1, last + 1), np.array(vectors[at:last])


def made(folder: Path, shapes: Shapes, count: int) -> np.ndarray:
    path = folder / f"{count}x{shapes.dim}.npy"
    if not path.exists():
        rows = np.lib.format.open_memmap(folder / "new.npy", "w+", np.float16, (count, shapes.dim))
        done = 0
        for some in shapes.photos(count):
            rows[done : done + len(some)] = some
            done += len(some)
        rows.flush()
        (folder / "new.npy").rename(path)
    found: np.ndarray = np.load(path, mmap_mode="r")
    return found


class AnonymousMemory(threading.Thread):
    """The most anonymous memory that this process had at any time, in bytes (Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self._over = 0, threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.05):
            status = Path("/proc/self/status").read_text()
            self.peak = max(self.peak, 1024 * int(status.split("RssAnon:")[1].split()[0]))


def our_files(folder: Path, vectors: np.ndarray) -> tuple[list[Part], float, int, int]:
    """searcher's files, written or from an earlier run; seconds of the build; bytes; the most anonymous memory."""
    count, dim = vectors.shape
    opened, seconds, peak = [], 0.0, 0
    for start in range(0, count, max_vectors(dim)):
        end = min(count, start + max_vectors(dim))
        path = folder / f"{count}x{dim}-{start}.faiss"
        if not path.with_suffix(".json").exists():
            begin = time.perf_counter()
            with AnonymousMemory() as memory:
                file = write(path, end - start, dim, chunks(vectors, start, end), after=start, graph=True)
            facts = [file.digest.hex(), *file[1:]]
            path.with_suffix(".json").write_text(json.dumps([facts, time.perf_counter() - begin, memory.peak]))
        facts, took, anonymous = json.loads(path.with_suffix(".json").read_text())
        peak = max(peak, anonymous)
        opened.append(Part.open(path, VectorFile(bytes.fromhex(facts[0]), *facts[1:]), dim))
        seconds += took
    return opened, seconds, sum(part.file.bytes for part in opened), peak


def ours(opened: list[Part], allowed: np.ndarray | None = None) -> Search:
    def search(query: np.ndarray) -> np.ndarray:
        found: np.ndarray = merge([part.search(query[None], K, allowed) for part in opened], K)[1][0]
        return found

    return search


def with_candidates(number: int, search: Search) -> Search:
    def changed(query: np.ndarray) -> np.ndarray:
        usual, parts.least_candidates = parts.least_candidates, lambda _: number
        try:
            return search(query)
        finally:
            parts.least_candidates = usual

    return changed


def built(
    path: Path, build: Callable[[], None], save: Callable[[str], None], load: Callable[[str], None]
) -> tuple[float, int]:
    """Build the index of a peer and save it, or load it from an earlier run: seconds of the build, bytes."""
    seconds = path.with_name(f"{path.name}.seconds")
    if seconds.exists():
        load(str(path))
    else:
        begin = time.perf_counter()
        build()
        took = time.perf_counter() - begin
        save(str(path))
        seconds.write_text(str(took))
    return float(seconds.read_text()), path.stat().st_size


def hnswlib_index(folder: Path, vectors: np.ndarray) -> tuple[Any, float, int]:
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])

    def build() -> None:
        index.init_index(len(vectors), M=LINKS, ef_construction=EF_CONSTRUCTION)
        for ids, some in chunks(vectors, 0, len(vectors)):
            index.add_items(some.astype(np.float32), ids)

    return index, *built(folder / f"{len(vectors)}x{index.dim}.hnswlib", build, index.save_index, index.load_index)


def usearch_index(folder: Path, vectors: np.ndarray) -> tuple[Any, float, int]:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16", connectivity=LINKS, expansion_add=EF_CONSTRUCTION)

    def build() -> None:
        for ids, some in chunks(vectors, 0, len(vectors)):
            index.add(ids, some)

    return index, *built(folder / f"{len(vectors)}x{index.ndim}.usearch", build, index.save, index.load)


def peers(folder: Path, vectors: np.ndarray) -> Iterator[tuple[str, int, Search]]:
    if find_spec("hnswlib"):
        first, seconds, size = hnswlib_index(folder, vectors)
        print(f"hnswlib: built in {seconds:,.0f} s, {size / len(vectors):,.0f} bytes a vector", flush=True)

        def in_first(number: int) -> Search:
            def search(query: np.ndarray) -> np.ndarray:
                first.set_ef(number)
                found: np.ndarray = first.knn_query(query, K, num_threads=1)[0][0].astype(np.int64)
                return found

            return search

        for number in CANDIDATES:
            yield "hnswlib", number, in_first(number)
    if find_spec("usearch"):
        second, seconds, size = usearch_index(folder, vectors)
        print(f"usearch: built in {seconds:,.0f} s, {size / len(vectors):,.0f} bytes a vector", flush=True)

        def in_second(number: int) -> Search:
            def search(query: np.ndarray) -> np.ndarray:
                second.expansion_search = number
                found: np.ndarray = second.search(query.astype(np.float16), K, threads=1).keys.astype(np.int64)
                return found

            return search

        for number in CANDIDATES:
            yield "usearch", number, in_second(number)


def nearest(vectors: np.ndarray, queries: np.ndarray, shares: list[np.ndarray]) -> list[np.ndarray]:
    """The ids of the K nearest vectors of each query, in float32, among the ids of each share."""
    best = [(np.full((len(queries), K), -np.inf, np.float32), np.full((len(queries), K), -1)) for _ in shares]
    for ids, some in chunks(vectors, 0, len(vectors)):
        scores = queries @ some.astype(np.float32).T
        for number, allowed in enumerate(shares):
            keep = np.flatnonzero(np.isin(ids, allowed, assume_unique=True))
            here = scores[:, keep]
            if len(keep) > K:
                first = np.argpartition(-here, K, axis=1)[:, :K]
                here, found = np.take_along_axis(here, first, 1), ids[keep[first]]
            else:
                found = np.broadcast_to(ids[keep], here.shape)
            best[number] = merge([best[number], (here, found)], K)
    return [ids for _, ids in best]


def recalls(search: Search, asked: dict[str, np.ndarray], truth: np.ndarray) -> list[float]:
    """Recall@K of each kind of queries. truth: the ids for all kinds, one below the other."""
    found, first = [], 0
    for queries in asked.values():
        right = truth[first : first + len(queries)]
        first += len(queries)
        hits = [len(np.intersect1d(search(query), ids)) for query, ids in zip(queries, right, strict=True)]
        found.append(sum(hits) / (K * len(queries)))
    return found


def measure(
    count: int, dim: int, folder: Path, number: int, rounds: int, with_peers: bool
) -> tuple[dict[str, Any], bool]:
    shapes = Shapes(dim)
    vectors = made(folder, shapes, count)
    asked = {
        "photo": shapes.photo_queries(number),
        "text": shapes.text_queries(number),
        "combined": shapes.combined_queries(number),
    }
    opened, seconds, size, peak = our_files(folder, vectors)
    print(f"\n{count:,} x {dim}")
    print(
        f"searcher: built in {seconds:,.0f} s with {peak / 2**20:,.0f} MiB of anonymous memory, "
        f"{size / count:,.0f} bytes a vector, {len(opened)} files",
        flush=True,
    )
    queries = np.concatenate(list(asked.values()))
    random = np.random.default_rng(5)
    shares = [np.sort(random.choice(count, max(K, round(share * count)), replace=False)) + 1 for share in SHARES]
    truth, *among = nearest(vectors, queries, [np.arange(1, count + 1), *shares])
    used = parts.least_candidates(max(map(len, opened)))
    ways = {
        ("searcher", candidates): with_candidates(candidates, ours(opened))
        for candidates in sorted({*CANDIDATES, used})
    }
    if with_peers:
        ways |= {(name, candidates): search for name, candidates, search in peers(folder, vectors)}
    right = {way: recalls(search, asked, truth) for way, search in ways.items()}
    whole = vectors.astype(np.float32)

    def product(query: np.ndarray) -> np.ndarray:
        scores = whole @ query
        best = np.argpartition(-scores, K)[:K]
        found: np.ndarray = best[np.argsort(-scores[best])]
        return found

    times: dict[Any, list[float]] = {}
    for turn in range(rounds):
        for way, search in {("numpy", 0): product, **ways}.items():
            some = queries[turn::rounds][: 10 if way[0] == "numpy" else None]
            begin = time.perf_counter()
            for query in some:
                search(query)
            times.setdefault(way, []).append((time.perf_counter() - begin) / len(some) * 1000)
    numpy = statistics.median(times["numpy", 0])
    print(f"{'':9}{'candidates':>11}{'photo':>8}{'text':>8}{'combined':>9}{'ms':>9}  {'range':17}{'NumPy /':>8}")
    for way, each in times.items():
        middle = statistics.median(each)
        shown = "".join(
            f"{value:{width}.4f}" for value, width in zip(right.get(way, [1, 1, 1]), (8, 8, 9), strict=True)
        )
        spread = f"{min(each):.2f} to {max(each):.2f}"
        print(f"{way[0]:9}{way[1]:11}{shown}{middle:9.2f}  {spread:17}{numpy / middle:8.1f}", flush=True)
    good = min(right["searcher", used]) >= RECALL and numpy >= FASTER * statistics.median(times["searcher", used])
    print(f"searcher uses {used:,} candidates")
    for share, allowed, kept in zip(SHARES, shares, among, strict=True):
        search = ours(opened, allowed)
        found = recalls(search, asked, kept)
        begin = time.perf_counter()
        for query in queries:
            search(query)
        took = (time.perf_counter() - begin) / len(queries) * 1000
        print(
            f"searcher, {share:.2%} allowed: {' '.join(f'{value:.4f}' for value in found)}, {took:.2f} ms", flush=True
        )
        good &= min(found) >= RECALL
    curves: dict[str, Any] = {}
    for way in ways:
        curves.setdefault(way[0], []).append((min(right[way]), 1000 / statistics.median(times[way])))
    curves["NumPy"] = [(1.0, 1000 / numpy)]
    return curves, good


def plot(path: Path, curves: dict[str, dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ann"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(curves), figsize=(5 * len(curves), 4), squeeze=False)
    for axis, (title, lines) in zip(axes[0], curves.items(), strict=True):
        for name, points in lines.items():
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set(title=title, xlabel="least recall@10 of three kinds of queries", ylabel="queries/s", yscale="log")
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", default="100000,1000000", help="How many, or how many x numbers each (512).")
    parser.add_argument("--queries", type=int, default=100, help="of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="Keep the files here, or use those that are already here.")
    parser.add_argument("--plot", type=Path, help="Draw recall and queries/s.")
    parser.add_argument("--peers-up-to", type=int, default=10**9, help="Leave hnswlib and usearch out of larger sizes.")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="searcher-ann-"))
    folder.mkdir(exist_ok=True)
    curves, good = {}, True
    try:
        for size in arguments.vectors.split(","):
            count, dim = (int(number) for number in (*size.split("x"), "512")[:2])
            options = (arguments.queries, arguments.rounds, count <= arguments.peers_up_to)
            curves[f"{count:,} x {dim}"], fine = measure(count, dim, folder, *options)
            good &= fine
    finally:
        if not arguments.folder:
            shutil.rmtree(folder)
    if arguments.plot:
        plot(arguments.plot, curves)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
