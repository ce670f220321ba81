"""Metadata: what a photo file, or its sidecar, says about the photo. `exif`, `xmp` and `iptc` read it."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

Keyword = tuple[str, ...]
"""A keyword as the path of its names from the broadest down: ("Places", "Paris"). One without a path is ("sea",)."""

YEARS = range(1800, 2101)
"""Of dates that are believed. The first photo was taken in 1826."""

MAX_OFFSET = 15 * 60  # minutes between local time and UTC; the largest is 14 hours
MAX_KEYWORDS = 500  # of one photo
MAX_LEVELS = 20  # of one keyword
LONGEST_KEYWORD = 200  # characters of one name
LONGEST_DESCRIPTION = 2000
LONGEST_NAME = 100  # of a camera or a lens
RATINGS = range(-1, 6)

# Some programs write blanks instead of leading zeros.
_DATE = re.compile(
    r"(\d{4})[:/.-]([ \d]?\d)[:/.-]([ \d]?\d)(?!\d)(?:[ T]+([ \d]?\d):([ \d]?\d)(?::([ \d]?\d)(?:\.\d*)?)?"
    r"(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"(?:Z|([+-])(\d\d):?(\d\d))$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one photo. A field is None if it is missing or invalid.

    taken_at: the camera's local time, without a time zone, so that "June 2023" means June for the photographer.
    taken_offset: minutes that this time is ahead of UTC.
    camera: maker and model, without repeating the maker ("Canon EOS 5D", "Apple iPhone 12").
    latitude, longitude: in degrees. North and east are positive.
    rating: 0 (none) to 5 stars, or -1 (rejected).
    keywords: without those that are part of another one.
    """

    taken_at: datetime | None = None
    taken_offset: int | None = None
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    rating: int | None = None
    description: str | None = None
    keywords: tuple[Keyword, ...] = ()

    def over(self, other: "Metadata") -> "Metadata":
        """This metadata, completed by another. Date and offset belong together, and so do latitude and longitude."""
        found = replace(
            self,
            camera=self.camera or other.camera,
            lens=self.lens or other.lens,
            rating=other.rating if self.rating is None else self.rating,
            description=self.description or other.description,
            keywords=self.keywords or other.keywords,
        )
        if self.taken_at is None or (self.taken_offset is None and self.taken_at == other.taken_at):
            found = replace(found, taken_at=other.taken_at, taken_offset=other.taken_offset)
        if self.latitude is None:
            found = replace(found, latitude=other.latitude, longitude=other.longitude)
        return found

    def as_dict(self) -> dict[str, Any]:
        """The fields that are not empty, for JSON."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.taken_at is not None:
            found["taken_at"] = self.taken_at.isoformat()
        return {name: value for name, value in found.items() if value not in (None, ())}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Metadata":
        """The opposite of `as_dict`."""
        found = dict(found)
        if "taken_at" in found:
            found["taken_at"] = datetime.fromisoformat(found["taken_at"])
        if "keywords" in found:
            found["keywords"] = tuple(tuple(names) for names in found["keywords"])
        return cls(**found)

    def as_json(self) -> str:
        """`as_dict` as JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Metadata":
        """The opposite of `as_json`."""
        return cls.from_dict(json.loads(text))


NOTHING = Metadata()


def joined(sources: Sequence[Metadata]) -> Metadata:
    """What all of one file's sources say. The first that has a field decides, but the keywords of all count."""
    found = reduce(Metadata.over, sources)
    return replace(found, keywords=keywords(names for source in sources for names in source.keywords))


def keywords(found: Iterable[Sequence[str]]) -> tuple[Keyword, ...]:
    """Clean keywords, at most MAX_KEYWORDS, without those that are part of a longer one.

    Programs that know paths also list the names of each path alone, and sometimes its beginnings.
    """
    paths: dict[Keyword, None] = {}
    for names in found:
        path = tuple(_keyword_name(name) for name in names)
        if path and all(path) and len(path) <= MAX_LEVELS:
            paths[path] = None
        if len(paths) >= MAX_KEYWORDS:
            break
    parts = {name for path in paths if len(path) > 1 for name in path}
    beginnings = {path[:end] for path in paths for end in range(1, len(path))}
    return tuple(path for path in paths if path not in beginnings and not (len(path) == 1 and path[0] in parts))


def _keyword_name(name: str) -> str:
    """A name as labels have it, "" if it cannot be one."""
    if len(name) > 4 * LONGEST_KEYWORD:
        return ""
    cleaned = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in name)
    cleaned = " ".join(unicodedata.normalize("NFC", cleaned).split())
    return cleaned if len(cleaned) <= LONGEST_KEYWORD else ""


def clean(text: str) -> str:
    """A text up to the first NUL, with only printable characters and with spaces collapsed."""
    text = text[: 10 * LONGEST_DESCRIPTION].split("\0", 1)[0]
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.replace("\N{REPLACEMENT CHARACTER}", " ").split())


def description(text: str) -> str | None:
    """A description, None if it is empty."""
    return clean(text)[:LONGEST_DESCRIPTION].strip() or None


def camera(make: str, model: str) -> str | None:
    """The name of a camera from its maker and model, None if both are empty."""
    make, model = clean(make), clean(model)
    brand = make.split(" ")[0]
    # "NIKON CORPORATION" + "NIKON D90" becomes "NIKON D90"
    name = model if brand and model.lower().startswith(brand.lower()) else f"{make} {model}"
    return name.strip()[:LONGEST_NAME].strip() or None


def lens(text: str) -> str | None:
    """The name of a lens. None without a letter or digit: a camera that does not know its lens writes "----"."""
    name = clean(text)[:LONGEST_NAME].strip()
    return name if any(letter.isalnum() for letter in name) else None


def rating(value: object) -> int | None:
    """A number of stars, None if it is not one."""
    try:
        number = float(str(value))
        return int(number) if number in RATINGS else None
    except ValueError:
        return None


def moment(text: str) -> tuple[datetime | None, int | None]:
    """The date in a text of EXIF or XMP, and minutes ahead of UTC if it says so. (None, None) if it is invalid."""
    match = _DATE.match(clean(text))
    if match is None:
        return None, None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        # Hour 24 is the end of the day, and second 60 is a leap second.
        carry = timedelta(days=hour == 24, minutes=second == 60)
        if hour == 24 and (minute, second) != (0, 0):
            return None, None
        found = datetime(year, month, day, hour % 24 if hour == 24 else hour, minute, 0 if second == 60 else second)
        found += carry
    except (ValueError, OverflowError):  # a camera whose clock is not set writes "0000:00:00 00:00:00"
        return None, None
    return (found, offset(match[7] or "")) if found.year in YEARS else (None, None)


def offset(text: str) -> int | None:
    """Minutes ahead of UTC: "+02:00" is 120. None if it is invalid."""
    match = _OFFSET.fullmatch(clean(text))
    if match is None:
        return None
    minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
    if minutes > MAX_OFFSET or int(match[3] or 0) >= 60:
        return None
    return -minutes if match[1] == "-" else minutes


def place(latitude: float | None, longitude: float | None) -> tuple[float, float] | tuple[None, None]:
    """Coordinates in degrees if both are valid."""
    if latitude is None or longitude is None or not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None, None
    # a GPS receiver without a fix writes 0° N 0° E, which is in the sea
    return (None, None) if latitude == 0 and longitude == 0 else (latitude, longitude)
