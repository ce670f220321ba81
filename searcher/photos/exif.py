"""Reads EXIF: when and where a photo was taken, with which camera, and what people wrote about it.

Real EXIF data is often invalid (zero dates, divisions by zero, text instead of numbers). So each field is read
separately, and an invalid field is None.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from searcher.photos import metadata as fields
from searcher.photos.metadata import Metadata

if TYPE_CHECKING:
    from PIL import Image

# Tag numbers of EXIF 2.32 (CIPA DC-008), in the order of the sections that hold them.
MAKE, MODEL, ORIENTATION, DATE_TIME = 0x010F, 0x0110, 0x0112, 0x0132
DESCRIPTION, RATING, XP_COMMENT, XP_KEYWORDS = 0x010E, 0x4746, 0x9C9C, 0x9C9E  # the last three by Windows
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x9003, 0x9004
OFFSET_CHANGE, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
LENS_MODEL = 0xA434
GPS_LATITUDE_REF, GPS_LATITUDE, GPS_LONGITUDE_REF, GPS_LONGITUDE = 1, 2, 3, 4

# What cameras write as the description of every photo.
_BY_CAMERAS = frozenset(
    [
        "OLYMPUS DIGITAL CAMERA",
        "SONY DSC",
        "SAMSUNG",
        "SAMSUNG DIGITAL CAMERA",
        "KONICA MINOLTA DIGITAL CAMERA",
        "MINOLTA DIGITAL CAMERA",
        "DIGITAL CAMERA",
        "Exif_JPEG_PICTURE",
        "default",
    ]
)


def read_exif(image: "Image.Image") -> Metadata:
    """Read the EXIF data of an open image. Never raises. A missing or invalid field is None."""
    top, shot, gps = _sections(image)
    taken_at, taken_offset = fields.moment(_text(shot.get(DATE_TIME_ORIGINAL)))
    offset = OFFSET_ORIGINAL
    if taken_at is None:
        taken_at, taken_offset = fields.moment(_text(shot.get(DATE_TIME_DIGITIZED)))
        offset = OFFSET_DIGITIZED
    if taken_at is not None and taken_offset is None:
        taken_offset = fields.offset(_text(shot.get(offset)))
    latitude, longitude = fields.place(
        _degrees(gps.get(GPS_LATITUDE), gps.get(GPS_LATITUDE_REF), "N", "S"),
        _degrees(gps.get(GPS_LONGITUDE), gps.get(GPS_LONGITUDE_REF), "E", "W"),
    )
    description = fields.description(_text(top.get(DESCRIPTION)))
    return Metadata(
        taken_at=taken_at,
        taken_offset=taken_offset,
        camera=fields.camera(_text(top.get(MAKE)), _text(top.get(MODEL))),
        lens=fields.lens(_text(shot.get(LENS_MODEL))),
        latitude=latitude,
        longitude=longitude,
        rating=fields.rating(top.get(RATING)),
        description=None
        if description in _BY_CAMERAS
        else description or fields.description(_wide(top.get(XP_COMMENT))),
        keywords=fields.keywords([name] for name in _wide(top.get(XP_KEYWORDS)).split(";")),
    )


def read_last_change(image: "Image.Image") -> Metadata:
    """The date of the last change, for photos without any other. Never raises."""
    top, shot, _ = _sections(image)
    taken_at, offset = fields.moment(_text(top.get(DATE_TIME)))
    if taken_at is not None and offset is None:
        offset = fields.offset(_text(shot.get(OFFSET_CHANGE)))
    return Metadata(taken_at=taken_at, taken_offset=offset)


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
    """The text of a tag. Pillow takes each byte for a letter, but many programs write UTF-8."""
    if isinstance(value, str):
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _wide(value: Any) -> str:
    """The text of a tag that Windows writes, in UTF-16."""
    if isinstance(value, tuple) and all(isinstance(number, int) and 0 <= number < 256 for number in value):
        value = bytes(value)
    return value.decode("utf-16-le", "replace") if isinstance(value, bytes) else ""


def _degrees(value: Any, reference: Any, positive: str, negative: str) -> float | None:
    """Convert (degrees, minutes, seconds) and a hemisphere to signed degrees. None if they are invalid."""
    hemisphere = fields.clean(_text(reference)).upper()[:1]
    if hemisphere not in (positive, negative):
        return None
    try:
        parts = [float(part) for part in value]
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not 1 <= len(parts) <= 3 or not all(math.isfinite(part) and part >= 0 for part in parts):
        return None
    degrees: float = sum(part / 60**power for power, part in enumerate(parts))
    return degrees if hemisphere == positive else -degrees
