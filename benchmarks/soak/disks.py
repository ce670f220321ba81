"""Claim: a disk that is full at any moment, or read-only, costs one line, and the next run completes the library. Two
writers and eight readers share a library without an error.

    python benchmarks/soak/disks.py [--step 16] [--rounds 5]

Each run is repeated on a small file system in memory with more and more space, in steps of `--step` KiB, until it
succeeds. Only root can mount one. It needs Linux and the extra `test`.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak.results import Result, show
from searcher.commands.common import print_table
from tests.soak.crowd import READERS, crowd
from tests.soak.disks import can_mount, fill_up, make_read_only
from tests.soak.interrupt import Broken, Trial
from tests.soak.jobs import JOBS
from tests.soak.place import Place


@contextmanager
def new_place() -> Iterator[Place]:
    home = Path(tempfile.mkdtemp(prefix="searcher-soak-"))
    try:
        yield Place(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def full(trial: Trial, step: int) -> tuple[int, int, int]:
    """Run a job with more and more space. Returns on how many disks it ended with an error, how many of them were
    broken, and the bytes of space with which it succeeded.
    """
    spare = errors = broken = 0
    while True:
        try:
            if not fill_up(trial, spare):
                return errors, broken, spare
        except Broken as error:
            broken += 1
            print(f"BROKEN {error}", flush=True)
        errors += 1
        spare += step


def run(arguments: Sequence[str] | None = None) -> list[Result]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=16, help="KiB")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each writer")
    options = parser.parse_args(arguments)
    results: list[Result] = []
    rows, filled, broken = [], 0, 0
    for job in JOBS.values():
        if job.meanwhile or not can_mount():
            continue
        with new_place() as place:
            trial = Trial(place, job)
            errors, bad, space = full(trial, options.step << 10)
            try:
                said = make_read_only(trial)
            except Broken as error:
                bad, said = bad + 1, str(error)
            rows.append(
                [job.name, f"{errors:,}", f"{bad:,}", f"{space >> 10:,} KiB", said.replace(str(place.now), "…")]
            )
            filled, broken = filled + errors, broken + bad
    if rows:
        results.append(Result("disks that became full in a run", f"{filled:,}, and {len(rows)} read-only ones", broken))
        print("Runs on a full disk and on a read-only one:")
        print_table(["run", "full disks", "broken", "enough", "on a read-only disk"], rows)
    else:
        print("No disks were filled: only root can mount a small one.", file=sys.stderr)
    start = time.monotonic()
    with new_place() as place:
        try:
            written, searched = crowd(place, options.rounds)
        except Broken as error:
            results.append(Result("2 writers and 8 readers at once", "", 1))
            print(f"BROKEN {error}")
        else:
            results.append(Result("2 writers and 8 readers at once", f"{written:,} runs, {searched:,} searches"))
            seconds = time.monotonic() - start
            print(f"2 writers and {READERS} readers: {written} index runs and {searched} searches in {seconds:.0f} s")
    return results


if __name__ == "__main__":
    sys.exit(show(run()))
