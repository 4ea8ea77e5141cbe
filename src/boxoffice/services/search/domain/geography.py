"""Points on the Earth: how far apart two are, and boxes of degrees that hold whatever lies within a radius of one.

The Earth counts as a sphere here: distances are right to within 0.6 %, on every engine alike.
"""

import math
from dataclasses import dataclass

EARTH_RADIUS_KM = 6371.0088
"""Mean radius R1 (IUGG, 1980)."""
MAX_LATITUDE, MAX_LONGITUDE = 90.0, 180.0
SLACK_DEGREES = 1e-5
"""A metre more on each side of a box, so that no rounding leaves out what is exactly at its edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point by its degrees: latitude -90 to 90 (north is positive), longitude -180 to 180 (east is positive)."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Whatever lies within ``radius_km`` kilometres of a point, as the crow flies; its edge belongs to it."""

    point: Point
    radius_km: float

    def holds(self, distance_km: float) -> bool:
        """Whether what is so far away is near."""
        return distance_km <= self.radius_km


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Degrees from south to north and from west to east, edges included; west is never greater than east."""

    south: float
    north: float
    west: float = -MAX_LONGITUDE
    east: float = MAX_LONGITUDE


def point_of(latitude: float | None, longitude: float | None) -> Point | None:
    """Give the point that has some coordinates; none when they lack, or are none on Earth."""
    if latitude is None or longitude is None:
        return None
    if not (abs(latitude) <= MAX_LATITUDE and abs(longitude) <= MAX_LONGITUDE):  # false for NaN, too
        return None
    return Point(latitude=latitude, longitude=longitude)


def distance_km(one: Point, other: Point) -> float:
    """Measure the great circle between two points, in kilometres (haversine formula: right for close ones, too)."""
    south, north = math.radians(one.latitude), math.radians(other.latitude)
    across = math.sin(math.radians(other.longitude - one.longitude) / 2)
    along = math.sin((north - south) / 2)
    half_chord_squared = along * along + math.cos(south) * math.cos(north) * across * across
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half_chord_squared)))


def boxes(near: Near) -> tuple[Box, ...]:
    """Give one or two boxes that hold everything near a point, and some more: two where the date line runs through."""
    middle, angle = near.point, near.radius_km / EARTH_RADIUS_KM
    south = middle.latitude - math.degrees(angle) - SLACK_DEGREES
    north = middle.latitude + math.degrees(angle) + SLACK_DEGREES
    if north >= MAX_LATITUDE or south <= -MAX_LATITUDE:  # a pole is near: every meridian is
        return (Box(south=max(south, -MAX_LATITUDE), north=min(north, MAX_LATITUDE)),)
    # the meridians that touch the circle, which is north or south of the parallel through its middle
    width = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(middle.latitude)))))
    west, east = middle.longitude - width - SLACK_DEGREES, middle.longitude + width + SLACK_DEGREES
    if west < -MAX_LONGITUDE:
        return _two(south, north, west + 2 * MAX_LONGITUDE, east)
    if east > MAX_LONGITUDE:
        return _two(south, north, west, east - 2 * MAX_LONGITUDE)
    return (Box(south=south, north=north, west=west, east=east),)


def _two(south: float, north: float, west: float, east: float) -> tuple[Box, Box]:
    return Box(south=south, north=north, west=west), Box(south=south, north=north, east=east)
