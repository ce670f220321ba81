"""The local engine: one piece after another, with all cores of this machine."""

from collections.abc import Generator, Sequence

from searcher.models import Model
from searcher.progress import Progress
from searcher.scale.embedding import Settings, write_shard
from searcher.scale.engine import Count, Outcome
from searcher.scale.plan import Job
from searcher.scale.reading import SourceError


def run_local(model: Model, jobs: Sequence[Job], settings: Settings, progress: Progress) -> Generator[Outcome]:
    """Embed the pieces. Yields what became of each. Raises SearcherError if a shard cannot be written."""
    count = Count(jobs, progress)
    for job in jobs:
        try:
            written = write_shard(model, job, settings, count.now)
            outcome = Outcome(written.photos, written.failed)
        except SourceError as error:
            outcome = Outcome(unread=str(error))
        count.add(outcome)
        yield outcome
