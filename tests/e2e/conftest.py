"""Runs the installed program as a user or a script does: in its own process, on real files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import draw


@dataclass(frozen=True)
class Program:
    """Runs `searcher …` with its own home, library and model store."""

    home: Path
    environment: dict[str, str]

    def __call__(
        self, *arguments: str | bytes | Path, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "searcher", *arguments],
            cwd=cwd or self.home,
            env=self.environment | environment,
            capture_output=True,
            timeout=300,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def json(self, *arguments: str | bytes | Path) -> Any:
        """Return the document that `--json` prints. The exit code must be 0."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fails(self, *arguments: str | bytes | Path, code: int, **options: Any) -> str:
        """Return the error line. The exit code must be `code`, stdout empty, and stderr one line."""
        done = self(*arguments, **options)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        return lines[0]


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def program(tmp_path: Path, model_store: Path) -> Program:
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SEARCHER", "XDG_"))}
    environment |= {
        "HOME": str(home),
        "SEARCHER_LIBRARY": str(home / "library"),
        "SEARCHER_MODELS": str(model_store),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONUTF8": "1",
    }
    return Program(home, environment)


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of `count` pictures: 000.jpg, 001.jpg, …"""

    def make(count: int, name: str = "photos") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(count):
            draw(folder / f"{number:03}.jpg", number)
        return folder

    return make
