"""Indexing: folders that the page names, progress of jobs, files that failed."""

import os
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from searcher.errors import InvalidInput
from searcher.filters.filter import is_text
from searcher.progress import Progress
from searcher.web.jobs import Job, Jobs, Outcome
from searcher.web.libraries import ChosenLibrary
from searcher.web.texts import shown

router = APIRouter(tags=["indexing"])

MOST_FAILURES = 100  # in the result of a job
_NO_PHOTOS = ("/proc", "/sys", "/dev")  # what is in there is no file of a person


class ToIndex(BaseModel):
    """What to index."""

    folders: list[Annotated[str, Field(max_length=4096)]] = Field(
        default=[],
        max_length=100,
        description="Absolute, or beginning with ~. None: all folders indexed before.",
    )
    check_content: bool = Field(default=False, description="Also read files whose size and time are the same.")
    retry: bool = Field(default=False, description="Also read unchanged files again that failed before.")
    tag: bool = Field(default=False, description="Also give new photos the labels asked for before.")


class FailedFile(BaseModel):
    """A file that could not be indexed, and why."""

    path: str
    error: str


@router.post("/index", status_code=202)
def index(library: ChosenLibrary, request: Request, wanted: ToIndex) -> Job:
    """Index folders, or index all known folders again, as a job. The first one creates the library."""
    run = library.index  # now: a library without a folder has none, and says so
    folders = [_folder(text) for text in wanted.folders]
    if not folders and not (library.exists and library.folders()):
        raise InvalidInput("nothing is indexed yet: name a folder")

    def work(progress: Progress) -> Outcome:
        report = run(*folders, check_content=wanted.check_content, retry=wanted.retry, progress=progress)
        if wanted.tag and library.has_model:
            library.tag_new(progress)
        for line in report.notices:
            progress.notice(line)
        result = report.as_dict()
        failures = result["failures"][:MOST_FAILURES]
        result["failures"] = [{key: shown(text) for key, text in failure.items()} for failure in failures]
        return Outcome(result)

    jobs: Jobs = request.app.state.jobs
    what = ", ".join(folders) if folders else "all folders"
    return jobs.start(library, "index", f"Indexing {what}", work)


@router.get(
    "/index",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "An event `job` at each change of a Job."}},
)
async def progress(library: ChosenLibrary, request: Request) -> Response:
    """The jobs of the library, of any kind, as server-sent events: the latest one at once, then each change.

    The stream ends only when the server or the client ends it.
    """
    jobs: Jobs = request.app.state.jobs
    if jobs.full:
        return JSONResponse({"error": "too many pages are open: close some"}, 503)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy passes each event on at once
    events = jobs.stream(library, request.app.state.closing)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


@router.delete("/index")
def stop(library: ChosenLibrary, request: Request) -> Job | None:
    """Stop the running job, of whatever kind. What it has done so far is kept. Returns the latest job."""
    jobs: Jobs = request.app.state.jobs
    return jobs.stop(library)


@router.get("/failures")
def failures(
    library: ChosenLibrary,
    limit: Annotated[int, Query(ge=1, le=100_000, description="The most files to list.")] = 1000,
) -> list[FailedFile]:
    """The files that could not be indexed, each with its reason."""
    if not library.exists:
        return []
    found = library.failures()[:limit]
    return [FailedFile(path=shown(failure.path), error=shown(failure.error)) for failure in found]


def _folder(text: str) -> str:
    """The absolute path of a folder that the page names. Raises InvalidInput."""
    if not is_text(text) or "\0" in text:
        raise InvalidInput("the path of the folder is no text")
    path = os.path.expanduser(text)
    if not os.path.isabs(path):  # noqa: PTH117
        raise InvalidInput(f"{text!r} is no absolute path: begin it with / or ~")
    path = os.path.normpath(path)
    real = os.path.realpath(path)
    if not os.path.isdir(real):  # noqa: PTH112
        raise InvalidInput(f"{path} is no folder")
    if real == os.path.dirname(real) or any(f"{real}/".startswith(f"{part}/") for part in _NO_PHOTOS):  # noqa: PTH120
        raise InvalidInput(f"{path} is the system's: name a folder with photos")
    return path
