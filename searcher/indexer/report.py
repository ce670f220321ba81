"""What an index run did."""

from dataclasses import dataclass
from typing import Any

from searcher.errors import Failure


@dataclass(slots=True)
class Counts:
    """What a run did so far, in files."""

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index run did, in files.

    failed: files that could not be read, now or in an earlier run, in the folders that were looked at. failures: why.
    notices: lines for the user, for example that a folder is missing.
    """

    added: int
    changed: int
    moved: int
    removed: int
    unchanged: int
    failed: int
    seconds: float
    failures: tuple[Failure, ...]
    notices: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as `index --json` prints it, without the notices."""
        return {
            "added": self.added,
            "changed": self.changed,
            "moved": self.moved,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "failures": [failure.as_dict() for failure in self.failures],
        }
