"""Claim: whatever happens to files, disks and programs, nothing is lost. Runs the scripts of this folder, and prints
one table.

    python benchmarks/soak/all.py [--short]

It takes about two hours, and some minutes with `--short`. It needs Linux, strace and the extra `test`. As root, it also
fills and unmounts disks.
"""

import argparse
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak import disks, interruptions, mutations, watching
from benchmarks.soak.results import Result, show

# each script, and what makes it short
SCRIPTS = {
    mutations: ("--files", "500"),
    interruptions: ("--kills", "14", "--faults", "4"),
    disks: ("--step", "256", "--rounds", "1"),
    watching: ("--minutes", "2", "--each", "0.7", "--burst", "500"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="minutes instead of hours")
    options = parser.parse_args()
    results: list[Result] = []
    for script, short in SCRIPTS.items():
        name = f"benchmarks/soak/{Path(script.__file__).name}"
        print(f"== {name}", flush=True)
        try:
            results += script.run(short if options.short else ())
        except Exception:
            traceback.print_exc()
            results.append(Result(f"{name} failed", "", 1))
    print("== all")
    return show(results)


if __name__ == "__main__":
    sys.exit(main())
