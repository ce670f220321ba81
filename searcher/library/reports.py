"""What a library says about itself."""

from dataclasses import dataclass
from typing import Any

from searcher.errors import Failure
from searcher.photos.rules import FolderOptions
from searcher.search.overview import FolderState


@dataclass(frozen=True, slots=True)
class Folder:
    """An indexed folder. whole: False if only single files in it were named. missing: whether it is not there now.
    options: what it holds.
    """

    path: str
    whole: bool
    missing: bool
    images: int
    failed: int
    options: FolderOptions

    def as_dict(self) -> dict[str, Any]:
        """The folder as `roots --json` prints it."""
        counts = {"path": self.path, "missing": self.missing, "images": self.images, "failed": self.failed}
        return counts | {"whole": self.whole} | self.options.as_dict()


@dataclass(frozen=True, slots=True)
class Status:
    """A library at a glance.

    missing: roots that are not there now. kind: "flat" or "none". vectors: how many are in the vector file. pending:
    how many are not in it yet and are searched in the catalog. bytes: the size of the library on disk, None if
    only a server knows it.
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
    bytes: int | None

    def as_dict(self) -> dict[str, Any]:
        """The status as `status --json` prints it."""
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
class Summary:
    """A library at a glance. revision: see `Library.revision`. bytes: its size on disk, at most a minute old, None if
    only a server knows it.
    """

    revision: str
    model: str | None
    bytes: int | None
    folders: tuple[FolderState, ...]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a run of `load` did, in photos.

    failed: those that have an error in the shards. thumbnails: those whose thumbnail the library has now. damaged:
    shards that could not be read, or not to their end, with the reason.
    """

    shards: int
    added: int
    changed: int
    unchanged: int
    failed: int
    thumbnails: int
    seconds: float
    damaged: tuple[Failure, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as `load --json` prints it."""
        return {
            "shards": self.shards,
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "thumbnails": self.thumbnails,
            "seconds": round(self.seconds, 3),
            "damaged": [failure.as_dict() for failure in self.damaged],
        }


@dataclass(frozen=True, slots=True)
class PhotoCheck:
    """Photo files compared with what was indexed.

    compared: how many were read. skipped: how many are missing, or have another size or time; the next index run looks
    at them. changed: paths of those with another content, although size and time are the same.
    """

    compared: int
    skipped: int
    changed: tuple[str, ...]
    unreadable: tuple[Failure, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each photo that is not what was indexed."""
        changed = (f"{path}: not what was indexed, although its size and time are the same" for path in self.changed)
        return (*changed, *(f"{failure.path}: {failure.error}" for failure in self.unreadable))

    def as_dict(self) -> dict[str, Any]:
        """The result as `check --photos --json` prints it."""
        return {
            "compared": self.compared,
            "skipped": self.skipped,
            "changed": list(self.changed),
            "unreadable": [failure.path for failure in self.unreadable],
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found wrong, one line each. repaired: those of the problems that were repaired. advice: a line
    that says what to do next, or None. photos: what became of the photo files, None if they were not read.
    """

    problems: tuple[str, ...]
    repaired: tuple[str, ...] = ()
    advice: str | None = None
    photos: PhotoCheck | None = None

    @property
    def ok(self) -> bool:
        """Whether no problem is left."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The report as `check --json` prints it."""
        photos = {} if self.photos is None else {"photos": self.photos.as_dict()}
        return {"ok": self.ok, "problems": list(self.problems)} | photos
