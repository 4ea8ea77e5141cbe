"""What is near, whichever engine answers: at which points there are events, how far those are, which make up a page.

The engine only says which points lie in a box and takes events by their points; every distance is measured by us. So
the engines agree to the last digit, at the date line and at the poles too, and an engine needs no geometry of its own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from boxoffice.services.search.domain.criteria import BadSearchError, Criteria
from boxoffice.services.search.domain.geography import Near, boxes, distance_km
from boxoffice.services.search.providers.contents import DEGREE, point_at

MAX_POINTS = 20_000
"""Points that are measured for one question: some 30 ms, and less than the servers' limits on terms and buckets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A box in millionths of a degree, edges included."""

    south: int
    north: int
    west: int
    east: int


PointsIn = Callable[[Sequence[Area], int], Sequence[str]]
"""Gives the keys of points in any of some areas at which there are events to be found, so many at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Hits of an ordered page in a row: those at one point that lie ahead (or are past), after ``skip``, ``take``."""

    point: str
    ahead: bool
    skip: int
    take: int


def nearby(near: Near, points_in: PointsIn) -> Mapping[str, float]:
    """Find the points of events that are near, each with its distance in kilometres.

    :raises BadSearchError: when there are too many to measure.
    """
    areas = [
        Area(
            south=math.floor(box.south * DEGREE), north=math.ceil(box.north * DEGREE),
            west=math.floor(box.west * DEGREE), east=math.ceil(box.east * DEGREE),
        )
        for box in boxes(near)
    ]  # fmt: skip
    keys = points_in(areas, MAX_POINTS + 1)
    if len(keys) > MAX_POINTS:
        reason = f"reaches more than {MAX_POINTS} halls; ask for a smaller one"
        raise BadSearchError(f"radiusKm {reason}", errors=[{"field": "radiusKm", "message": reason}])
    measured = {key: distance_km(near.point, point_at(key)) for key in keys}
    return {key: distance for key, distance in measured.items() if near.holds(distance)}


def page_by_distance(
    criteria: Criteria, within: Mapping[str, float], *, ahead: Mapping[str, int], past: Mapping[str, int]
) -> list[Stretch]:
    """Say which hits make up a page ordered by distance; ``ahead`` and ``past`` count the hits at each point.

    At one point what lies ahead comes first, soonest first; then what is past, the latest first.
    """
    sign = -1 if criteria.descending else 1
    skip, left, page = criteria.offset, criteria.page_size, list[Stretch]()
    for point in sorted(within, key=lambda point: (sign * within[point], point)):
        for counts in (ahead, past):
            take = min(left, max(0, counts.get(point, 0) - skip))
            if take:
                page.append(Stretch(point=point, ahead=counts is ahead, skip=skip, take=take))
            left, skip = left - take, max(0, skip - counts.get(point, 0))
        if not left:
            break
    return page
