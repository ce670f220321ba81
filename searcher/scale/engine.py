"""What the engines have in common: where they run, and what they say about each piece."""

from collections.abc import Sequence
from dataclasses import dataclass

from searcher.progress import Progress
from searcher.scale.plan import Job


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Ray runs, and with how many workers.

    address: of a cluster, "auto" for one that this machine belongs to, None to start Ray on this machine. workers: None
    chooses their number. gpus: if it is not 0, so many workers are started, and each has a GPU.
    """

    address: str | None = None
    workers: int | None = None
    gpus: int = 0

    @property
    def wants_gpus(self) -> bool:
        """Whether the encoder runs on GPUs."""
        return self.gpus > 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a piece. photos: rows of its shard. failed: those with an error. unread: why there is no shard."""

    photos: int = 0
    failed: int = 0
    unread: str | None = None


class Count:
    """Adds up what is done, for a Progress."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        sizes = [job.piece.photos for job in jobs]
        known = [size for size in sizes if size is not None]
        self._total = sum(known) if len(known) == len(sizes) else None
        self._done = 0
        self._progress = progress
        self.now(0)

    def now(self, photos: int) -> None:
        """So many photos of the piece under way are embedded."""
        self._progress.advance(self._done + photos, self._total)

    def add(self, outcome: Outcome) -> None:
        """A piece is finished."""
        self._done += outcome.photos
        self.now(0)
