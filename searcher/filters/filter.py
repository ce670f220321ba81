"""Filter: the conditions that photos meet."""

import os
from dataclasses import dataclass
from typing import Literal

from searcher.errors import InvalidInput
from searcher.filters.moments import beginning
from searcher.filters.near import Near

# Where a tag comes from: a run, a taught label, a person with searcher, or keywords that were written into a file.
ZERO_SHOT, TAUGHT, USER, FILE = "zero-shot", "taught", "user", "file"
RUNS = (ZERO_SHOT, TAUGHT)
SOURCES = (*RUNS, USER, FILE)

Sort = Literal["time", "relevance"]
SORTS: tuple[Sort, ...] = ("time", "relevance")
"""Orders of the hits: newest first, or best first."""

ORIENTATIONS = ("landscape", "portrait", "square")
RAW_FORMATS = ("ARW", "CR2", "CR3", "CRW", "DNG", "IIQ", "MRW", "NEF", "ORF", "PEF", "RAF", "RAW", "RW2", "SRW", "X3F")
FORMATS = (
    *("AVIF", "BMP", "GIF", "HEIF", "ICO", "JPEG", "JPEG 2000", "JPEG XL", "PNG", "PNM", "TIFF", "WEBP"),
    *RAW_FORMATS,
)
"""The formats of photos, as the catalog names them. As a filter, RAW stands for all of RAW_FORMATS."""

_OTHER_NAMES = {
    **dict.fromkeys(("JPG", "JPE", "JFIF", "MPO"), "JPEG"),
    **dict.fromkeys(("JP2", "J2K", "JPX", "JPEG2000"), "JPEG 2000"),
    **dict.fromkeys(("JXL", "JPEGXL"), "JPEG XL"),
    **dict.fromkeys(("HEIC", "HIF"), "HEIF"),
    **dict.fromkeys(("PPM", "PGM", "PBM"), "PNM"),
    **{"TIF": "TIFF", "APNG": "PNG"},
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Photos that meet all of these conditions. An empty filter matches every photo.

    tags: labels that a photo must all have. A label includes the labels below it: "animal" includes "dog".
    not_tags: labels that a photo must not have, with those below them.
    sources: only tags from these sources (see SOURCES) count, also for `not_tags`. Empty: from all sources. With
    `sources` and without `tags`, a photo must have any tag from these sources.
    after, before: a year, a month, a day or a time (ISO 8601, local time of the camera). `after` includes what it
    names, and `before` does not: the photos of 2016 are after "2016" and before "2017".
    camera: a part of the name of the camera, with its maker. Case is ignored.
    near: where the photo was taken.
    folders: a photo must be in one of these folders, or below it.
    name: what the name of the file is, without its folder: "*" stands for any characters, and "?" for one. Case is
    ignored. A photo meets `folders` and `name` if one of its copies meets both.
    rating: the least number of stars, 1 to 5.
    min_pixels: the least width times height.
    orientation: one of ORIENTATIONS, as the photo is seen.
    formats: the file must have one of these formats: see FORMATS, or a suffix such as "jpg".

    Raises InvalidInput for a value that no photo can have.
    """

    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    after: str | None = None
    before: str | None = None
    camera: str | None = None
    near: Near | None = None
    folders: tuple[str, ...] = ()
    name: str | None = None
    rating: int | None = None
    min_pixels: int | None = None
    orientation: str | None = None
    formats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("tags", "not_tags", "sources", "folders", "formats"):
            values = getattr(self, field)
            if isinstance(values, str):
                raise InvalidInput(f"the {field} of a filter are several: put {values!r} into a tuple")
            # frozen: what is given is made hashable once
            object.__setattr__(self, field, tuple(os.fspath(value) for value in values))
        object.__setattr__(self, "formats", tuple(_format(name) for name in self.formats))
        if unknown := [source for source in self.sources if source not in SOURCES]:
            raise InvalidInput(f"unknown source of labels: {unknown[0]!r}; the sources are {', '.join(SOURCES)}")
        starts = [beginning(text) for text in (self.after, self.before) if text is not None]
        if len(starts) == 2 and starts[0] >= starts[1]:
            raise InvalidInput(f"no photo is both after the beginning of {self.after} and before {self.before}")
        if self.camera is not None and not (self.camera.strip() and is_text(self.camera)):
            raise InvalidInput("the camera is empty, or is no text: give a part of its name")
        if not all(self.folders):
            raise InvalidInput("the folder is empty: name a folder, or . for the current one")
        if any("\0" in folder for folder in self.folders):
            raise InvalidInput("the folder has a NUL character: no folder has that in its name")
        if self.name is not None and not self.name:
            raise InvalidInput("the file name is empty: give a name, or a part of one with *")
        if self.name is not None and "/" in self.name:
            raise InvalidInput(f"the file name {self.name!r} has a slash: name the folder as a folder")
        if self.rating is not None and not 1 <= self.rating <= 5:
            raise InvalidInput(f"a rating is 1 to 5 stars, not {self.rating}")
        if self.min_pixels is not None and not 0 < self.min_pixels < 2**63:
            raise InvalidInput(f"the number of pixels must be at least 1, and less than 2**63, not {self.min_pixels}")
        if self.orientation is not None and self.orientation not in ORIENTATIONS:
            raise InvalidInput(f"unknown orientation {self.orientation!r}: it can be {', '.join(ORIENTATIONS)}")

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return self != EVERYTHING


def is_text(text: str) -> bool:
    """False for bytes of a shell argument that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _format(name: str) -> str:
    """A format as the catalog names it."""
    plain = name.strip().lstrip(".").upper()
    found = _OTHER_NAMES.get(plain, plain)
    if found not in FORMATS:
        raise InvalidInput(f"unknown format {name!r}: it can be {', '.join(FORMATS)}")
    return found


EVERYTHING = Filter()
