"""Tags of chosen photos: given or taken away by hand, and written to XMP sidecars."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from searcher.errors import InvalidInput
from searcher.progress import Progress
from searcher.web.ids import LabelNames, SomeIds
from searcher.web.jobs import Job, Jobs, Outcome
from searcher.web.libraries import ChosenLibrary
from searcher.web.texts import shown

router = APIRouter(tags=["labels"])

MOST_FAILURES = 100  # in the result of a job


class Edit(BaseModel):
    """Labels to give to photos, or to take away."""

    ids: SomeIds
    add: LabelNames = []
    remove: LabelNames = []


class Edited(BaseModel):
    """Label → how many photos did not have it by hand before, or had it, whatever gave it. Copies count once."""

    added: dict[str, int]
    removed: dict[str, int]


class Photos(BaseModel):
    """Photos of the library."""

    ids: SomeIds = Field(description="Ids of images; unknown ones are left out.")


@router.post("/tags")
def edit(library: ChosenLibrary, edit: Edit) -> Edited:
    """Give labels to photos by hand, and take labels away, all or nothing. Copies of a photo get and lose them too."""
    if not (edit.add or edit.remove):
        raise InvalidInput("no labels are given: name one to add or to remove")
    done = library.edit_tags(edit.ids, add=edit.add, remove=edit.remove)
    return Edited(added=done.added, removed=done.removed)


@router.post("/xmp", status_code=202)
def write_xmp(library: ChosenLibrary, request: Request, photos: Photos) -> Job:
    """Write the labels of photos, and of their copies, to XMP sidecars beside them, as a job.

    Only entries that searcher wrote before are removed. No photo is modified.
    """
    write = library.write_labels  # now: a library without a folder has none, and says so

    def work(progress: Progress) -> Outcome:
        report = write(photos.ids, progress)
        return Outcome(
            {
                "changed": report.changed,
                "unchanged": report.unchanged,
                "missing": report.missing,
                "failures": [shown(line) for line in report.failures[:MOST_FAILURES]],
            }
        )

    jobs: Jobs = request.app.state.jobs
    return jobs.start(library, "xmp", "Writing labels to XMP sidecars", work)
