"""`embed`: sources → a folder of Parquet shards, on this machine or on a cluster."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searcher.errors import InvalidInput, SearcherError
from searcher.models import Model
from searcher.models.remembered import open_remembered
from searcher.models.store import default_name
from searcher.progress import SILENT, Progress
from searcher.scale.embedding import Settings
from searcher.scale.engine import Cluster, Outcome
from searcher.scale.files import is_local, location, shown, write_lock
from searcher.scale.local import run_local
from searcher.scale.plan import Plan, check_same, jobs, read_done, read_plan, write_plan
from searcher.scale.shards import Facts
from searcher.scale.sources import find

PHOTOS_A_SHARD = 1000


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What a run did.

    photos: rows that were written. embedded, failed: those with and without an embedding. shards: files that were
    written. skipped: shards that were there before. seconds: in all. notices: lines for the user.
    """

    photos: int
    embedded: int
    failed: int
    shards: int
    skipped: int
    seconds: float
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The report as `embed --json` prints it."""
        return {
            "photos": self.photos,
            "embedded": self.embedded,
            "failed": self.failed,
            "shards": self.shards,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
        }


def embed(
    sources: Sequence[str],
    out: str,
    *,
    model: str | None = None,
    thumbnails: bool = False,
    photos_a_shard: int = PHOTOS_A_SHARD,
    cluster: Cluster | None = None,
    progress: Progress = SILENT,
) -> EmbedReport:
    """Embed the photos of `sources` into shards in the folder `out`. What earlier runs have embedded is skipped.

    sources: paths or URIs of photo files, tar files, Parquet files, or folders of these. model: a name in the store or
    a folder; None is the model of the shards that are there, or the default one. cluster: where Ray runs; None embeds
    on this machine without Ray.

    Raises NotFound and InvalidInput for sources, a model or a folder that cannot be used, Busy if another process
    writes to `out`, and SearcherError if a shard cannot be written. Finished shards are kept, whatever happens.
    """
    begun = time.monotonic()
    plan = read_plan(out)
    encoder = _open(model, plan, gpus=cluster is not None and cluster.wants_gpus)
    if plan is not None:
        check_same(out, plan, encoder, thumbnails)
        encoder = encoder.in_precision(plan.facts.precision)
    facts = _facts(encoder)
    found = find(sources, _own_folder(out), progress)
    if not any(found.photos.values()) and not any(found.archives.values()):
        return EmbedReport(0, 0, 0, 0, 0, time.monotonic() - begun, tuple(found.notices))
    with write_lock(out):
        done = read_done(out, facts)
        left = jobs(found, done, photos_a_shard)
        named = tuple(dict.fromkeys((*(() if plan is None else plan.sources), *map(_named, sources))))
        if left and (plan is None or plan.sources != named):
            write_plan(out, Plan(facts, thumbnails, named))
        settings = Settings(out, facts, thumbnails)
        if cluster is None or not left:
            outcomes = run_local(encoder, left, settings, progress)
        else:
            from searcher.scale.on_ray import run_ray

            outcomes = run_ray(encoder, left, settings, cluster, progress)
        with closing(outcomes):
            photos, failed, written = _total(outcomes)
    return EmbedReport(
        photos, photos - failed, failed, written, done.shards, time.monotonic() - begun, tuple(found.notices)
    )


def _total(outcomes: Iterator[Outcome]) -> tuple[int, int, int]:
    """Photos, photos that failed, and shards. Raises SearcherError if a shard was not written."""
    photos = failed = shards = 0
    unread: list[str] = []
    for outcome in outcomes:
        if outcome.unread is not None:
            unread.append(outcome.unread)
        else:
            photos, failed, shards = photos + outcome.photos, failed + outcome.failed, shards + 1
    if unread:
        what = "1 shard is" if len(unread) == 1 else f"{len(unread):,} shards are"
        raise SearcherError(f"{what} not written: {unread[0]}; run the same command again to try again")
    return photos, failed, shards


def _open(asked: str | None, plan: Plan | None, gpus: bool) -> Model:
    """The model that was asked for, or that of the shards, or the default one."""
    if asked is None and plan is not None:
        facts = plan.facts
        found = open_remembered(Path(facts.folder), facts.digest)
        if found is None:
            raise InvalidInput(f"the model {facts.model} of these shards is not on this machine: name it with --model")
        return found
    model = Model.open(default_name() if asked is None else asked)
    if gpus and model.precision == "int8":  # GPUs have no kernels for it
        return model.in_precision("float32")
    return model


def _facts(model: Model) -> Facts:
    return Facts(
        model=model.name,
        digest=model.digest,
        version=model.version or "",
        slug=model.slug,
        folder=str(model.folder),
        dim=model.dim,
        precision=model.precision,
    )


def _named(source: str) -> str:
    """A source as the plan has it: an absolute path, or a URI without passwords."""
    return location(source)[1] if is_local(source) else shown(source)


def _own_folder(out: str) -> list[bytes]:
    """The folder of the shards, as a part of paths of files."""
    if not is_local(out):
        return [shown(out).rstrip("/").encode() + b"/"]
    return [location(out)[1].rstrip("/").encode("utf-8", "surrogateescape") + b"/"]
