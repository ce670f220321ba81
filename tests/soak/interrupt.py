"""Interrupt a run, and compare what is left, and what the next run makes of it, with a run that was not interrupted."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from tests.soak.contents import Contents, differences, problems
from tests.soak.jobs import Job
from tests.soak.place import LONGEST_S, Place

POLL_S = 0.002
PAUSE_S = 0.25  # between two changes of the photos
SETTLED_S = 2.0  # after the last change, so long it is not ended
LEFT_S = 15.0  # after this, no process of a killed run may be left


class Broken(AssertionError):
    """Something was lost, or a run did not end as it should."""


@dataclass
class Trial:
    """A job at its place, ready to be interrupted any number of times.

    seconds: how long the uninterrupted run changed files. expected: what it left.
    """

    place: Place
    job: Job
    seconds: float = 0.0
    expected: Contents = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.job.prepare(self.place)
        self.place.keep("before")
        if self.job.meanwhile:
            self._change_photos(0)
            self.seconds = PAUSE_S * len(self.job.meanwhile) + 1.5
        else:
            _, self.seconds = self._run_until(float("inf"))
        self.place.must(*self.job.again)
        self.expected = self.place.contents()

    def _change_photos(self, first: int) -> None:
        for change in self.job.meanwhile[first:]:
            change(self.place)

    def _run_until(self, kill_after: float) -> tuple[bool, float]:
        """Run the command. Kill it `kill_after` seconds after it first changed a file.

        Returns whether it was killed before it ended, and for how long it had changed files.
        """
        before = self._seen()
        process = self.place.start(*self.job.command)
        begun: float | None = None
        if self.job.meanwhile:  # nothing needs to be indexed when it starts
            _wait_for_a_line(process)
            begun = time.monotonic()
        changed, end = 0, time.monotonic() + LONGEST_S
        while process.poll() is None:
            now = time.monotonic()
            if begun is None and self._seen() != before:
                begun = now
            elif begun is not None and changed < len(self.job.meanwhile) and now - begun > PAUSE_S * (changed + 1):
                self.job.meanwhile[changed](self.place)
                changed += 1
            if now > end or (begun is not None and now - begun >= kill_after):
                break
            time.sleep(POLL_S)
        process.kill()
        _, errors = process.communicate()
        self._change_photos(changed)
        if process.returncode not in (0, -signal.SIGKILL) or time.monotonic() > end:
            raise Broken(f"{self.job.name} failed by itself: {errors}")
        _wait_for_the_rest(process.pid)
        return process.returncode != 0, 0.0 if begun is None else time.monotonic() - begun

    def run(self, trace: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """Run the command to its end under strace. One that does not end by itself is terminated after the changes."""
        if not self.job.meanwhile:
            return self.place.run(*self.job.command, trace=trace)
        process = self.place.start(*self.job.command, trace=trace)
        _wait_for_a_line(process)
        for change in self.job.meanwhile:
            time.sleep(PAUSE_S)
            change(self.place)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SETTLED_S)
        with suppress(psutil.NoSuchProcess):
            for traced in psutil.Process(process.pid).children():
                traced.terminate()
        output, errors = process.communicate(timeout=LONGEST_S)
        return subprocess.CompletedProcess(self.job.command, process.returncode, output, errors)

    def _seen(self) -> list[tuple[str, int]]:
        found = []
        for folder in (self.place.library, self.place.photos):
            with suppress(OSError), os.scandir(folder) as entries:
                found += [(entry.name, entry.stat().st_mtime_ns) for entry in entries]
        return sorted(found)

    def kill_at_random(self, chance: random.Random) -> bool:
        """Kill a run at a random moment, and verify what is left. Returns False if it had ended before."""
        self.place.go_back("before")
        killed, _ = self._run_until(chance.uniform(0, self.seconds))
        self.verify("a kill")
        return killed

    def verify(self, what: str) -> None:
        """Raises Broken if the library is not sound, or the next run does not complete it."""
        if found := problems(self.place.library):
            raise Broken(f"{self.job.name}: after {what}: {'; '.join(found)}")
        done = self.place.run(*self.job.again)
        if done.returncode:
            raise Broken(f"{self.job.name}: after {what}, the next run failed: {done.stderr}")
        if lines := problems(self.place.library) + differences(self.place.contents(), self.expected):
            raise Broken(f"{self.job.name}: after {what} and another run: {'; '.join(lines)}")


def _wait_for_a_line(process: subprocess.Popen[str]) -> None:
    """Wait until a process has said that its first run is done, or has ended."""
    assert process.stdout is not None
    process.stdout.readline()


def _wait_for_the_rest(session: int) -> None:
    """Wait until no process of a session is left."""
    end = time.monotonic() + LEFT_S
    while time.monotonic() < end:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return
        time.sleep(POLL_S)
    raise Broken("a process of the killed run is still there")
