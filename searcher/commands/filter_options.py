"""The options that narrow a search, as one Filter."""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from searcher.commands import suggestions
from searcher.commands.common import Command, PathOrUri
from searcher.errors import InvalidInput
from searcher.filters import ORIENTATIONS, SOURCES, Filter, Near

FIELDS = (
    *("after", "before", "camera", "near", "folders", "name", "tags", "not_tags", "sources", "rating", "min_pixels"),
    *("orientation", "formats"),
)
"""The parameters of these options, in the order of the help."""

_PIXELS = re.compile(r"(\d+(?:\.\d+)?)\s*([kM]?)", re.ASCII)


class Narrowed(NamedTuple):
    """What the options say: the filter, and the name of the place that is near, if any."""

    filter: Filter
    place: str | None


_OPTIONS: Sequence[Callable[[Command], Command]] = [
    click.option("--after", metavar="DATE", help="Taken in DATE or later: 2021, 2021-06, 2021-06-30."),
    click.option("--before", metavar="DATE", help="Taken before DATE: 2017 ends with 2016."),
    click.option("--camera", metavar="NAME", help="Any part of the camera's maker and model."),
    click.option("--near", metavar="PLACE", help="LAT,LON,KM or CITY,COUNTRY,KM (default: 25 km)."),
    click.option(
        "--in",
        "folders",
        type=PathOrUri(),
        multiple=True,
        shell_complete=suggestions.indexed_folders,
        metavar="FOLDER",
        help="In this folder or below.",
    ),
    click.option("--name", metavar="GLOB", help="File name, with * and ?: 'IMG_*.jpg'."),
    click.option(
        "--tag",
        "tags",
        multiple=True,
        shell_complete=suggestions.labels,
        metavar="LABEL",
        help="With this label.",
    ),
    click.option(
        "--not-tag",
        "not_tags",
        multiple=True,
        shell_complete=suggestions.labels,
        metavar="LABEL",
        help="Without this label.",
    ),
    click.option(
        "--source",
        "sources",
        type=click.Choice(SOURCES),
        multiple=True,
        metavar="SOURCE",
        help=f"Only labels from {', '.join(SOURCES[:-1])} or {SOURCES[-1]}.",
    ),
    click.option("--rating", type=click.IntRange(1, 5), metavar="N", help="At least N stars."),
    click.option("--min-pixels", metavar="N", help="At least N pixels: 500k, 12M."),
    click.option(
        "--orientation",
        type=click.Choice(ORIENTATIONS),
        metavar="SHAPE",
        help="landscape, portrait or square.",
    ),
    click.option(
        "--format",
        "formats",
        multiple=True,
        shell_complete=suggestions.formats,
        metavar="NAME",
        help="jpeg, png, heic, raw, nef, …",
    ),
]


def filter_options(command: Command) -> Command:
    """Add the options that narrow a search. The command gets them as one argument `narrowed`."""

    @wraps(command)
    def with_filter(*args: Any, **kwargs: Any) -> Any:
        return command(*args, narrowed=_narrowed({field: kwargs.pop(field) for field in FIELDS}), **kwargs)

    wrapped: Any = with_filter
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    result: Command = wrapped
    return result


def described(narrowed: Narrowed) -> str:
    """The conditions, as the title of a list of photos."""
    filter, place = narrowed
    size = f"at least {filter.min_pixels:,} pixels" if filter.min_pixels else None
    parts = [
        *filter.tags,
        *(f"not {tag}" for tag in filter.not_tags),
        *(f"source {source}" for source in filter.sources),
        *(f"{word} {value}" for word, value in (("from", filter.after), ("before", filter.before)) if value),
        *(value for value in (filter.camera, place and f"near {place}", *filter.folders, filter.name) if value),
        *(value for value in (filter.rating and "★" * filter.rating, size, filter.orientation) if value),
        *filter.formats,
    ]
    return ", ".join(parts)


def _narrowed(given: dict[str, Any]) -> Narrowed:
    """The filter that the options say. A wrong value is wrong usage; a city that is not known is an error."""
    try:
        near, place = _near(given.pop("near"))
        return Narrowed(Filter(near=near, min_pixels=_pixels(given.pop("min_pixels")), **given), place)
    except InvalidInput as error:
        raise click.UsageError(as_sentence(str(error))) from None


def _near(text: str | None) -> tuple[Near | None, str | None]:
    if text is None:
        return None, None
    from searcher.filters.cities import find_place

    place = find_place(text)
    return place.near, f"{place.name} (within {place.near.km:g} km)"


def _pixels(text: str | None) -> int | None:
    """A number of pixels: 2000000, 500k or 12M."""
    if text is None:
        return None
    match = _PIXELS.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is not a number of pixels: write it like 2000000, 500k or 12M")
    return round(float(match[1]) * {"": 1, "k": 1_000, "M": 1_000_000}[match[2]])


def as_sentence(text: str) -> str:
    """The message of an error as one of wrong usage."""
    return text if text.endswith((".", "?", "!")) else f"{text[0].upper()}{text[1:]}."
