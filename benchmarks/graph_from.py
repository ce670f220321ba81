"""Claim: from `GRAPH_FROM` vectors on, a graph pays: each search in a process that goes on is noticeably faster.

    python benchmarks/graph_from.py [--vectors 10000,20000,50000,100000,200000] [--dim 512] [--rounds 5]
        [--folder DIR]

The vectors are made (benchmarks/made_vectors.py). For each size, a file without and one with a graph are written, and
searched one query at a time: in a process that has searched before, and as the first thing that a new process does
after it has imported everything (it opens the file; the page cache is warm). Both kinds take turns in each round. Times
of searches are processor time, which other programs change little: medians of the rounds, with the least and the most.
What is saved is the median of the differences in each round. The files of benchmarks/ann.py can be used.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.ann import chunks, made, our_files
from benchmarks.made_vectors import Shapes
from searcher.catalog.rows import VectorFile
from searcher.vectors.part import Part
from searcher.vectors.store import GRAPH_FROM
from searcher.vectors.writing import write

K, QUERIES, PROCESSES = 20, 60, 3
SAVES_MS = 5.0
"""A graph pays if a search in a process that goes on takes so much less."""

COLD = """
import json, sys, time
import numpy as np
from pathlib import Path
from searcher.catalog.rows import VectorFile
from searcher.vectors.part import Part
path, query, facts, dim, k = sys.argv[1:]
queries, (digest, *numbers) = np.load(query), json.loads(facts)
begin = time.process_time()
Part.open(Path(path), VectorFile(bytes.fromhex(digest), *numbers), int(dim)).search(queries, int(k))
print((time.process_time() - begin) * 1000)
"""


def warm(part: Part, queries: np.ndarray) -> float:
    """ms of a query in this process."""
    begin = time.process_time()
    for query in queries:
        part.search(query[None], K)
    return (time.process_time() - begin) / len(queries) * 1000


def cold(path: Path, file: VectorFile, queries: np.ndarray) -> float:
    """ms to open a file and search in it once, in a new process. The median of some processes."""
    times = []
    for query in queries[:PROCESSES]:
        np.save(path.with_name("query.npy"), query[None])
        facts = json.dumps([file.digest.hex(), *file[1:]])
        arguments = [str(path), str(path.with_name("query.npy")), facts, str(len(query)), str(K)]
        command = [sys.executable, "-c", COLD, *arguments]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    return statistics.median(times)


def spread(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


def opened(folder: Path, vectors: np.ndarray, graph: bool) -> tuple[Path, VectorFile, Part, float]:
    """A file, written or from an earlier run, and the seconds of the build."""
    count, dim = vectors.shape
    if graph:
        (part,), seconds, _, _ = our_files(folder, vectors)
        return folder / f"{count}x{dim}-0.faiss", part.file, part, seconds
    path = folder / f"{count}x{dim}-exact.faiss"
    begin = time.perf_counter()
    file = write(path, count, dim, chunks(vectors, 0, count))
    return path, file, Part.open(path, file, dim), time.perf_counter() - begin


def measure(count: int, dim: int, rounds: int, folder: Path) -> bool:
    """Print a row of the table. Returns whether the graph pays."""
    shapes = Shapes(dim)
    vectors = made(folder, shapes, count)
    asked = np.concatenate([shapes.photo_queries(QUERIES), shapes.text_queries(QUERIES)])
    files = {graph: opened(folder, vectors, graph) for graph in (False, True)}
    times: dict[tuple[str, bool], list[float]] = {}
    for turn in range(rounds):
        queries = asked[turn::rounds]
        for graph, (path, file, part, _) in files.items():
            times.setdefault(("warm", graph), []).append(warm(part, queries))
            times.setdefault(("cold", graph), []).append(cold(path, file, queries))
    saved = {
        state: statistics.median(
            flat - graph for flat, graph in zip(times[state, False], times[state, True], strict=True)
        )
        for state in ("warm", "cold")
    }
    cells = [f"{count:,}", *(f"{files[graph][3]:.1f}" for graph in (False, True))]
    cells += [spread(times[state, graph]) for state in ("warm", "cold") for graph in (False, True)]
    cells += [f"{saved['warm']:.1f}", f"{saved['cold']:.1f}"]
    print(f"| {' | '.join(cells)} |", flush=True)
    return saved["warm"] >= SAVES_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", default="10000,20000,50000,100000,200000")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="Keep the files here, or use those that are already here.")
    arguments = parser.parse_args()
    print(
        "| vectors | s to write: exact | graph | ms, exact | graph | ms, new process, exact | graph | saved | saved |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    counts = sorted(map(int, arguments.vectors.split(",")))
    with tempfile.TemporaryDirectory(prefix="searcher-graph-from-") as temporary:
        folder = arguments.folder or Path(temporary)
        pays = {count: measure(count, arguments.dim, arguments.rounds, folder) for count in counts}
    first = next((count for count in counts if all(pays[each] for each in counts if each >= count)), None)
    print(f"a graph saves {SAVES_MS} ms a search from {first} vectors on; GRAPH_FROM is {GRAPH_FROM}")
    return int(any(pays[count] != (count >= GRAPH_FROM) for count in counts))


if __name__ == "__main__":
    sys.exit(main())
