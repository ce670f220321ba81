"""Labels: which there are, zero-shot labels for the whole library, labels taught from photos."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from searcher.errors import InvalidInput
from searcher.progress import Progress
from searcher.web.filtering import FilterParameters
from searcher.web.ids import Ids, LabelName, LabelPath, SomeIds, SomeLabelNames
from searcher.web.jobs import Job, Jobs, Outcome
from searcher.web.libraries import ChosenLibrary

router = APIRouter(tags=["labels"])

MOST_EXAMPLES = 500  # of a taught label: a small copy of each is stored


class Taught(BaseModel):
    """With how many photos a label was taught."""

    examples: int
    against: int


class Label(BaseModel):
    """A label, and the photos that have it. Copies of a photo count once."""

    label: str
    photos: int
    sources: dict[str, int] = Field(description="How many photos have it from each source.")
    samples: list[int] = Field(description="Ids of at most four images that have it.")
    taught: Taught | None = None


class LabelParameters(FilterParameters):
    """Which photos, and how many labels."""

    limit: int = Field(default=1000, ge=1, le=10_000, description="The most labels to list.")


class Question(BaseModel):
    """Labels to look for in all photos."""

    labels: SomeLabelNames
    one: bool = Field(default=False, description="Give each photo the label that fits best, instead of all that fit.")


class LabelList(BaseModel):
    """Some labels."""

    labels: SomeLabelNames


class Removed(BaseModel):
    """How many tags were removed."""

    removed: int


class Lesson(BaseModel):
    """A label, and photos that show it, or do not."""

    label: LabelName
    ids: Annotated[SomeIds, Field(max_length=MOST_EXAMPLES, description="Images that show it.")]
    against: Annotated[Ids, Field(max_length=MOST_EXAMPLES, description="Images that do not.")] = []


class Examples(BaseModel):
    """The photos that a label was taught with, as ids of images. Those that left the library are not listed."""

    examples: list[int]
    against: list[int]


class Forgotten(BaseModel):
    """A label whose examples were forgotten."""

    label: str


@router.get("/labels")
def labels(library: ChosenLibrary, asked: Annotated[LabelParameters, Query()]) -> list[Label]:
    """The labels of photos, most photos first, with a few photos of each. Without a filter, all taught labels too."""
    if not library.exists:
        return []
    return [
        Label(
            label=row.label,
            photos=row.photos,
            sources=row.sources,
            samples=list(row.samples),
            taught=Taught(examples=row.examples, against=row.against) if row.examples or row.against else None,
        )
        for row in library.label_overview(asked.filter(), most=asked.limit)
    ]


@router.post("/tag", status_code=202)
def tag(library: ChosenLibrary, request: Request, question: Question) -> Job:
    """Give labels to all photos that fit, as a job. Nothing is decided by the names of files."""
    asked = library.ask(question.labels, one=question.one)

    def work(progress: Progress) -> Outcome:
        report = library.tag(asked, progress=progress)
        return Outcome({"asked": report.asked, "photos": report.photos, "tagged": report.tagged})

    return _jobs(request).start(library, "tag", f"Tagging: {_listed(asked.names)}", work)


@router.delete("/tag")
def untag(library: ChosenLibrary, chosen: LabelList) -> Removed:
    """Remove what models gave for these labels. What a person gave stays."""
    return Removed(removed=library.untag(chosen.labels))


@router.post("/teach", status_code=202)
def teach(library: ChosenLibrary, request: Request, lesson: Lesson) -> Job:
    """Teach a label from a few photos, and give it to all photos that fit, as a job. Replaces its examples."""
    learn = library.teach  # now: a library without a folder has none, and says so
    name = " ".join(lesson.label.split())
    library.ask([name])  # before the job: a name that no label can have
    if both := set(lesson.ids) & set(lesson.against):
        raise InvalidInput(f"the photo {min(both)} is both an example and a counterexample: remove one of the two")

    def work(progress: Progress) -> Outcome:
        examples, against = learn(name, lesson.ids, lesson.against, progress)
        report = library.tag([name], progress=progress)
        return Outcome({"label": name, "examples": examples, "against": against, "photos": report.tagged[name]})

    return _jobs(request).start(library, "teach", f"Teaching: {name}", work)


@router.get("/teach/{label:path}")
def examples(library: ChosenLibrary, label: LabelPath) -> Examples:
    """The photos that a label was taught with. None if it was not taught."""
    found = library.taught_with(label) if library.exists else []
    return Examples(
        examples=[id for id, positive in found if positive], against=[id for id, positive in found if not positive]
    )


@router.delete("/teach/{label:path}")
def forget(library: ChosenLibrary, label: LabelPath) -> Forgotten:
    """Forget how a label was taught. The tags that it gave stay until they are removed."""
    library.forget_label(label)
    return Forgotten(label=label)


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
