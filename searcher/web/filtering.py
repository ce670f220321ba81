"""The parameters of a request that narrow which photos are meant, as a Filter."""

from functools import lru_cache
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from searcher.filters import EVERYTHING, Filter, Near

MOST = 32
"""Of the values of one parameter that can be repeated."""
Text = Annotated[str, StringConstraints(max_length=500)]
Texts = Annotated[list[Text], Field(max_length=MOST)]


class FilterParameters(BaseModel):
    """What photos meet: see `searcher.filters.Filter`. An empty value stands for none."""

    model_config = ConfigDict(populate_by_name=True)

    after: Text | None = Field(None, description="Taken in this year, month or day, or later: 2021, 2021-06-30.")
    before: Text | None = Field(None, description="Taken before this year, month or day.")
    camera: Text | None = Field(None, description="A part of the name of the camera, with its maker.")
    near: Text | None = Field(None, description="LAT,LON,KM or CITY[,COUNTRY][,KM].")
    folder: Texts = Field([], description="In this folder or below.")
    name: Text | None = Field(None, description="The name of the file, with * and ?.")
    tag: Texts = Field([], description="With this label.")
    not_tag: Texts = Field([], description="Without this label.")
    source: Texts = Field([], description="Only labels from this source: zero-shot, taught, user, file.")
    rating: Annotated[int, Field(ge=1, le=5)] | None = Field(None, description="At least so many stars.")
    min_pixels: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(None, description="At least so many pixels.")
    orientation: Text | None = Field(None, description="landscape, portrait or square.")
    format: Texts = Field([], description="jpeg, png, heic, raw, nef, …")

    def filter(self) -> Filter:
        """Raises InvalidInput, or NotFound for a city that is not known. Looking for a city takes up to seconds."""
        given = Filter(
            tags=_filled(self.tag),
            not_tags=_filled(self.not_tag),
            sources=_filled(self.source),
            after=self.after or None,
            before=self.before or None,
            camera=self.camera or None,
            near=_near(self.near) if self.near else None,
            folders=_filled(self.folder),
            name=self.name or None,
            rating=self.rating,
            min_pixels=self.min_pixels,
            orientation=self.orientation or None,
            formats=_filled(self.format),
        )
        return given if given else EVERYTHING


def _filled(values: list[str]) -> tuple[str, ...]:
    return tuple(value for value in values if value)


@lru_cache(256)
def _near(text: str) -> Near:
    from searcher.filters.cities import find_place

    return find_place(text).near


Narrowed = Annotated[FilterParameters, Query()]
"""The parameter of an endpoint that narrows which photos are meant: `narrowed.filter()`."""
