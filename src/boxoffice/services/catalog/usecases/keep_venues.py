"""Create, change and delete venues of an organisation."""

from collections.abc import Sequence
from uuid import UUID

from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain import instants
from boxoffice.services.catalog.domain.event import Venue
from boxoffice.services.catalog.domain.refusals import ChangedMeanwhileError, VenueInUseError, VenueNotFoundError
from boxoffice.services.catalog.store import events, venues
from boxoffice.services.catalog.store.venues import Particulars
from boxoffice.services.catalog.usecases.tell_event import CHANGED, tell_events


async def create_venue(tx: Connection, said: Particulars, *, organisation: UUID) -> Venue:
    """Create a venue.

    :raises UnknownZoneError: when there is no such time zone.
    """
    instants.zone(said.time_zone)
    return await _read(tx, await venues.insert(tx, organisation, said))


async def change_venue(
    tx: Connection, venue_id: int, said: Particulars, *, organisations: Sequence[UUID], expected_version: int | None
) -> Venue:
    """Change a venue, and tell of every event there, since each names its place.

    :raises VenueNotFoundError: when none of the organisations has it.
    :raises ChangedMeanwhileError: when it is not the version that the caller has seen.
    :raises UnknownZoneError: when there is no such time zone.
    """
    instants.zone(said.time_zone)
    before = await own_venue(tx, venue_id, organisations)
    if expected_version not in {None, before.version}:
        raise ChangedMeanwhileError(f"It is at version {before.version} now.", version=before.version)
    await venues.update(tx, venue_id, said)
    await tell_events(tx, await events.touch_of_venue(tx, venue_id), CHANGED)
    return await _read(tx, venue_id)


async def delete_venue(tx: Connection, venue_id: int, *, organisations: Sequence[UUID]) -> None:
    """Delete a venue without events; its seat maps stay readable, since they never change.

    :raises VenueNotFoundError: when none of the organisations has it.
    :raises VenueInUseError: when it has events.
    """
    await own_venue(tx, venue_id, organisations)
    if not await venues.delete(tx, venue_id):
        raise VenueInUseError("Delete its drafts first; a venue of published events stays.", venueId=venue_id)


async def own_venue(tx: Connection, venue_id: int, organisations: Sequence[UUID]) -> Venue:
    """Find a venue to change, and keep it until the end of the transaction.

    :raises VenueNotFoundError: when none of the organisations has it.
    """
    venue = await venues.lock_own(tx, venue_id, organisations)
    if venue is None:
        raise VenueNotFoundError("There is no such venue among yours.", venueId=venue_id)
    return venue


async def _read(tx: Connection, venue_id: int) -> Venue:
    venue = await venues.find(tx, venue_id)
    assert venue is not None
    return venue
