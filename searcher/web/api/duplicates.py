"""Photos that are copies of one another."""

from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from searcher.library import Library
from searcher.progress import Progress
from searcher.web.jobs import Finished, Job, Jobs, Outcome
from searcher.web.libraries import ChosenLibrary
from searcher.web.texts import shown

if TYPE_CHECKING:
    from searcher.library import DuplicateGroup, ImageFile

router = APIRouter(tags=["duplicates"])


class DuplicateFile(BaseModel):
    """One of several copies."""

    id: int
    path: str
    width: int
    height: int
    bytes: int


class SimilarFile(DuplicateFile):
    """A copy of the photo to keep."""

    similarity: float = Field(description="The cosine of their embeddings; 1 if the bytes are the same.")


class Group(BaseModel):
    """Copies of one photo, the best one first."""

    kind: Literal["exact", "near"] = Field(description="exact: all have the same bytes.")
    keep: DuplicateFile
    others: list[SimilarFile]


class Duplicates(BaseModel):
    """What the last comparison found. Photos that left the library since are left out."""

    groups: list[Group]
    seconds: float = Field(description="How long the comparison took.")


@router.post("/duplicates", status_code=202)
def compare(library: ChosenLibrary, request: Request) -> Job:
    """Look for photos that are copies of one another, as a job. Nothing is deleted."""

    find = library.duplicates  # now: a library without a folder has none, and says so

    def work(progress: Progress) -> Outcome:
        groups = find(progress=progress)
        return Outcome({"groups": len(groups), "others": sum(len(group.others) for group in groups)}, groups)

    jobs: Jobs = request.app.state.jobs
    return jobs.start(library, "duplicates", "Looking for duplicates", work)


@router.get("/duplicates")
def duplicates(library: ChosenLibrary, request: Request) -> Duplicates | None:
    """The groups that the last comparison found, exact ones first. null before the first one."""
    jobs: Jobs = request.app.state.jobs
    found = jobs.finished(library, "duplicates")
    return None if found is None else _duplicates(library, found)


def _duplicates(library: Library, found: Finished) -> Duplicates:
    groups: list[DuplicateGroup] = found.value  # type: ignore[assignment]
    ids = [id for group in groups for id in (group.keep_id, *(other.id for other in group.others))]
    files = library.image_files(ids) if ids else {}
    return Duplicates(
        groups=[
            Group(
                kind=group.kind,
                keep=DuplicateFile(**_facts(files[group.keep_id])),
                others=[
                    SimilarFile(**_facts(files[other.id]), similarity=other.similarity)
                    for other in group.others
                    if other.id in files
                ],
            )
            for group in groups
            if group.keep_id in files and any(other.id in files for other in group.others)
        ],
        seconds=found.seconds,
    )


def _facts(file: "ImageFile") -> dict[str, Any]:
    path = shown(file.photo.path)
    return {"id": file.photo.id, "path": path, "width": file.width, "height": file.height, "bytes": file.bytes}
