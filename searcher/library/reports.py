"""Reports about a library."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a library.

    missing: the roots that do not exist now. kind: the kind of the index file, "flat" or "none". vectors: the number
    of vectors in the index file. pending: the number of vectors that are not in the file yet; they are searched in
    the catalog. bytes: the size of the library on disk.
    """

    library: str
    model: str | None
    roots: tuple[str, ...]
    missing: tuple[str, ...]
    images: int
    failed: int
    kind: str
    vectors: int
    pending: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the status as `status --json` prints it."""
        return {
            "library": self.library,
            "model": self.model,
            "roots": list(self.roots),
            "images": self.images,
            "failed": self.failed,
            "index": {"kind": self.kind, "vectors": self.vectors, "pending": self.pending},
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The remaining problems that `check` found, one line each, and the problems that were repaired."""

    problems: tuple[str, ...]
    repaired: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no problems, or all of them were repaired."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the report as `check --json` prints it."""
        return {"ok": self.ok, "problems": list(self.problems)}
