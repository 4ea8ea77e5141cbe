"""One published concert read into an event: when, where, what, by whom, and what it is called.

The archive gives no end: a concert is taken to last two hours. What cannot be read is refused with its reason.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from boxoffice.kernel.errors import DomainError
from boxoffice.services.catalog.domain import names, titles
from boxoffice.services.catalog.domain.event import Work
from boxoffice.services.catalog.domain.instants import at_wall_clock
from boxoffice.services.catalog.domain.places import Place, UnknownPlaceError, place

HOME = ZoneInfo("America/New_York")
"""A published date is midnight of this zone, written in UTC."""
LENGTH = timedelta(hours=2)
CLOCK = re.compile(r"(\d{1,2}):(\d{2})\s*(AM|PM)", re.IGNORECASE)
HOURS_OF_A_HALF_DAY = 12
EARLY = time(9)
"""An evening concert listed before this was most likely typed AM for PM; it is read as published and remarked on."""
NOT_SAID = frozenset({"", "none", "unknown", "unknown venue", "tba", "tbd"})
NO_VENUE = "Venue not recorded"
MAX_NAME = 200
IN_A_HEADLINE = 3
"""More composers or soloists than this become "and others"."""
NO_COMPOSERS = frozenset(
    {"ACT", "Anthem", "Demonstration", "Discussion", "Improvisation", "Traditional", "Unknown", "Unspecified",
     "Various", "VARIOUS"}
)  # fmt: skip
"""What stands in the composer's column without being one; kept in the programme, left out of headlines."""


class UnreadableError(ValueError):
    """A concert that cannot be read; the text is the reason, for the list at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSoloist:
    """A soloist as published."""

    name: str
    instrument: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWork:
    """A work as published, its italics put back in their place; ``interval`` is the word for an intermission."""

    title: str
    movement: str
    composer: str
    conductor: str
    soloists: tuple[PublishedSoloist, ...]
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedConcert:
    """A concert as published. ``ordinal`` counts concerts of its programme at one date and time, from 1."""

    programme_id: str
    orchestra: str
    season: str
    event_type: str
    location: str
    venue: str
    date: str
    time: str
    works: tuple[PublishedWork, ...]
    ordinal: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Concert:
    """A concert that was read. ``source`` names it for ever; ``remark`` says what looks odd but stands so."""

    source: str
    season: str
    category: str
    day: date
    clock: time
    venue: str
    place: Place
    name: str
    description: str
    programme: tuple[Work, ...]
    remark: str | None

    def starts_at(self, *, shift_weeks: int = 0, zone: str | None = None) -> datetime:
        """Say when it begins, in UTC: by the venue's clocks or another zone's, shifted by whole weeks of the calendar.

        :raises BadTimeError: when the clocks skip that time.
        """
        return at_wall_clock(self.day + timedelta(weeks=shift_weeks), self.clock, zone or self.place.time_zone)


def read(published: PublishedConcert) -> Concert:
    """Read one concert.

    :raises UnreadableError: with the reason.
    """
    day, clock = _day(published.date), _clock(published.time)
    programme = tuple(_work(work) for work in published.works)
    category = names.tidy(published.event_type) or "Concert"
    concert = Concert(
        source=_source(published, day, clock),
        season=names.tidy(published.season),
        category=category,
        day=day,
        clock=clock,
        venue=_venue(published.venue),
        place=_place(published.location),
        name=headline(published, programme),
        description=describe(published, programme),
        programme=programme,
        remark=f"begins at {clock:%H:%M}, as published" if clock < EARLY else None,
    )
    try:
        concert.starts_at()
    except DomainError as error:
        raise UnreadableError(error.detail) from error
    return concert


def _source(published: PublishedConcert, day: date, clock: time) -> str:
    more = f":{published.ordinal}" if published.ordinal > 1 else ""
    return f"nyphil:{published.programme_id}:{day:%Y-%m-%d}T{clock:%H:%M}{more}"


def _day(text: str) -> date:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableError(f"the date {text!r} cannot be read") from None
    local = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(HOME)
    if local.time() != time(0):
        raise UnreadableError(f"the date {text!r} is not midnight in New York, so the day is not certain")
    return local.date()


def _clock(text: str) -> time:
    said = names.tidy(text)
    if said.lower() in NOT_SAID:
        raise UnreadableError("no time was published")
    match = CLOCK.fullmatch(said)
    hour, minute = (int(match[1]), int(match[2])) if match else (0, 0)
    if match is None or not 1 <= hour <= HOURS_OF_A_HALF_DAY or minute >= 60:  # noqa: PLR2004 - minutes of an hour
        raise UnreadableError(f"the time {text!r} cannot be read")
    afternoon = match[3].upper() == "PM"
    return time(hour % HOURS_OF_A_HALF_DAY + (HOURS_OF_A_HALF_DAY if afternoon else 0), minute)


def _venue(text: str) -> str:
    name = names.article_first(names.tidy(text))
    return NO_VENUE if name.lower() in NOT_SAID else name


def tidy_venue(published: PublishedConcert) -> str:
    """Say where it was, for the list of what could not be read."""
    return f"{_venue(published.venue)}, {names.tidy(published.location)}"


def _place(text: str) -> Place:
    try:
        return place(text)
    except UnknownPlaceError as error:
        raise UnreadableError(str(error)) from error


def _work(published: PublishedWork) -> Work:
    if published.interval:
        return Work(intermission=True)
    return Work(
        title=titles.title(published.title) or None,
        composer=names.person(published.composer),
        conductor=" and ".join(names.people(published.conductor)) or None,
        soloists=tuple(said for soloist in published.soloists if (said := _soloist(soloist))),
        movement=names.tidy(published.movement) or None,
    )


def _soloist(soloist: PublishedSoloist) -> str | None:
    name, instrument = names.person(soloist.name), names.tidy(soloist.instrument)
    if name is None or instrument.lower() in NOT_SAID:
        return name
    return f"{name} ({instrument.lower()})"


def headline(published: PublishedConcert, programme: Sequence[Work]) -> str:
    """Name the event after what is played, who conducts and who plays the solos; at most 200 characters."""
    works = [work for work in programme if not work.intermission]
    conductors = _distinct(work.conductor for work in works)
    soloists = _distinct(
        names.person(soloist.name) for work in published.works for soloist in work.soloists if soloist.role == "S"
    )
    composers = _distinct(
        names.surname_of(work.composer) for work in published.works if work.composer and not work.interval
    )
    composers = [name for name in composers if name not in NO_COMPOSERS]
    played = _distinct(work.title for work in works)
    if len(played) == 1:
        what = f"{composers[0]}: {played[0]}" if len(composers) == 1 else played[0]
    elif composers:
        what = _enumerated(composers)
    else:
        what = names.tidy(published.event_type) or "Concert"
    who = _enumerated(conductors) if conductors else names.tidy(published.orchestra) or "New York Philharmonic"
    name = f"{what} \N{EN DASH} {who}"
    if soloists and len(name) < MAX_NAME // 2:
        name = f"{name} with {_enumerated(soloists)}"
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1].rstrip() + "…"


def describe(published: PublishedConcert, programme: Sequence[Work]) -> str:
    """Write the programme out, one work a line, its movements behind it."""
    lines = [f"{names.tidy(published.orchestra)}, season {names.tidy(published.season)}."]
    conductors = _distinct(work.conductor for work in programme)
    if conductors:
        lines.append(f"Conducted by {' and '.join(conductors)}.")
    soloists = _distinct(soloist for work in programme for soloist in work.soloists)
    if soloists:
        lines.append(f"With {', '.join(soloists)}.")
    last: str | None = None
    for work in programme:
        line = "Intermission" if work.intermission else ": ".join(filter(None, (work.composer, work.title)))
        if line and line != last:
            lines.append(line)
        last = line
    return "\n".join(lines)


def _distinct(found: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in found if name))


def _enumerated(found: Sequence[str]) -> str:
    shown = list(found[:IN_A_HEADLINE])
    if len(found) > IN_A_HEADLINE:
        return f"{', '.join(shown)} and others"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
