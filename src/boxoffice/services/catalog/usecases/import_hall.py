"""Import a hall from a file: its venue and its seat map; the same content again changes nothing."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from boxoffice.contracts.hall import Hall
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.catalog.domain import instants, places
from boxoffice.services.catalog.domain.event import Venue
from boxoffice.services.catalog.providers import hall_file
from boxoffice.services.catalog.store import venues
from boxoffice.services.catalog.store.seat_maps import SeatMap
from boxoffice.services.catalog.store.venues import Particulars
from boxoffice.services.catalog.usecases.add_seat_map import add_seat_map, check_hall


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedHall:
    """A hall in the catalog. ``changed``: this import wrote something."""

    venue: Venue
    seat_map: SeatMap
    hall: Hall
    changed: bool


async def import_hall(
    database: Database, file: Path, *, organisation: UUID, time_zone: str | None = None
) -> ImportedHall:
    """Import a hall for an organisation; the zone comes from its address when it is not given.

    :raises UnreadableSeatMapError: when the file is no seat map.
    :raises TotalsDifferError: when it does not reproduce its published totals, naming section, found and published.
    :raises UnknownZoneError: when the zone is not given and cannot be told from the address.
    """
    hall = hall_file.read(file)
    sellable = sum(seat.sellable for seat in check_hall(hall))
    async with database.transaction() as tx:
        venue, made = await _venue(tx, hall, sellable, organisation=organisation, time_zone=time_zone)
        seat_map, new = await add_seat_map(tx, venue.id, hall)
    return ImportedHall(venue=venue, seat_map=seat_map, hall=hall, changed=made or new)


async def _venue(
    tx: Connection, hall: Hall, total: int, *, organisation: UUID, time_zone: str | None
) -> tuple[Venue, bool]:
    source = f"hall:{hall.name}"
    known = await venues.find_source(tx, organisation, source)
    if known is None:
        await venues.insert(tx, organisation, _particulars(hall, total, time_zone), source=source)
        known = await venues.find_source(tx, organisation, source)
        assert known is not None
        return known, True
    locked = await venues.lock_own(tx, known.id, [organisation])  # so that two imports never take one version
    return locked or known, False


def _particulars(hall: Hall, total: int, time_zone: str | None) -> Particulars:
    found = places.of_address(hall.address)
    zone = time_zone or (found.time_zone if found else "")
    instants.zone(zone)
    return Particulars(
        name=hall.name, description=hall.credit, location=hall.address, total_seats=total, time_zone=zone,
        latitude=hall.latitude, longitude=hall.longitude, city=found.city if found else None,
        region=found.region if found else None, country=found.country if found else None,
    )  # fmt: skip
