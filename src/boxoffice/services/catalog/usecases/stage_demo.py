"""Stage the newest season in two halls of Hong Kong, some weeks from now, so that there is something to buy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from boxoffice.contracts.hall import Hall
from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.runtime.database import Database
from boxoffice.services.catalog.domain.prices import SuggestedLevel, suggest
from boxoffice.services.catalog.domain.staging import ORCHESTRAL, Stage
from boxoffice.services.catalog.providers import published_files
from boxoffice.services.catalog.usecases.import_concerts import NEWEST, ImportedConcerts, Options, import_concerts
from boxoffice.services.catalog.usecases.import_hall import ImportedHall, import_hall
from boxoffice.services.catalog.usecases.write_concerts import Progress

CONCERT_HALL, THEATRE = "hk-cultural-centre-concert-hall", "hk-city-hall-theatre"
WEEKS_AHEAD = 2
"""Far enough that refunds are still possible, near enough that it reads like this season."""
CURRENCY = "HKD"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedHall:
    """A hall with its events, for sales to open: their facts and versions as told, and price levels to start from."""

    seat_map_id: int
    hall: Hall
    levels: tuple[SuggestedLevel, ...]
    events: tuple[tuple[EventFact, int], ...]
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo has in the catalog."""

    halls: tuple[StagedHall, ...]
    imported: ImportedConcerts


async def stage_demo(
    database: Database,
    *,
    organisation: UUID,
    at_most: int | None = None,
    starts_in_weeks: int = WEEKS_AHEAD,
    concerts: Sequence[Path] | None = None,
    progress: Progress = lambda _done, _of: None,
) -> Demo:
    """Import both halls and the newest season of the files that come with the project; a second run changes nothing.

    Orchestral concerts go to the Cultural Centre's Concert Hall, smaller ones to the City Hall Theatre; private ones
    are left out. ``at_most`` stages the earliest ones only.

    :raises UnreadableConcertsError: when a file is no performance history.
    """
    large = await import_hall(database, published_files.hall(CONCERT_HALL), organisation=organisation)
    small = await import_hall(database, published_files.hall(THEATRE), organisation=organisation)
    options = Options(
        season=NEWEST,
        starts_in_weeks=starts_in_weeks,
        stages=(stage_of(large, ORCHESTRAL), stage_of(small)),
        at_most=at_most,
        currency=CURRENCY,
    )
    files = published_files.concerts()[-1:] if concerts is None else concerts  # the last file has the newest season
    imported = await import_concerts(database, files, organisation=organisation, options=options, progress=progress)
    return Demo(halls=tuple(staged(hall, imported, CURRENCY) for hall in (large, small)), imported=imported)


def stage_of(hall: ImportedHall, kinds: frozenset[str] | None = None) -> Stage:
    """Make a hall a stage for concerts of some kinds, or of any."""
    return Stage(venue_id=hall.venue.id, seat_map_id=hall.seat_map.id, time_zone=hall.venue.time_zone, categories=kinds)


def staged(hall: ImportedHall, imported: ImportedConcerts, currency: str) -> StagedHall:
    """Gather a hall's events, with price levels to start from."""
    return StagedHall(
        seat_map_id=hall.seat_map.id,
        hall=hall.hall,
        levels=suggest(hall.hall.name, [section.name for section in hall.hall.sections]),
        events=tuple((fact, version) for fact, version in imported.staged if fact.seat_map_id == hall.seat_map.id),
        currency=currency,
    )
