"""Claim: a search among some of the photos takes about as long as the quickest of the ways that are measured here.

    python benchmarks/filter.py [--sizes 100000 1000000] [--dim 384] [--queries 1 16] [--rounds 9]

The vectors are made. They are in a vector file as a library has it, and in a SQLite table with the columns of the
catalog. For each share of allowed ids, each way finds the 20 nearest vectors, and all of them find the same ones:

    selector: FAISS looks at all ids and asks which are allowed, by a hash table (batch), a bitmap, or an array
    few:      the allowed vectors alone are compared, from the mapped file or from SQLite
    store:    what `Part.search` does

Times are in ms, the median of the rounds and their range. They include making the selector. The rounds of the ways
alternate. The page cache is warm.
"""

import argparse
import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import faiss
import numpy as np

from searcher.vectors.exact import exact_search
from searcher.vectors.part import Part
from searcher.vectors.writing import write

SHARES = (0.0001, 0.001, 0.01, 0.1, 0.5)
K, CHUNK = 20, 10_000
SLOWER = 1.5
"""So much slower than the quickest way, and 1 ms more, may the store be."""
MOST_COMPARISONS, MOST_ROWS = 1e9, 100_000  # for an array, and from SQLite: more would take minutes

Found = tuple[np.ndarray, np.ndarray]
Way = Callable[[np.ndarray, np.ndarray], Found]


def make(folder: Path, count: int, dim: int) -> tuple[Part, sqlite3.Connection]:
    """A vector file and a table of `count` vectors. Three ids in four are used."""
    random = np.random.default_rng(count)
    ids = np.sort(random.choice(np.arange(1, count * 4 // 3 + 1), count, replace=False)).astype(np.int64)
    database = sqlite3.connect(folder / f"{count}.sqlite")
    database.execute("CREATE TABLE embeddings (id INTEGER PRIMARY KEY, precision TEXT, vector BLOB)")

    def chunks():  # type: ignore[no-untyped-def]
        for start in range(0, count, CHUNK):
            some = ids[start : start + CHUNK]
            vectors = random.standard_normal((len(some), dim)).astype(np.float32)
            rows = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
            values = [(id, "int8", row.tobytes()) for id, row in zip(some.tolist(), rows, strict=True)]
            database.executemany("INSERT INTO embeddings VALUES (?, ?, ?)", values)
            yield some, rows
        database.commit()

    path = folder / f"{count}.faiss"
    return Part.open(path, write(path, count, dim, chunks()), dim), database


def ways(file: Part, database: sqlite3.Connection, share: float, queries: int) -> dict[str, Way]:
    index, count = file._index, len(file)

    def selected(queries: np.ndarray, selector: faiss.IDSelector) -> Found:
        scores, ids = index.search(queries, K, params=faiss.SearchParameters(sel=selector))
        return scores, ids

    def blobs(queries: np.ndarray, allowed: np.ndarray) -> Found:
        sql = "SELECT id, vector FROM embeddings WHERE id IN (SELECT value FROM json_each(?))"
        rows = database.execute(sql, [json.dumps(allowed.tolist())]).fetchall()
        vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float16).reshape(len(rows), file.dim)
        return exact_search(np.array([row[0] for row in rows]), vectors, queries, K)

    found: dict[str, Way] = {
        "selector batch": lambda queries, allowed: selected(queries, faiss.IDSelectorBatch(allowed)),
        "selector bitmap": lambda queries, allowed: file.search_all(queries, K, file.wanted(allowed)),
        "few from file": lambda queries, allowed: file.search_few(queries, K, file.rows_of(allowed)),
        "store": lambda queries, allowed: file.search(queries, K, allowed),
    }
    if queries * share * count * count <= MOST_COMPARISONS:
        found["selector array"] = lambda queries, allowed: selected(queries, faiss.IDSelectorArray(allowed))
    if share * count <= MOST_ROWS:
        found["few from SQLite"] = blobs
    return found


def measure(
    file: Part, database: sqlite3.Connection, share: float, queries: int, rounds: int
) -> dict[str, list[float]]:
    """The milliseconds of each way in each round."""
    random = np.random.default_rng(1)
    allowed = np.sort(random.choice(file.ids, round(share * len(file)), replace=False))
    tried = ways(file, database, share, queries)
    times: dict[str, list[float]] = {name: [] for name in tried}
    for number in range(rounds + 1):  # the first round warms up
        asked = random.standard_normal((queries, file.dim)).astype(np.float32)
        results = {}
        for name, way in tried.items():
            start = time.perf_counter()
            results[name] = way(asked, allowed)[1]
            times[name].append((time.perf_counter() - start) * 1000)
        found = results["store"]
        # two vectors of nearly the same score may change places
        assert all(np.mean(ids == found) > 0.99 for ids in results.values()), number
    return {name: each[1:] for name, each in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    folder, slow = Path(tempfile.mkdtemp(prefix="searcher-filter-")), False
    try:
        for size in arguments.sizes:
            file, database = make(folder, size, arguments.dim)
            with closing(database):
                for queries in arguments.queries:
                    for share in SHARES:
                        print(f"{size:,} x {arguments.dim}, {share:.2%} allowed, {queries} at a time")
                        times = measure(file, database, share, queries, arguments.rounds)
                        for name, each in times.items():
                            middle = statistics.median(each)
                            print(f"  {name:<16} {middle:8.2f}  ({min(each):.2f} to {max(each):.2f})", flush=True)
                        best = {name: min(each) for name, each in times.items()}  # what else runs disturbs it least
                        slow |= best.pop("store") > SLOWER * min(best.values()) + 1
    finally:
        shutil.rmtree(folder)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
