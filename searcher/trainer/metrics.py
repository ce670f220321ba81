"""`metrics.jsonl`: one line of numbers every few steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Report = Callable[[dict[str, Any]], None]


class Metrics:
    """The lines of a run, cut back to the step that it resumes from. `report` is called with each new one."""

    def __init__(self, path: Path, step: int, report: Report) -> None:
        self.path, self.report = path, report
        partial = path.with_name(path.name + ".part")
        kept = [line for line in read_metrics(path) if line["step"] <= step] if step else []
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        partial.replace(path)

    def write(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.report(line)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines written so far; one that a kill cut short is left out."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
