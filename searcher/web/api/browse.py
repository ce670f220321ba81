"""What a library holds: by month, by place, and what photos can be narrowed to."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from searcher.web.filtering import FilterParameters, Narrowed
from searcher.web.libraries import ChosenLibrary
from searcher.web.texts import shown

router = APIRouter(tags=["browse"])


class MonthCount(BaseModel):
    """How many photos were taken in a month."""

    month: str | None = Field(description='"2023-06"; null for photos without a date.')
    photos: int


class NamedCount(BaseModel):
    """How many photos have something."""

    name: str
    photos: int


class FolderCount(BaseModel):
    """How many images are in a folder and below. Each copy of a photo counts."""

    path: str
    photos: int


class LibraryFacets(BaseModel):
    """What photos can be narrowed to."""

    cameras: list[NamedCount]
    formats: list[NamedCount]
    orientations: list[NamedCount]
    folders: list[FolderCount] = Field(description="The indexed folders and their first two levels, by path.")
    sources: list[str] = Field(description="Where the labels of photos come from.")


class Cell(BaseModel):
    """Photos that were taken near one another."""

    latitude: float = Field(description="The middle of them, in degrees.")
    longitude: float
    photos: int
    id: int = Field(description="One of them.")


@router.get("/timeline")
def timeline(library: ChosenLibrary, narrowed: Narrowed) -> list[MonthCount]:
    """How many photos were taken in each month, newest first; those without a date last."""
    if not library.exists:
        return []
    return [MonthCount(month=month, photos=photos) for month, photos in library.timeline(narrowed.filter())]


@router.get("/facets")
def facets(library: ChosenLibrary) -> LibraryFacets:
    """Cameras, formats, shapes, folders and sources of labels that there are, most photos first."""
    if not library.exists:
        return LibraryFacets(cameras=[], formats=[], orientations=[], folders=[], sources=[])
    found = library.facets()
    return LibraryFacets(
        cameras=[NamedCount(name=shown(name), photos=photos) for name, photos in found.cameras],
        formats=[NamedCount(name=name, photos=photos) for name, photos in found.formats],
        orientations=[NamedCount(name=name, photos=photos) for name, photos in found.orientations],
        folders=[FolderCount(path=shown(path), photos=photos) for path, photos in found.folders],
        sources=list(found.sources),
    )


class PlacesParameters(FilterParameters):
    """Which photos, and how fine the map is."""

    precision: float = Field(default=1.0, ge=0.0001, le=90, description="The side of a cell in degrees.")


@router.get("/places")
def places(library: ChosenLibrary, asked: Annotated[PlacesParameters, Query()]) -> list[Cell]:
    """Where photos were taken, in the cells of a grid, most photos first; at most 2,000 cells."""
    if not library.exists:
        return []
    return [Cell(**cell._asdict()) for cell in library.places(asked.filter(), asked.precision)]
