"""The parameters of a request that narrow which photos are meant, as a Filter."""

import threading
from functools import lru_cache
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.filters import EVERYTHING, Filter, Near
from searcher.web.lanes import TooMany

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


def _near(text: str) -> Near:
    """Looking for a name takes up to seconds of a core: one is looked for at a time, and few requests wait for that."""
    if text.strip()[:1] in "+-.0123456789":  # coordinates, or wrong
        return _place(text)
    if not _waiting.acquire(blocking=False):
        raise TooMany("too many names of cities are being looked for: try again")
    try:
        with _looking:
            found = _named(text)
    finally:
        _waiting.release()
    if isinstance(found, SearcherError):
        raise type(found)(str(found))  # a new one: each collects the traceback of its request
    return found


_waiting, _looking = threading.BoundedSemaphore(8), threading.Lock()


@lru_cache(256)
def _named(text: str) -> Near | SearcherError:
    try:
        return _place(text)
    except SearcherError as error:
        return error.with_traceback(None)


def _place(text: str) -> Near:
    from searcher.filters.cities import find_place

    try:
        return find_place(text).near
    except (InvalidInput, NotFound):
        raise
    except SearcherError as error:  # the names of cities are not installed
        raise InvalidInput(str(error)) from None


Narrowed = Annotated[FilterParameters, Query()]
"""The parameter of an endpoint that narrows which photos are meant: `narrowed.filter()`."""
