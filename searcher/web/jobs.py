"""Long work on a library, in a thread of its own, with progress for many clients. A library has one job at a time."""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from searcher.errors import Busy, Interrupted, SearcherError
from searcher.library import Library
from searcher.progress import Progress
from searcher.web.texts import shown

log = logging.getLogger(__name__)

EVERY_S = 0.2  # how often a stream looks whether the job has changed
PING_S = 15.0  # a stream that has nothing to say shows so often that it is alive
MOST_STREAMS = 100
MOST_NOTICES = 100  # of one job
UPDATE_S = 0.1  # progress is shown at most so often

Kind = Literal["index", "tag", "teach", "duplicates", "xmp"]
State = Literal["running", "done", "failed", "stopped"]


class Job(BaseModel):
    """Long work on a library, as it is now."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind
    title: str = Field(description="What it does, for people.")
    state: State = "running"
    phase: str | None = Field(default=None, description="What is done now, if it is not photos that are counted.")
    done: int = Field(default=0, description="How many photos are done, or how much of the phase.")
    total: int | None = Field(default=None, description="How many there are; null while they are counted.")
    notices: list[str] = Field(default=[], description="What the user should know.")
    error: str | None = Field(default=None, description="Why it failed, or that it was stopped; one line.")
    result: dict[str, Any] | None = Field(default=None, description="What it did, depending on the kind.")
    seconds: float = Field(default=0.0, description="How long it has been running, or ran.")


class Outcome(NamedTuple):
    """What work has done. result: for the page. value: what is kept until the next work of this kind."""

    result: dict[str, Any]
    value: object = None


class Finished(NamedTuple):
    """The last work of a kind that was done."""

    value: object
    seconds: float


Work = Callable[[Progress], Outcome]
"""It reports to the Progress, and ends with Interrupted as soon as it does so after it was asked to stop."""


class Jobs:
    """The jobs of all libraries. Safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[Library, _Run] = {}  # the one that is running, or the last one
        self._finished: dict[tuple[Library, Kind], Finished] = {}
        self._numbers = itertools.count(1)
        self._streams = 0
        self._closed = False

    def start(self, library: Library, kind: Kind, title: str, work: Work) -> Job:
        """Begin work in a thread. Raises Busy if the library has a job that is running, or after `close`."""
        with self._lock:
            if self._closed:
                raise Busy("searcher is closing")
            last = self._runs.get(library)
            if last is not None and last.job.state == "running":
                raise Busy(f"the library is busy ({last.job.title}): wait until that is done, or stop it")
            run = _Run(Job(id=str(next(self._numbers)), kind=kind, title=shown(title)))
            self._runs[library] = run
            run.thread = threading.Thread(
                target=self._work, args=(library, run, work), name=f"job {run.job.id}", daemon=True
            )
            run.thread.start()
            return run.job

    def _work(self, library: Library, run: "_Run", work: Work) -> None:
        try:
            result, value = work(run)
        except Interrupted as error:
            run.end("stopped", error=str(error))
        except SearcherError as error:
            run.end("failed", error=str(error))
        except Exception as error:
            log.exception("the job %s (%s) failed", run.job.id, run.job.title)
            run.end("failed", error=f"internal error ({type(error).__name__}: {error})")
        else:
            with self._lock:
                self._finished[library, run.job.kind] = Finished(value, run.seconds)
            run.end("done", result=result)

    def latest(self, library: Library) -> Job | None:
        """The job that is running, or the last one."""
        with self._lock:
            run = self._runs.get(library)
        return None if run is None else run.job

    def finished(self, library: Library, kind: Kind) -> Finished | None:
        """What the last work of a kind that was done has left."""
        with self._lock:
            return self._finished.get((library, kind))

    def stop(self, library: Library) -> Job | None:
        """Ask the running job to stop. What it has committed stays. Returns the latest job."""
        with self._lock:
            run = self._runs.get(library)
        if run is None:
            return None
        run.stop.set()
        return run.job

    def close(self) -> None:
        """Ask all jobs to stop, and begin no more. Returns at once."""
        with self._lock:
            self._closed = True
            runs = [*self._runs.values()]
        for run in runs:
            run.stop.set()

    def join(self, seconds: float) -> None:
        """Wait until no job is running, at most so long."""
        with self._lock:
            threads = [run.thread for run in self._runs.values() if run.thread is not None]
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def full(self) -> bool:
        """Whether there are as many streams as there may be."""
        return self._streams >= MOST_STREAMS

    async def stream(self, library: Library, closing: asyncio.Event) -> AsyncIterator[str]:
        """The jobs of a library as server-sent events: the latest one, then each change, until `closing`.

        No thread waits for a client.
        """
        self._streams += 1  # only the thread of the event loop counts
        try:
            sent, quiet = self.latest(library), 0.0
            yield _event(sent) if sent is not None else _PING
            while not closing.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(closing.wait(), EVERY_S)
                quiet += EVERY_S
                job = self.latest(library)
                if job is not None and job is not sent:
                    sent, quiet = job, 0.0
                    yield _event(job)
                elif quiet >= PING_S:
                    quiet = 0.0
                    yield _PING
        finally:
            self._streams -= 1


_PING = ": nothing new\n\n"


def _event(job: Job) -> str:
    return f"event: job\ndata: {job.model_dump_json()}\n\n"


class _Run(Progress):
    """A job under way. Its thread replaces `job` at each change, so that others can read it without a lock."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None
        self._started = time.monotonic()
        self._shown = 0.0  # when progress was shown last

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def advance(self, done: int, total: int | None) -> None:
        self._go_on()
        now = time.monotonic()
        if now - self._shown >= UPDATE_S or done == total or total != self.job.total:
            self._shown = now
            self._change(done=done, total=total)

    @contextmanager
    def phase(self, title: str) -> Iterator[Progress]:
        before = {"done": self.job.done, "total": self.job.total, "phase": self.job.phase}
        self._change(phase=title, done=0, total=None)
        try:
            yield self
        finally:
            self._change(**before)

    def notice(self, message: str) -> None:
        self._go_on()
        if len(self.job.notices) < MOST_NOTICES:
            self._change(notices=[*self.job.notices, shown(message)])

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise Interrupted("Stopped. What was done so far is kept, and the same work goes on from there.")

    def end(self, state: State, *, error: str | None = None, result: dict[str, Any] | None = None) -> None:
        self._change(state=state, error=None if error is None else shown(error), result=result)

    def _change(self, **fields: Any) -> None:
        self.job = self.job.model_copy(update={**fields, "seconds": self.seconds})
