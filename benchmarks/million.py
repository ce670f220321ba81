"""Claim: in a library of a million photos, each command takes as long as its work demands, and little memory.

    python benchmarks/million.py [--photos 1000000] [--dim 512] [--rounds 3] [--folder DIR] [--vectors DIR]

The library is made (benchmarks/made_library.py), and so is one of 1,000 photos. It takes a minute, and the files of the
vectors take some minutes more, unless they are in --vectors, where benchmarks/ann.py keeps them. --folder keeps all of
it. In each round every command runs as a new process with a warm page cache, and right after it what it is compared
with. Times are medians of the rounds with the shortest and the longest: seconds, and seconds of processor time, which
other programs disturb less. Memory is the most anonymous memory of the process at any time, which mapped files are no
part of (Linux).

    index       `searcher index` with nothing new, against os.scandir and stat of the same files
    status      `searcher status`, against the small library
    tags        `searcher tags`, against the small library
    check       `searcher check`, against reading the files of the library once with BLAKE2b
    duplicates  `searcher duplicates`, against the comparison of the hashes alone, by FAISS
    search      `searcher search "a dog"`, against the small library; the difference without opening the files
    add         `searcher index` of a folder with 100 new photos, against the small library
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from PIL import Image

from benchmarks.made_library import MadeLibrary, made_library
from benchmarks.scan import bare
from benchmarks.shared import ROOT, print_table

SMALL, ADDED = 1000, 100
LOOK_S = 0.01  # between two looks at the memory of a process
MB = 1e6

# What a cold search does with the vector files, in a new process: milliseconds of each part, and the size of a graph.
PARTS = """
import json, sys, time
import faiss, numpy as np
from searcher.library import Library
from searcher.models.relevance import read_text
from searcher.vectors.store import VectorStore

times = {}
def timed(name, work):
    begin = time.perf_counter()
    result = work()
    times[name] = (time.perf_counter() - begin) * 1000
    return result

library = Library.open(sys.argv[1])
row = library._current()
store = VectorStore(library.folder, row)
with library._catalog.read() as view:
    timed("open", lambda: store.sync(view))
queries = read_text(library.model, "a dog").vectors
timed("first search", lambda: store.search(queries, 36))
timed("second search", lambda: store.search(queries, 36))
collection = library.collection()
ids = [id for id, _ in collection.nearest(queries[:1], 20)[0]]
timed("look up", lambda: collection.tags([photo.id for photos in collection.photos(ids).values() for photo in photos]))
times["wordings"] = len(queries)
print(json.dumps(times))
"""
HASHES = """
import sqlite3, sys
import faiss, numpy as np
rows = sqlite3.connect(f"file:{sys.argv[1]}/catalog.sqlite?mode=ro", uri=True).execute("SELECT phash FROM contents")
hashes = np.array([row[0] for row in rows], np.int64).view(np.uint8).reshape(-1, 8)
index = faiss.IndexBinaryFlat(64)
index.add(hashes)
for start in range(0, len(hashes), 1024):
    index.search(hashes[start : start + 1024], 1)
"""


class Run(NamedTuple):
    """What has run: seconds, seconds of processor time, the most anonymous memory in bytes, and what it printed."""

    seconds: float
    cpu: float
    memory: int = 0
    output: str = ""


def run(*words: str | Path) -> Run:
    """Run a Python process. Raises RuntimeError with what it printed if it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, *map(str, words)], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=env
        )
        status, memory = Path(f"/proc/{process.pid}/status"), 0
        while True:
            ended, code, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            found = status.read_text().partition("RssAnon:")[2].split()
            memory = max(memory, 1024 * int(found[0]) if found else 0)  # a process that ends has none
            time.sleep(LOOK_S)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(code)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))}: {errors.read()[-2000:]}")
        return Run(seconds, used.ru_utime + used.ru_stime, memory, output.read())


def searcher(*words: str | Path) -> Run:
    return run("-m", "searcher", *words)


def measured(work: Callable[[], object]) -> Run:
    """Run a function in this process."""
    begin, used = time.perf_counter(), time.process_time()
    work()
    return Run(time.perf_counter() - begin, time.process_time() - used)


def compared(pairs: Sequence[tuple[float, float]]) -> str:
    """What was measured, what it is compared with, and the ratio."""
    mine, other = zip(*pairs, strict=True)
    return f"{spread(mine)} to {spread(other)}: {spread([first / second for first, second in pairs])}×"


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def photos_to_add(folder: Path) -> None:
    """Small photos that no library has, each time other ones."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    random = np.random.default_rng()
    for number in range(ADDED):
        pixels = random.integers(0, 255, (12, 16, 3), np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(folder / f"{number}.jpg")


def read_once(library: Path) -> None:
    for file in sorted(library.iterdir()):
        if file.is_file():
            digest = blake2b(digest_size=16)
            with file.open("rb") as opened:
                while block := opened.read(1 << 22):
                    digest.update(block)


class Bench:
    """Runs the commands in both libraries."""

    def __init__(self, large: MadeLibrary, small: MadeLibrary, work: Path, rounds: int) -> None:
        self.large, self.small, self.work, self.rounds = large, small, work, rounds
        self.rows: list[tuple[str, ...]] = []

    def against(self, name: str, ours: Callable[[], Run], peer: str, theirs: Callable[[], Run]) -> None:
        """Measure a command and what it is compared with in turn."""
        runs = [(ours(), theirs()) for _ in range(self.rounds + 1)][1:]  # the first round warms up
        seconds = [(mine.seconds, other.seconds) for mine, other in runs]
        cpu = [(mine.cpu, other.cpu) for mine, other in runs]
        memory = max(mine.memory for mine, _ in runs) / MB
        cells = [f"{compared(seconds)}", f"{compared(cpu)}", f"{memory:.0f} MB"]
        self.rows.append((name, peer, *cells))
        print(" | ".join(self.rows[-1]), flush=True)
        longer = [spread([1000 * (mine - other) for mine, other in each], 0) for each in (seconds, cpu)]
        print(f"  longer: {longer[0]} ms, {longer[1]} ms of processor time", flush=True)

    def in_both(self, name: str, *words: str) -> None:
        """Measure a command in the large library against the same in the small one."""
        self.against(
            f"`{name}`",
            lambda: searcher(*words, "--library", self.large.library),
            f"the same with {self.small.count:,} photos",
            lambda: searcher(*words, "--library", self.small.library),
        )

    def index(self) -> None:
        photos = os.fsencode(self.large.photos)
        self.against(
            "`index`, nothing new",
            lambda: searcher("index", "--quiet", "--library", self.large.library),
            "`os.scandir` and `stat`",
            lambda: measured(lambda: bare(photos)),
        )

    def status(self) -> None:
        self.in_both("status", "status")

    def tags(self) -> None:
        self.in_both("tags", "tags")

    def check(self) -> None:
        self.against(
            "`check`",
            lambda: searcher("check", "--library", self.large.library),
            "reading all bytes with BLAKE2b",
            lambda: measured(lambda: read_once(self.large.library)),
        )

    def duplicates(self) -> None:
        self.against(
            "`duplicates`",
            lambda: searcher("duplicates", "--quiet", "--json", "--library", self.large.library),
            "the hashes alone, by FAISS",
            lambda: run("-c", HASHES, self.large.library),
        )

    def search(self) -> None:
        self.in_both('search "a dog"', "search", "a dog")
        parts = [json.loads(run("-c", PARTS, self.large.library).output) for _ in range(self.rounds + 1)][1:]
        for name in parts[0]:
            print(f"  {name}: {spread([part[name] for part in parts], 1)}")

    def add(self) -> None:
        folder = self.work / "added"

        def added(made: MadeLibrary) -> Run:
            report = searcher("index", folder, "--json", "--library", made.library)
            if json.loads(report.output)["added"] != ADDED:
                raise RuntimeError(report.output)
            searcher("forget", folder, "--library", made.library)
            return report

        def in_large() -> Run:
            photos_to_add(folder)
            return added(self.large)

        self.against(
            f"`index`, {ADDED} new photos",
            in_large,
            f"the same with {self.small.count:,} photos",
            lambda: added(self.small),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="Keep the libraries here, or use those that are already here.")
    parser.add_argument("--vectors", type=Path, help="Keep the vectors here, or use those that are already here.")
    names = ("index", "status", "tags", "check", "duplicates", "search", "add")
    parser.add_argument("--only", help=f"Some of {','.join(names)}.")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="searcher-million-"))
    vectors = arguments.vectors or folder / "vectors"
    vectors.mkdir(parents=True, exist_ok=True)
    try:
        small, large = (
            made_library(folder / f"{count}", vectors, count, arguments.dim) for count in (SMALL, arguments.photos)
        )
        bench = Bench(large, small, folder, arguments.rounds)
        for name in names if arguments.only is None else arguments.only.split(","):
            getattr(bench, name)()
    finally:
        if not arguments.folder:
            shutil.rmtree(folder)
    print(f"\n{arguments.photos:,} photos, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print_table(("command", "against", "seconds: ratio", "seconds of processor time: ratio", "memory"), bench.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
