"""Which seats of an event are open to a request at this moment, and where they all are: what best available reads."""

from dataclasses import dataclass

from boxoffice.kernel.ids import MAX_PLACES, EventId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.seating import PlacedSeat

OPEN = """
SELECT t.no_orphans, (
  SELECT string_agg(CASE WHEN (s.state = 'free' OR (s.state = 'held' AND s.hold_expires_at <= clock_timestamp()))
                          AND (s.closed_until IS NULL OR s.closed_until <= clock_timestamp() OR s.allocation_id = $2)
                         THEN '1' ELSE '0' END, '' ORDER BY s.seat_id)
    FROM event_seats s WHERE s.event_id = t.event_id) AS seats
FROM event_terms t WHERE t.event_id = $1
"""
"""One character a seat. Ordered by the primary key, so no sort."""

PLACED = """
SELECT seat_id, section, row_label, block, position, price_level, mark, x, y FROM event_seat_labels
 WHERE event_id = $1 AND seat_id >= $2 ORDER BY seat_id LIMIT $3
"""
PAGE = 20_000
"""Labels read in one statement: far inside its timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSeats:
    """One character a seat in the order of places (``1``: open), and whether single seats must not be left."""

    seats: bytes
    no_orphans: bool


async def read(tx: Connection, event_id: EventId, *, allocation_id: int | None) -> OpenSeats:
    """Read which seats are open now; none of an event that is not known."""
    record = await tx.fetchrow(OPEN, event_id, allocation_id)
    if record is None:
        return OpenSeats(seats=b"", no_orphans=False)
    return OpenSeats(seats=(record["seats"] or "").encode(), no_orphans=record["no_orphans"])


async def placed(tx: Connection, event_id: EventId) -> tuple[list[PlacedSeat], list[int]]:
    """Read where every seat of an event is, and its id, in the order of places."""
    found: list[PlacedSeat] = []
    ids: list[int] = []
    while len(ids) < MAX_PLACES:
        page = await tx.fetch(PLACED, event_id, ids[-1] + 1 if ids else 0, PAGE)
        for seat_id, *seat in page:
            ids.append(seat_id)
            found.append(PlacedSeat(*seat))
        if len(page) < PAGE:
            break
    return found, ids
