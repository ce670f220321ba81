"""A library at a glance, cheap enough to be asked for every few seconds."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from searcher.library import Library
from searcher.web.jobs import Job, Jobs
from searcher.web.libraries import ChosenLibrary, Libraries
from searcher.web.texts import shown

router = APIRouter(tags=["library"])


class IndexedFolder(BaseModel):
    """A folder that was indexed."""

    path: str
    images: int = Field(description="Each copy of a photo counts.")
    failed: int = Field(description="Files that could not be indexed.")
    missing: bool = Field(description="Whether it is not there now, for example because its disk is unplugged.")


class LibraryStatus(BaseModel):
    """A library at a glance."""

    library: str = Field(description="Its name.")
    folder: str = Field(description="Where it is: a folder, or the address of a Milvus collection.")
    has_folder: bool = Field(description="If not, nothing can be indexed, compared, taught, or written to XMP.")
    exists: bool = Field(description="False until something was indexed.")
    model: str | None = None
    images: int = Field(default=0, description="Each copy of a photo counts.")
    failed: int = Field(default=0, description="Files that could not be indexed.")
    bytes: int | None = Field(default=0, description="Its size on disk, at most a minute old; null if unknown.")
    revision: str = Field(default="", description="Another text after each change of photos or labels.")
    roots: list[IndexedFolder] = []
    job: Job | None = Field(default=None, description="The job that is running, or the last one.")


@router.get("/status")
def status(library: ChosenLibrary, request: Request) -> LibraryStatus:
    """The library at a glance: its folders, counts, and the job that is running."""
    libraries: Libraries = request.app.state.libraries
    jobs: Jobs = request.app.state.jobs
    name = next(name for name, served in libraries.by_name.items() if served is library)
    job = jobs.latest(library)
    folder = shown(library.location)
    if not library.exists:
        return LibraryStatus(library=name, folder=folder, has_folder=library.has_folder, exists=False, job=job)
    return _status(library, name, folder, job)


def _status(library: Library, name: str, folder: str, job: Job | None) -> LibraryStatus:
    summary = library.summary()
    roots = [
        IndexedFolder(path=shown(root.path), images=root.images, failed=root.failed, missing=root.missing)
        for root in summary.folders
    ]
    return LibraryStatus(
        library=name,
        folder=folder,
        has_folder=library.has_folder,
        exists=True,
        model=summary.model,
        images=sum(root.images for root in roots),
        failed=sum(root.failed for root in roots),
        bytes=summary.bytes,
        revision=summary.revision,
        roots=roots,
        job=job,
    )
