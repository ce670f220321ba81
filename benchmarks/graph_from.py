"""Claim: from `GRAPH_FROM` vectors on, a graph pays: each search in a process that goes on is noticeably faster.

    python benchmarks/graph_from.py [--vectors 10000,20000,50000,100000,200000] [--dim 512] [--rounds 5]

The vectors are made (benchmarks/made_vectors.py). For each size, a file without and one with a graph are written, and
searched one query at a time: in a process that has searched before, and as the first thing that a new process does
after it has imported everything (it opens the file; the page cache is warm). Both kinds take turns in each round. Times
are processor time, which other programs change little: medians of the rounds, with the least and the most. What is
saved is the median of the differences in each round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.made_vectors import Shapes
from searcher.catalog.rows import VectorFile
from searcher.vectors.part import Part
from searcher.vectors.store import GRAPH_FROM
from searcher.vectors.writing import write

K, QUERIES, PROCESSES, CHUNK = 20, 60, 5, 512
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


def chunks(vectors: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(vectors), CHUNK):
        some = vectors[start : start + CHUNK]
        yield np.arange(start + 1, start + len(some) + 1), some


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


def measure(count: int, dim: int, rounds: int, folder: Path) -> bool:
    """Print a row of the table. Returns whether the graph pays."""
    shapes = Shapes(dim)
    vectors = np.concatenate(list(shapes.photos(count)))
    asked = np.concatenate([shapes.photo_queries(QUERIES), shapes.text_queries(QUERIES)])
    files: dict[bool, tuple[Path, VectorFile, Part]] = {}
    built: dict[bool, float] = {}
    for graph in (False, True):
        path = folder / f"{count}{'-graph' if graph else ''}.faiss"
        begin = time.process_time()
        file = write(path, count, dim, chunks(vectors), graph=graph)
        built[graph] = time.process_time() - begin
        files[graph] = (path, file, Part.open(path, file, dim))
    times: dict[tuple[str, bool], list[float]] = {}
    for turn in range(rounds):
        queries = asked[turn::rounds]
        for graph, (path, file, part) in files.items():
            times.setdefault(("warm", graph), []).append(warm(part, queries))
            times.setdefault(("cold", graph), []).append(cold(path, file, queries))
    saved = {
        state: statistics.median(
            flat - graph for flat, graph in zip(times[state, False], times[state, True], strict=True)
        )
        for state in ("warm", "cold")
    }
    cells = [f"{count:,}", f"{built[False]:.1f}", f"{built[True]:.1f}"]
    cells += [spread(times[state, graph]) for state in ("warm", "cold") for graph in (False, True)]
    cells += [f"{saved['warm']:.1f}", f"{saved['cold']:.1f}"]
    print(f"| {' | '.join(cells)} |", flush=True)
    for path, _, _ in files.values():
        path.unlink()
    return saved["warm"] >= SAVES_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", default="10000,20000,50000,100000,200000")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(
        "| vectors | s to write: exact | graph | ms, exact | graph | ms, new process, exact | graph | saved | saved |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    counts = sorted(map(int, arguments.vectors.split(",")))
    with tempfile.TemporaryDirectory(prefix="searcher-graph-from-") as folder:
        pays = {count: measure(count, arguments.dim, arguments.rounds, Path(folder)) for count in counts}
    first = next((count for count in counts if all(pays[each] for each in counts if each >= count)), None)
    print(f"a graph saves {SAVES_MS} ms a search from {first} vectors on; GRAPH_FROM is {GRAPH_FROM}")
    return int(any(pays[count] != (count >= GRAPH_FROM) for count in counts))


if __name__ == "__main__":
    sys.exit(main())
