"""A library, its photos and the installed program, at a path that stays the same: runs on it can be repeated."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.soak.contents import Contents, contents
from tests.soak.tiny_model import make_tiny_model

CHECKOUT = Path(__file__).parents[2]
LONGEST_S = 300.0


class Place:
    """The folder `now` holds `photos` and `library`. `keep` and `go_back` save and restore all of it."""

    def __init__(self, home: Path) -> None:
        self.home, self.now = home, home / "now"
        self.photos, self.library = self.now / "photos", self.now / "library"
        self.photos.mkdir(parents=True)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SEARCHER")} | {
            "HOME": str(home),
            "SEARCHER_LIBRARY": str(self.library),
            "SEARCHER_MODELS": str(home / "models"),
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # what the program writes is the same each time
        }
        self.model = make_tiny_model(home / "models/tiny", "tiny", 1)
        self.other_model = make_tiny_model(home / "models/other", "other", 2)

    def start(
        self, *arguments: str, trace: tuple[str, ...] = (), output: IO[str] | None = None
    ) -> subprocess.Popen[str]:
        """Start `searcher …` in a session of its own, under strace if its arguments are given.

        output: an open file for what it says. Without one, pipes that must be read.
        """
        return subprocess.Popen(
            [*trace, sys.executable, "-m", "searcher", *arguments],
            cwd=self.now,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=output or subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, trace: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run `searcher …` to its end."""
        process = self.start(*arguments, trace=trace)
        try:
            output, errors = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def must(self, *arguments: str) -> str:
        """Run `searcher …`, which must succeed, and return its output."""
        done = self.run(*arguments)
        if done.returncode:
            raise AssertionError(f"{arguments}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    def keep(self, name: str) -> None:
        """Save the folder `now` under a name."""
        shutil.rmtree(self.home / name, ignore_errors=True)
        shutil.copytree(self.now, self.home / name)

    def go_back(self, name: str) -> None:
        """Make the folder `now` as it was when it was saved."""
        shutil.rmtree(self.now)
        shutil.copytree(self.home / name, self.now)

    def contents(self) -> Contents:
        return contents(self.library, self.photos)
