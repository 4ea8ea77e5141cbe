"""Staging: concerts of the archive held once more, in a hall with a seat map, some whole weeks later."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from boxoffice.services.catalog.domain.concert import LENGTH, Concert

PRIVATE = frozenset(
    {"Chamber Concert (Private)", "Fundraising Concert", "Private Concert", "Tour - Concert for Patrons"}
)
"""Kinds of concerts that no tickets are sold for."""
ORCHESTRAL = frozenset(
    {"Subscription Season", "Non-Subscription", "Special", "Festival", "Holiday Brass", "Rush Hour",
     "Saturday Matinee", "Summertime Classics", "New Year's Eve", "Pension Fund Benefit Concert",
     "Young People's Concert", "Young People's Concerts for Schools"}
)  # fmt: skip
"""Kinds of concerts that fill a large hall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A hall to stage concerts in; ``categories`` none takes every kind."""

    venue_id: int
    seat_map_id: int
    time_zone: str
    categories: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A concert with its start (UTC) and, when it is staged, its hall."""

    concert: Concert
    source: str
    starts_at: datetime
    shift_weeks: int
    stage: Stage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A concert that was not imported, and why."""

    concert: str
    reason: str


def newest(concerts: Iterable[Concert]) -> str | None:
    """Name the newest season ("2025-26"); none when there are no concerts."""
    return max((concert.season for concert in concerts), default=None)


def place_all(concerts: Sequence[Concert], stages: Sequence[Stage], weeks: dict[str, int]) -> list[Placed | LeftOut]:
    """Give every concert its time and its hall; ``weeks`` is the shift of each season.

    A hall has one concert at a time: of two that would overlap, the first in the order of the files stays.
    """
    taken = _Taken()
    return [_place(concert, stages, weeks.get(concert.season, 0), taken) for concert in concerts]


class _Taken:
    """When halls are taken."""

    def __init__(self) -> None:
        self.starts: dict[int, list[datetime]] = {}

    def take(self, venue_id: int, starts_at: datetime) -> bool:
        """Take a hall unless it is taken; says whether it was free."""
        known = self.starts.setdefault(venue_id, [])
        if any(abs(other - starts_at) < LENGTH for other in known):
            return False
        known.append(starts_at)
        return True


def _place(concert: Concert, stages: Sequence[Stage], shift: int, taken: _Taken) -> Placed | LeftOut:
    suffix = f":+{shift}w" if shift else ""
    if not stages:
        starts_at = concert.starts_at(shift_weeks=shift)
        return Placed(
            concert=concert, source=concert.source + suffix, starts_at=starts_at, shift_weeks=shift, stage=None
        )
    if concert.category in PRIVATE:
        return LeftOut(concert=concert.source, reason=f"not for the public: {concert.category}")
    stage = next((one for one in stages if one.categories is None or concert.category in one.categories), None)
    if stage is None:
        return LeftOut(concert=concert.source, reason=f"no hall is chosen for {concert.category}")
    starts_at = concert.starts_at(shift_weeks=shift, zone=stage.time_zone)
    if not taken.take(stage.venue_id, starts_at):
        return LeftOut(concert=concert.source, reason="the hall has another concert at that time")
    source = f"{concert.source}{suffix}@{stage.venue_id}"
    return Placed(concert=concert, source=source, starts_at=starts_at, shift_weeks=shift, stage=stage)
