"""`metrics.jsonl`: a JSON line of measurements every few steps."""

import json
from pathlib import Path
from typing import Any

from searcher.progress import Progress


class Metrics:
    """Write the lines of a run, and report each one to `progress`.

    Lines after the step that the run resumes from are removed at the start.
    """

    def __init__(self, path: Path, step: int, progress: Progress) -> None:
        self.path, self.progress = path, progress
        partial = path.with_name(path.name + ".part")
        kept = [line for line in read_metrics(path) if line["step"] <= step] if step else []
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        partial.replace(path)

    def write(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.progress.metrics(line)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the lines written so far. A line that was cut short by a kill is skipped."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "step" in line:
            lines.append(line)
    return lines
