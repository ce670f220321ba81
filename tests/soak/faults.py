"""Faults at each write, rename and sync of a run, with strace. Only the main thread writes to the library."""

import re
import signal
from collections.abc import Iterator
from typing import NamedTuple

from tests.soak.contents import FILES, differences
from tests.soak.interrupt import Broken, Trial

CALLS = ("write", "pwrite64", "rename", "fsync", "fdatasync", "ftruncate", "unlink", "mkdir")
ERRORS = {
    "write": ("EIO", "ENOSPC"),
    "pwrite64": ("EIO", "ENOSPC"),
    "rename": ("EIO", "ENOSPC"),
    "fsync": ("EIO",),
    "fdatasync": ("EIO",),
    "ftruncate": ("EIO",),
    "mkdir": ("ENOSPC",),
}
KILL, FULL = "SIGKILL", "ENOSPC from then on"


class Fault(NamedTuple):
    """What happens at the call number `number` (from 1) of a system call, and the file that it is about."""

    call: str
    number: int
    what: str
    file: str

    def __str__(self) -> str:
        return f"{self.what} at {self.call} {self.number} ({self.file})"

    @property
    def rule(self) -> str:
        """The fault as strace's option -e."""
        if self.what == KILL:
            return f"inject={self.call}:signal=SIGKILL:when={self.number}"
        error, _, onwards = self.what.partition(" ")
        return f"inject={self.call}:error={error}:when={self.number}{'+' if onwards else ''}"


def faults(trial: Trial, strace: str) -> list[Fault]:
    """Every fault at every call of an uninterrupted run that is about the library or the photos."""
    return [
        Fault(call, number, what, file)
        for call, number, file in _calls(trial, strace)
        for what in (*ERRORS.get(call, ()), KILL, *((FULL,) if call == "pwrite64" else ()))
    ]


def _calls(trial: Trial, strace: str) -> Iterator[tuple[str, int, str]]:
    trial.place.go_back("before")
    log = trial.place.home / "calls"
    done = trial.run((strace, "-y", "-e", f"trace={','.join(CALLS)}", "-o", str(log)))
    if done.returncode:
        raise Broken(f"{trial.job.name} failed under strace: {done.stderr}")
    counts = dict.fromkeys(CALLS, 0)
    for line in log.read_text(errors="replace").splitlines():
        call = line.partition("(")[0]
        if call not in counts:
            continue
        counts[call] += 1
        if file := re.search(f'{re.escape(str(trial.place.now))}/([^">]*)', line):
            yield call, counts[call], re.sub("[0-9a-f]{16}", "…", file[1])


def inject(trial: Trial, fault: Fault, strace: str) -> int | None:
    """Run a job with a fault, and verify how it ended and what is left: all that it should do, if the exit code is 0.
    Returns the exit code. Raises Broken.

    Returns None if the run made fewer calls this time, so that nothing happened.
    """
    trial.place.go_back("before")
    log = trial.place.home / "calls"  # strace injects nothing into calls that it does not trace
    rules = ("-e", f"trace={fault.call}", "-e", fault.rule)
    done = trial.run((strace, *rules, "-o", str(log)))
    if fault.what != KILL:
        lines = done.stderr.splitlines()
        one_line = done.returncode == 1 and lines and lines[-1].startswith("Error: ")
        if "Traceback" in done.stderr or "internal error" in done.stderr or not (done.returncode == 0 or one_line):
            raise Broken(f"{trial.job.name}: {fault}: exit code {done.returncode}: {done.stderr}")
    happened = "(INJECTED)" in log.read_text(errors="replace") or done.returncode == -signal.SIGKILL
    if fault.what == KILL and done.returncode != -signal.SIGKILL and happened:
        raise Broken(f"{trial.job.name}: {fault}: exit code {done.returncode}: {done.stderr}")
    if done.returncode == 0 and not trial.job.meanwhile:  # `watch` would have tried again later
        found = trial.place.contents()
        if lines := differences(found | {FILES: []}, trial.expected | {FILES: []}):
            raise Broken(f"{trial.job.name}: {fault}: exit code 0, but {'; '.join(lines)}")
    trial.verify(str(fault))
    return done.returncode if happened else None
