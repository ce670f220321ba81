"""What runs on a worker of Ray: it opens the model once, and then turns one piece after another into a shard."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from searcher.errors import SearcherError
from searcher.models import Model
from searcher.scale.embedding import Settings, write_shard
from searcher.scale.packing import open_model
from searcher.scale.plan import Job
from searcher.scale.reading import SourceError

JOB = "job"  # a column with pickled jobs, in the batches that go to a worker
ANSWER = ("photos", "failed", "begun", "unread", "fatal")
"""Columns of the batches that come back. photos, failed, unread: see `Outcome`. begun: how often workers have begun the
piece. fatal: what ends the run. A text is empty if there is none."""

ATTEMPTS = 4  # at one piece, if each worker that takes it is lost; Ray itself would try without end

Batch = dict[str, np.ndarray[Any, np.dtype[Any]]]


class Link(NamedTuple):
    """What a worker asks the cluster for.

    fetch_model: the packed model, None if all workers have its folder. begin: told that a piece is begun, by the name
    of its shard. Returns how often that was: more than once after a worker was lost.
    """

    fetch_model: Callable[[], bytes | None]
    begin: Callable[[str], int]


class Worker:
    """Called by Ray Data with batches of jobs. Nothing is raised for what a person can understand: see ANSWER."""

    def __init__(self, settings: Settings, threads: int, link: Link) -> None:
        """threads: cores that this worker may use."""
        self._settings = replace(settings, threads=threads)
        self._begin = link.begin
        self._model: Model | None = None
        self._problem = ""
        try:
            self._model = open_model(settings.facts, threads, link.fetch_model())
        except SearcherError as error:
            self._problem = f"a worker cannot open the model: {error}"

    def __call__(self, batch: Batch) -> Batch:
        rows = [self._one(pickle.loads(job)) for job in batch[JOB].tolist()]
        return {name: np.array([row[number] for row in rows]) for number, name in enumerate(ANSWER)}

    def _one(self, job: Job) -> tuple[int, int, int, str, str]:
        if self._model is None:
            return 0, 0, 0, "", self._problem
        begun = self._begin(job.name)
        if begun > ATTEMPTS:
            return 0, 0, begun, f"{job.name}: each worker that embedded it was lost, so memory may be short", ""
        try:
            written = write_shard(self._model, job, self._settings)
        except SourceError as error:
            return 0, 0, begun, str(error), ""
        except SearcherError as error:
            return 0, 0, begun, "", str(error)
        return written.photos, written.failed, begun, "", ""
