"""Import concerts of the Philharmonic's archive as published events; a second import changes nothing.

Each concert is in or on the list of those left out, with its reason. An event that people changed since is left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.catalog.domain import concert as archive
from boxoffice.services.catalog.domain.concert import Concert, PublishedConcert, UnreadableError
from boxoffice.services.catalog.domain.instants import weeks_until
from boxoffice.services.catalog.domain.staging import LeftOut, Placed, Stage, newest, place_all
from boxoffice.services.catalog.providers import philharmonic
from boxoffice.services.catalog.store import events, seasons
from boxoffice.services.catalog.usecases.describe_event import Defaults
from boxoffice.services.catalog.usecases.tell_event import fact_of
from boxoffice.services.catalog.usecases.write_concerts import Progress, Written, write_concerts

NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to import.

    ``season`` is one ("2025-26"), ``newest``, or none for all; ``shift_weeks`` moves by whole weeks of the calendar,
    ``starts_in_weeks`` moves each season so far that it starts at least that many weeks from now; ``stages`` are the
    halls to hold the concerts in, tried in order; ``at_most`` takes the earliest ones only.
    """

    season: str | None = None
    shift_weeks: int = 0
    starts_in_weeks: int | None = None
    stages: tuple[Stage, ...] = ()
    at_most: int | None = None
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedConcerts:
    """What became of the files: ``read`` is the sum of the next four and of the length of ``left_out``.

    ``not_chosen`` are other seasons, and those beyond ``at_most``. ``remarks`` are concerts that are in, as published,
    though something looks odd. ``staged`` are the events in their halls, now or before, as told, with their versions.
    """

    read: int
    created: int
    changed: int
    unchanged: int
    not_chosen: int
    left_out: tuple[LeftOut, ...]
    remarks: tuple[LeftOut, ...]
    staged: tuple[tuple[EventFact, int], ...]


async def import_concerts(
    database: Database,
    files: Sequence[Path],
    *,
    organisation: UUID,
    options: Options | None = None,
    progress: Progress = lambda _done, _of: None,
) -> ImportedConcerts:
    """Import the concerts of some files for an organisation, all of them or none.

    :raises UnreadableConcertsError: when a file is no performance history.
    """
    options = options or Options()
    published = [concert for file in files for concert in philharmonic.read(file)]
    found, left_out = _read_all(published)
    chosen = _choose(found, options.season)
    defaults = Defaults(currency=options.currency, limit_per_customer=8, hold_minutes=20)
    async with database.transaction() as tx:
        await seasons.import_alone(tx, organisation)
        results = place_all(chosen, options.stages, await _shifts(tx, chosen, options, organisation))
        left_out += [one for one in results if isinstance(one, LeftOut)]
        placed = [one for one in results if isinstance(one, Placed)]
        placed = sorted(placed, key=lambda one: (one.starts_at, one.source))[: options.at_most]
        wrote = await write_concerts(tx, placed, organisation=organisation, defaults=defaults, progress=progress)
        staged = await _facts(tx, wrote) if options.stages else []
        if options.starts_in_weeks is not None:
            await seasons.remember(tx, organisation, _last_starts(placed))
    left_out += wrote.left_out
    in_it = len(wrote.created) + len(wrote.changed) + len(wrote.unchanged)
    return ImportedConcerts(
        read=len(published), created=len(wrote.created), changed=len(wrote.changed), unchanged=len(wrote.unchanged),
        not_chosen=len(published) - in_it - len(left_out), left_out=tuple(left_out), remarks=_remarks(placed),
        staged=tuple(staged),
    )  # fmt: skip


def _read_all(published: Sequence[PublishedConcert]) -> tuple[list[Concert], list[LeftOut]]:
    found: dict[str, Concert] = {}
    left_out: list[LeftOut] = []
    for one in published:
        try:
            concert = archive.read(one)
        except UnreadableError as error:
            where = f"programme {one.programme_id}, {one.date[:10]}, {archive.tidy_venue(one)}"
            left_out.append(LeftOut(concert=where, reason=str(error)))
            continue
        if concert.source in found:
            left_out.append(LeftOut(concert=concert.source, reason="it stands in the files twice"))
        found.setdefault(concert.source, concert)
    return list(found.values()), left_out


def _choose(found: Sequence[Concert], season: str | None) -> list[Concert]:
    wanted = newest(found) if season == NEWEST else season
    return [concert for concert in found if wanted in {None, concert.season}]


async def _shifts(tx: Connection, chosen: Sequence[Concert], options: Options, organisation: UUID) -> dict[str, int]:
    """Say by how many weeks each season moves; a season that was moved before and is not over moves as it did then."""
    first: dict[str, date] = {}
    for concert in chosen:
        first[concert.season] = min(first.get(concert.season, concert.day), concert.day)
    if options.starts_in_weeks is None:
        return dict.fromkeys(first, options.shift_weeks)
    earliest = (await seasons.now(tx)).date() + timedelta(weeks=options.starts_in_weeks)
    before = await seasons.shifts_in_use(tx, organisation)
    return {season: before.get(season, weeks_until(day, earliest)) for season, day in first.items()}


def _last_starts(placed: Sequence[Placed]) -> dict[str, tuple[int, datetime]]:
    """Give each season's shift and its last start; ``placed`` is in the order of time."""
    return {one.concert.season: (one.shift_weeks, one.starts_at) for one in placed}


def _remarks(placed: Sequence[Placed]) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(concert=one.source, reason=one.concert.remark) for one in placed if one.concert.remark)


async def _facts(tx: Connection, wrote: Written) -> list[tuple[EventFact, int]]:
    ids = sorted([*wrote.created, *wrote.changed, *wrote.unchanged])
    return [(fact_of(event), event.version) for event in await events.several(tx, ids)]
