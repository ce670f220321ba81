"""The parameters that narrow what an endpoint answers for, as a Filter."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.filters import EVERYTHING, Filter, Near
from searcher.filters.filter import is_text

MOST_VALUES = 20  # of one condition: each label is a part of the query
LONGEST = 1000  # characters of a value


def make_filter(
    *,
    after: str | None = None,
    before: str | None = None,
    camera: str | None = None,
    near: str | None = None,
    folder: Sequence[str] = (),
    name: str | None = None,
    tag: Sequence[str] = (),
    not_tag: Sequence[str] = (),
    source: Sequence[str] = (),
    rating: int | None = None,
    min_pixels: int | None = None,
    orientation: str | None = None,
    format: Sequence[str] = (),
) -> Filter:
    """The filter that a request asks for. Empty texts ask for nothing. Raises InvalidInput, or NotFound for a city."""
    single = [text or None for text in (after, before, camera, near, name, orientation)]
    several = [tuple(filter(None, texts)) for texts in (folder, tag, not_tag, source, format)]
    for text in (*single, *(text for texts in several for text in texts)):
        if text is not None and ("\0" in text or not is_text(text)):
            raise InvalidInput(f"{text!r} is no text: leave out what is not a letter")
        if text is not None and len(text) > LONGEST:
            raise InvalidInput(f"{text[:30]!r}… is too long: write at most {LONGEST:,} characters")
    if any(len(texts) > MOST_VALUES for texts in several):
        raise InvalidInput(f"a condition has too many values: give at most {MOST_VALUES}")
    after, before, camera, near, name, orientation = single
    folders, tags, not_tags, sources, formats = several
    if not any((*single, *several)) and rating is None and min_pixels is None:
        return EVERYTHING
    return Filter(
        tags=tags,
        not_tags=not_tags,
        sources=sources,
        after=after,
        before=before,
        camera=camera,
        near=None if near is None else _near(near),
        folders=folders,
        name=name,
        rating=rating,
        min_pixels=min_pixels,
        orientation=orientation,
        formats=formats,
    )


def _near(text: str) -> Near:
    from searcher.filters.cities import find_place

    try:
        return find_place(text).near
    except (InvalidInput, NotFound):
        raise
    except SearcherError as error:  # the names of cities are not installed
        raise InvalidInput(str(error)) from None


def _chosen(
    after: Annotated[str | None, Query(description="Taken in this year, month, day or time, or later.")] = None,
    before: Annotated[str | None, Query(description="Taken before this year, month, day or time.")] = None,
    camera: Annotated[str | None, Query(description="A part of the name of the camera.")] = None,
    near: Annotated[str | None, Query(description='"LAT,LON,KM" or "CITY[,COUNTRY][,KM]".')] = None,
    folder: Annotated[list[str], Query(description="In this folder or below; several: in one of them.")] = [],  # noqa: B006
    name: Annotated[str | None, Query(description="The name of the file, with * and ?.")] = None,
    tag: Annotated[list[str], Query(description="With this label; several: with all of them.")] = [],  # noqa: B006
    not_tag: Annotated[list[str], Query(description="Without this label.")] = [],  # noqa: B006
    source: Annotated[
        list[str],
        Query(description="Only labels from zero-shot, taught, user or file count."),
    ] = [],  # noqa: B006
    rating: Annotated[int | None, Query(description="The least number of stars, 1 to 5.")] = None,
    min_pixels: Annotated[int | None, Query(description="The least width times height.")] = None,
    orientation: Annotated[str | None, Query(description="landscape, portrait or square.")] = None,
    format: Annotated[list[str], Query(description="The format of the file: jpeg, png, heic, raw, …")] = [],  # noqa: B006
) -> Filter:
    return make_filter(
        after=after,
        before=before,
        camera=camera,
        near=near,
        folder=folder,
        name=name,
        tag=tag,
        not_tag=not_tag,
        source=source,
        rating=rating,
        min_pixels=min_pixels,
        orientation=orientation,
        format=format,
    )


ChosenFilter = Annotated[Filter, Depends(_chosen)]
"""The parameter of an endpoint that answers for the photos that meet a filter."""
