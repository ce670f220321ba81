"""Claim: while photos come, move and go, disks are unplugged, and it is killed, `searcher watch` keeps the library
equal to a new one of the same photos. A search finds a new photo within two seconds. A burst of files is one batch.

    python benchmarks/soak/watching.py [--minutes 60] [--each 10] [--burst 5000] [--seed 1]

Each `--each` minutes it is killed and started again. It needs the extra `test`. As root on Linux, the disks are real
mounts. Otherwise one is a folder that is renamed.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak.results import Result, show
from tests.soak.interrupt import Broken
from tests.soak.place import Place
from tests.soak.watched import Watched

PHOTOS = 30  # that are searched for
FOUND_S = 2.0


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def speed(watched: Watched, burst: int) -> list[Result]:
    """How fast new photos are found. Raises Broken."""
    seconds = watched.found_after(PHOTOS)
    said = f"median {median(seconds):.1f} s, at most {max(seconds):.1f} s"
    batches, until = watched.burst(burst)
    results = [
        Result(f"from a whole file until a search finds it, {PHOTOS} photos", said, int(median(seconds) > FOUND_S)),
        Result(f"batches of a burst of {burst:,} files", f"{batches}, after {until:.1f} s", int(batches != 1)),
    ]
    for result in results:
        say(f"{result.what}: {result.figure}")
    return results


def follow(watched: Watched, seconds: float, each: float) -> None:
    """Change photos for some seconds. Raises Broken."""
    killed = start = time.monotonic()
    while time.monotonic() - start < seconds:
        for _ in range(3):
            watched.round()
        watched.unplug(watched.chance.uniform(3, 20))
        photos = watched.compare()
        counts = ", ".join(f"{count:,} {what}" for what, count in watched.counts.items())
        say(f"{photos:,} photos, as in a new library; {counts}")
        if time.monotonic() - killed >= each:
            killed = time.monotonic()
            watched.kill()
            say("killed and started again")
    watched.compare()
    watched.stop()


def run(arguments: Sequence[str] | None = None) -> list[Result]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--each", type=float, default=10, help="minutes")
    parser.add_argument("--burst", type=int, default=5000, help="files")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="searcher-soak-"))
    watched = Watched(Place(home), random.Random(options.seed))
    results, broken = [], 0
    start = time.monotonic()
    try:
        results = speed(watched, options.burst)
        start = time.monotonic()
        follow(watched, options.minutes * 60, options.each * 60)
    except Broken as error:
        broken = 1
        say(f"BROKEN {error} (its files are in {home})")
    finally:
        watched.close()
        if not broken:
            shutil.rmtree(home, ignore_errors=True)
    steps = ", ".join(f"{count:,} × {what}" for what, count in sorted(watched.changes.counts.items()))
    late = sorted(watched.delays)
    say(f"{steps}; caught up after {median(late):.1f} s, at most {late[-1]:.1f} s")
    counts = watched.counts
    said = f"{counts['changes']:,} changes, {counts['kills']} kills, {counts['disks']} disks unplugged"
    results.append(Result(f"{(time.monotonic() - start) / 60:.0f} minutes of watch", said, broken))
    results.append(Result("comparisons of it with a new library", f"{counts['comparisons']:,}"))
    return results


if __name__ == "__main__":
    sys.exit(show(run()))
