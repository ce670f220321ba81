"""Claim: no mutated file crashes the program, holds it up, or takes more memory than the limit; each has a reason.

    python benchmarks/soak/mutations.py [--files 10000] [--seed 1]

A small photo of each supported kind is damaged at random and decoded as `searcher index` does it. It needs Linux
and the extra `test`, which makes camera raw files.
"""

import argparse
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak.results import Result, show
from searcher.photos.cores import usable_cores
from searcher.photos.decode import PhotoError, decode_guarded
from searcher.photos.guard import MAX_SECONDS
from searcher.photos.worker import MAX_MEMORY
from tests.photos.kinds import damaged, one_of_each_kind

SLACK_SECONDS = 3.0  # to start a process, and to end it
SIDES = (None, 30, 224)


def outcome(data: bytes, side: int | None) -> tuple[str, float]:
    """What became of one file, and the seconds it took."""
    start = time.monotonic()
    try:
        decode_guarded(data, side)
        what = "decoded"
    except PhotoError as error:
        assert error.reason
        assert error.reason == " ".join(error.reason.split())
        what = error.reason.partition(":")[0]
    return what, time.monotonic() - start


def largest_process() -> int:
    """The most memory in bytes that a decoding process has held, of those that ended and those that still run."""
    held = [resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
    for child in psutil.Process().children():
        status = Path(f"/proc/{child.pid}/status").read_text()
        held.append(int(status.partition("VmHWM:")[2].split()[0]))
    return max(held) * 1024


def run(arguments: Sequence[str] | None = None) -> list[Result]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    chance, kinds = random.Random(options.seed), one_of_each_kind()
    names = sorted(kinds)
    work = [(names[number % len(names)], chance.choice(SIDES)) for number in range(options.files)]
    files = (damaged(kinds[name], chance) for name, _ in work)
    results: dict[str, Counter[str]] = {name: Counter() for name in names}
    slowest, start = 0.0, time.monotonic()
    with ThreadPoolExecutor(usable_cores()) as pool:
        outcomes = pool.map(outcome, files, [side for _, side in work])
        for (name, _), (what, seconds) in zip(work, outcomes, strict=True):
            results[name][what] += 1
            slowest = max(slowest, seconds)
    memory = largest_process()
    for name in names:
        print(f"{name:20} " + ", ".join(f"{count:,} {what}" for what, count in results[name].most_common()))
    print(
        f"{options.files:,} files of {len(names)} kinds in {time.monotonic() - start:.0f} s: slowest {slowest:.1f} s, "
        f"largest process {memory / 1e6:,.0f} MB (limits: {MAX_SECONDS:.0f} s, {MAX_MEMORY / 1e6:,.0f} MB)"
    )
    figure = f"{options.files:,} of {len(names)} kinds, slowest {slowest:.1f} s, {memory / 1e6:,.0f} MB"
    bad = int(slowest > MAX_SECONDS + SLACK_SECONDS) + int(memory > MAX_MEMORY)
    return [Result("damaged files that were read", figure, bad)]


if __name__ == "__main__":
    sys.exit(show(run()))
