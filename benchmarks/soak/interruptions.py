"""Claim: whatever interrupts a run, nothing is lost. The next run continues, and the library equals one that was never
interrupted.

    python benchmarks/soak/interruptions.py [--kills 200] [--faults 80] [--seed 1] [JOB …]

Each job (`--help` lists them) is killed at random moments, and gets an error or a
kill at writes, renames and syncs of its run: `--faults` of them that are chosen at random, or all of them with 0.
It needs Linux, strace and the extra `test`.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak.results import Result, show
from searcher.commands.common import print_table
from tests.soak.faults import KILL, Fault, faults, inject
from tests.soak.interrupt import Broken, Trial
from tests.soak.jobs import JOBS
from tests.soak.place import Place

COUNTED = (
    "kills",
    "ended before",
    "kills at a call",
    "errors at a call",
    "of these exit 0",
    "not reached",
    "broken",
    "broken at a call",
    "broken by an error",
    "seconds",
)


def attempt(work: Callable[[], None], counts: Counter[str], broken: str) -> None:
    try:
        work()
    except Broken as error:
        counts[broken] += 1
        print(f"BROKEN {error}", flush=True)


def soak(name: str, kills: int, most_faults: int, chance: random.Random, strace: str | None) -> Counter[str]:
    """Interrupt one job. Returns what happened how often."""
    counts: Counter[str] = Counter()
    home = Path(tempfile.mkdtemp(prefix="searcher-soak-"))
    start = time.monotonic()
    try:
        trial = Trial(Place(home), JOBS[name])

        def kill() -> None:
            counts["kills" if trial.kill_at_random(chance) else "ended before"] += 1

        def fail(fault: Fault) -> None:
            code = inject(trial, fault, strace or "")
            if code is None:
                counts["not reached"] += 1
            else:
                counts["kills at a call" if fault.what == KILL else "errors at a call"] += 1
                counts["of these exit 0"] += code == 0

        while counts["kills"] + counts["broken"] < kills:
            attempt(kill, counts, "broken")
        if strace is not None and most_faults >= 0:
            every = faults(trial, strace)
            chosen = every if most_faults == 0 else chance.sample(every, min(most_faults, len(every)))
            for fault in chosen:
                broken = "broken at a call" if fault.what == KILL else "broken by an error"
                attempt(partial(fail, fault), counts, broken)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    counts["seconds"] = round(time.monotonic() - start)
    return counts


def run(arguments: Sequence[str] | None = None) -> list[Result]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", default=list(JOBS), help=", ".join(JOBS))
    parser.add_argument("--kills", type=int, default=200, help="at random moments, of all jobs together")
    parser.add_argument("--faults", type=int, default=80, help="of each job; 0: at every call, -1: none")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    strace = shutil.which("strace")
    if strace is None:
        print("strace is not installed: no faults at single calls", file=sys.stderr)
    chance = random.Random(options.seed)
    each = -(-options.kills // len(options.jobs))
    results: dict[str, Counter[str]] = {}
    with suppress(KeyboardInterrupt):  # Ctrl-C ends with the figures of the jobs that are done
        for name in options.jobs:
            results[name] = soak(name, each, options.faults, chance, strace)
            print(f"{name}: {', '.join(f'{count:,} {what}' for what, count in results[name].items())}", flush=True)
    print("Runs that were interrupted:")
    rows = [[name, *(f"{counts[column]:,}" for column in COUNTED)] for name, counts in results.items()]
    total: Counter[str] = sum(results.values(), Counter())
    print_table(["run", *COUNTED], [*rows, ["all", *(f"{total[column]:,}" for column in COUNTED)]])
    return [
        Result(f"kills of {len(results)} commands at random moments", f"{total['kills']:,}", total["broken"]),
        Result("kills at a write, rename or sync", f"{total['kills at a call']:,}", total["broken at a call"]),
        Result("errors at a write, rename or sync", f"{total['errors at a call']:,}", total["broken by an error"]),
    ]


if __name__ == "__main__":
    sys.exit(show(run()))
