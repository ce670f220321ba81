"""Reads EXIF: when and where a photo was taken, and with which camera.

Real EXIF data is often invalid (zero dates, divisions by zero, text instead of numbers). So each field is read
separately, and an invalid field is None.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

# Tag numbers of EXIF 2.32 (CIPA DC-008), in the order of the sections that hold them.
MAKE, MODEL, ORIENTATION, DATE_TIME = 0x010F, 0x0110, 0x0112, 0x0132
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x9003, 0x9004
GPS_LATITUDE_REF, GPS_LATITUDE, GPS_LONGITUDE_REF, GPS_LONGITUDE = 1, 2, 3, 4

# Some programs write blanks instead of leading zeros.
_DATE = re.compile(
    r"(\d{4})[:/.-]([ \d]?\d)[:/.-]([ \d]?\d)(?!\d)(?:[ T]+([ \d]?\d):([ \d]?\d)(?::([ \d]?\d))?)?", re.ASCII
)
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Exif:
    """The metadata of one photo. A field is None if the file does not have it.

    taken_at: the camera's local time, without a time zone, so that "June 2023" means June for the photographer.
    camera: maker and model, without repeating the maker ("Canon EOS 5D", "Apple iPhone 12").
    latitude, longitude: in degrees. North and east are positive.
    """

    taken_at: datetime | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def read_exif(image: "Image.Image") -> Exif:
    """Read the metadata of an open image. Never raises. A missing or invalid field is None."""
    top, shot, gps = _sections(image)
    place = _place(gps)
    return Exif(
        taken_at=_taken_at(shot.get(DATE_TIME_ORIGINAL))
        or _taken_at(shot.get(DATE_TIME_DIGITIZED))
        or _taken_at(top.get(DATE_TIME)),
        camera=_camera(top.get(MAKE), top.get(MODEL)),
        latitude=place[0] if place else None,
        longitude=place[1] if place else None,
    )


def read_orientation(image: "Image.Image") -> int:
    """Read the EXIF orientation, 1 to 8. It is 1 (upright) if it is missing or invalid. Never raises."""
    value = _sections(image)[0].get(ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _sections(image: "Image.Image") -> tuple[Mapping[int, Any], Mapping[int, Any], Mapping[int, Any]]:
    # For invalid data, Pillow's parser raises almost anything (SyntaxError, struct.error, KeyError, TypeError, ...).
    try:
        top = image.getexif()
    except Exception:
        return {}, {}, {}
    sections = []
    for ifd in (EXIF_IFD, GPS_IFD):
        try:
            sections.append(top.get_ifd(ifd))
        except Exception:
            sections.append({})
    return top, sections[0], sections[1]


def _text(value: Any) -> str:
    """The text of a tag up to the first NUL, with only printable characters and with spaces collapsed."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(c if c.isprintable() else " " for c in value.split("\0", 1)[0])
    return " ".join(printable.replace("\N{REPLACEMENT CHARACTER}", " ").split())


def _taken_at(value: Any) -> datetime | None:
    match = _DATE.match(_text(value))
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        # Hour 24 is the end of the day, and second 60 is a leap second.
        carry = timedelta(days=hour == 24, minutes=second == 60)
        if hour == 24 and (minute, second) != (0, 0):
            return None
        return (
            datetime(year, month, day, hour % 24 if hour == 24 else hour, minute, 0 if second == 60 else second) + carry
        )
    except (ValueError, OverflowError):  # a camera whose clock is not set writes "0000:00:00 00:00:00"
        return None


def _camera(make: Any, model: Any) -> str | None:
    make, model = _text(make), _text(model)
    brand = make.split(" ")[0]
    # "NIKON CORPORATION" + "NIKON D90" becomes "NIKON D90"
    name = model if brand and model.lower().startswith(brand.lower()) else f"{make} {model}"
    return name.strip()[:_LONGEST_NAME] or None


def _place(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    latitude = _degrees(gps.get(GPS_LATITUDE), gps.get(GPS_LATITUDE_REF), "N", "S", 90)
    longitude = _degrees(gps.get(GPS_LONGITUDE), gps.get(GPS_LONGITUDE_REF), "E", "W", 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None  # a GPS receiver without a fix writes 0° N 0° E, which is in the sea
    return latitude, longitude


def _degrees(value: Any, reference: Any, positive: str, negative: str, limit: int) -> float | None:
    """Convert (degrees, minutes, seconds) and a hemisphere to signed degrees. None if they are invalid."""
    hemisphere = _text(reference).upper()[:1]
    if hemisphere not in (positive, negative):
        return None
    try:
        parts = [float(part) for part in value]
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not 1 <= len(parts) <= 3 or not all(math.isfinite(part) and part >= 0 for part in parts):
        return None
    degrees: float = sum(part / 60**power for power, part in enumerate(parts))
    if degrees > limit:
        return None
    return degrees if hemisphere == positive else -degrees
