"""Points all over the globe, and their distances by another formula than the product's."""

import math
from collections.abc import Iterator
from datetime import timedelta
from random import Random

from tests.support.concert_facts import NOW

from boxoffice.services.search.domain.geography import EARTH_RADIUS_KM, Point
from boxoffice.services.search.domain.listing import Listing, ListingChange, Venue

SEED = 4711
CENTRES = (
    (22.29386, 114.17011), (40.7722, -73.9835), (51.501, -0.1774), (-16.8, 179.99), (-16.9, -179.98), (0.0, 180.0),
    (0.0, -180.0), (89.9, 12.0), (90.0, 0.0), (-90.0, 77.0), (-89.99, -140.0), (0.0, 0.0), (66.5, 179.5),
)  # fmt: skip
"""Cities, both sides of the date line, both poles."""
NAMES = ("Mahler", "Brahms", "Mahler and Brahms")


def straight_km(one: Point, other: Point) -> float:
    """Measure the great circle by the angle between two vectors."""
    a, b = _vector(one), _vector(other)
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return EARTH_RADIUS_KM * math.atan2(math.hypot(*cross), sum(x * y for x, y in zip(a, b, strict=True)))


def globe() -> list[ListingChange]:
    """List some hundred events at fewer points; a few of them at venues without coordinates."""
    return list(_events(Random(SEED)))


def _events(dice: Random) -> Iterator[ListingChange]:
    number = 0
    for latitude, longitude in (*CENTRES, *((_any_latitude(dice), dice.uniform(-180, 180)) for _ in range(30))):
        points = [(latitude, longitude)]
        for spread in (0.001, 0.1, 3.0):
            north = max(-90.0, min(90.0, latitude + dice.uniform(-spread, spread)))
            points.append((north, (longitude + dice.uniform(-spread, spread) + 180) % 360 - 180))
        for point in points:
            for _ in range(dice.choice((1, 1, 2, 5))):
                number += 1
                yield _event(number, point, dice)
    for _ in range(5):
        number += 1
        yield _event(number, (None, None), dice)


def _event(number: int, point: tuple[float | None, float | None], dice: Random) -> ListingChange:
    # no two begin at the same minute: their order is certain
    start = NOW + timedelta(minutes=dice.randrange(-500_000, 500_000) // 1_000 * 1_000 + number)
    name = dice.choice(NAMES)
    venue = Venue(
        id=number, name="Hall", location="", city=f"City {number % 7}", region=None, country=None, time_zone="UTC",
        latitude=point[0], longitude=point[1],
    )  # fmt: skip
    listing = Listing(
        name=name, description="", cancelled=False, starts_at=start, ends_at=start + timedelta(hours=2), on_sale_at=None,
        off_sale_at=None, venue=venue, category_id=1, category=name.split()[0], currency="USD", works=(), performers=(),
    )  # fmt: skip
    return ListingChange(event_id=number, version=1, listing=listing)


def _any_latitude(dice: Random) -> float:
    return math.degrees(math.asin(dice.uniform(-1, 1)))


def _vector(point: Point) -> tuple[float, float, float]:
    north, east = math.radians(point.latitude), math.radians(point.longitude)
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)
