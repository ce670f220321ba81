"""Places on the earth: around a point, in kilometres."""

import math
from dataclasses import dataclass

from searcher.errors import InvalidInput

DEFAULT_KM = 25.0
EARTH_KM = 6371.0088  # the mean radius
# Added to each side of a box, in degrees: it only has to hold every point that is near enough, whatever is rounded.
_MARGIN = 0.01

Box = tuple[float, float, float, float]
"""Least and largest latitude, least and largest longitude, in degrees."""


@dataclass(frozen=True, slots=True)
class Near:
    """Within `km` kilometres of a point, in degrees. North and east are positive. Raises InvalidInput."""

    latitude: float
    longitude: float
    km: float = DEFAULT_KM

    def __post_init__(self) -> None:
        if not abs(self.latitude) <= 90:
            raise InvalidInput(f"a latitude is between -90 and 90 degrees, not {self.latitude:g}")
        if not abs(self.longitude) <= 180:
            raise InvalidInput(f"a longitude is between -180 and 180 degrees, not {self.longitude:g}")
        if not 0 < self.km < math.inf:
            raise InvalidInput(f"the distance must be more than 0 km, not {self.km:g}")

    def boxes(self) -> list[Box]:
        """One or two boxes that hold every point that is near enough. Two of them meet at the date line."""
        angle = self.km / EARTH_KM
        reach = math.degrees(angle) + _MARGIN
        south, north = self.latitude - reach, self.latitude + reach
        if south <= -90 or north >= 90:  # a pole is inside: all longitudes are
            return [(south, north, -180.0, 180.0)]
        ratio = math.sin(angle) / math.cos(math.radians(self.latitude))
        width = math.degrees(math.asin(min(1.0, ratio))) + _MARGIN
        west, east = self.longitude - width, self.longitude + width
        boxes = [(south, north, west, east)]
        if west < -180:
            boxes.append((south, north, west + 360, 180.0))
        if east > 180:
            boxes.append((south, north, -180.0, east - 360))
        return boxes


def km_between(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The distance of two points on the earth in km, taken as a sphere (haversine). It differs by up to 0.5 %."""
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    east = math.radians(other_longitude - longitude)
    part = math.sin((other_north - north) / 2) ** 2 + math.cos(north) * math.cos(other_north) * math.sin(east / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, part)))
