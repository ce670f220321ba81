"""What a library says of itself."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Status:
    """A library at a glance. `missing`: roots that are not there now; `bytes`: what the library takes on
    disk.

    `kind`: "flat" or "none"; `vectors`: how many are in the index file; `pending`: how many are not yet, and
    are searched in the catalog.
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
        """As `status --json` prints it."""
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
    """What `check` found wrong, one line each, and what of it `repaired` names as mended."""

    problems: tuple[str, ...]
    repaired: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, or all of it was mended."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        return {"ok": self.ok, "problems": list(self.problems)}
