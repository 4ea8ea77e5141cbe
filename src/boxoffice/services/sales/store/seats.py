"""Event seats: every change is a compare-and-set on the primary key that tells how many it touched (invariant I1)."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from boxoffice.kernel.ids import EventId, OrderId, OrganisationId, SeatId, event_of
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.seat import SeatState
from boxoffice.services.sales.store import areas
from boxoffice.services.sales.store.holds import refusing

SELL = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]) AND order_id = $3 AND state = $4 ORDER BY seat_id FOR UPDATE)
UPDATE event_seats s SET state = 'sold', hold_expires_at = NULL FROM mine m
 WHERE s.event_id = $1 AND s.seat_id = m.seat_id
RETURNING s.seat_id, s.price_minor, s.currency
"""

SELL_HELD = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]) AND order_id = $3 AND state = 'held'
     AND hold_expires_at > clock_timestamp() ORDER BY seat_id FOR UPDATE)
UPDATE event_seats s SET state = 'sold', hold_expires_at = NULL FROM mine m
 WHERE s.event_id = $1 AND s.seat_id = m.seat_id
RETURNING s.seat_id, s.price_minor, s.currency
"""

FREE = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]) AND order_id = $3 AND state = $4 ORDER BY seat_id FOR UPDATE),
freed AS (
  UPDATE event_seats s SET state = 'free', order_id = NULL, hold_expires_at = NULL, fence = s.fence + 1 FROM mine m
   WHERE s.event_id = $1 AND s.seat_id = m.seat_id RETURNING 1)
SELECT count(*) FROM freed
"""

HOLD_AGAIN = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]) AND order_id = $3 AND state = 'paying'
   ORDER BY seat_id FOR UPDATE),
held AS (
  UPDATE event_seats s SET state = 'held', hold_expires_at = $4 FROM mine m
   WHERE s.event_id = $1 AND s.seat_id = m.seat_id RETURNING 1)
SELECT count(*) FROM held
"""

SET_BLOCKED = """
WITH mine AS (
  SELECT s.event_id, s.seat_id FROM event_seats s JOIN event_terms t USING (event_id)
   WHERE s.event_id = $1 AND s.seat_id = ANY ($2::bigint[]) AND t.organisation_id = ANY ($3::uuid[])
     AND (s.state = $4 OR ($4 = 'free' AND s.state = 'held' AND s.hold_expires_at <= clock_timestamp()))
   ORDER BY s.seat_id FOR UPDATE OF s SKIP LOCKED)
UPDATE event_seats s SET state = $5, order_id = NULL, hold_expires_at = NULL, fence = s.fence + 1 FROM mine m
 WHERE s.event_id = m.event_id AND s.seat_id = m.seat_id
RETURNING s.seat_id
"""

LISTED = """
SELECT s.seat_id, l.section, l.row_label, l.number, l.block, l.position, l.mark, l.price_level, l.external_id, l.notice,
       s.price_minor, s.currency, coalesce(s.closed_until > clock_timestamp(), false) AS closed,
       CASE WHEN s.state = 'held' AND s.hold_expires_at <= clock_timestamp() THEN 'free' ELSE s.state END AS state
FROM event_seats s
CROSS JOIN LATERAL (
  SELECT * FROM event_seat_labels l WHERE l.event_id = s.event_id AND l.seat_id = s.seat_id OFFSET 0) l
"""
"""OFFSET 0: each label by its whole key. Of an event that is newer than the statistics one seat is expected; then going
through all labels of the event for each of its seats looks as good, and takes half a second for a concert hall.
"""
LISTED_EVENT = LISTED + " WHERE s.event_id = $1 ORDER BY s.seat_id"
LISTED_IDS = LISTED + " WHERE s.event_id = ANY ($1::bigint[]) AND s.seat_id = ANY ($2::bigint[]) ORDER BY s.seat_id"
LISTED_PUBLIC = (
    LISTED + " JOIN event_terms t ON t.event_id = s.event_id AND t.status NOT IN ('draft', 'deleted')"
    " WHERE s.event_id = ANY ($1::bigint[]) AND s.seat_id = ANY ($2::bigint[]) ORDER BY s.seat_id"
)

PUBLIC = "SELECT event_id FROM event_terms WHERE event_id = ANY ($1::bigint[]) AND status NOT IN ('draft', 'deleted')"

PLACES = "SELECT array_agg((seat_id & 1048575)::int ORDER BY seat_id) FROM event_seats WHERE event_id = $1"

CODES = """
SELECT string_agg(CASE WHEN state = 'sold' THEN '2' WHEN state = 'blocked' THEN '3' WHEN state = 'paying' THEN '1'
         WHEN state = 'held' AND hold_expires_at > clock_timestamp() THEN '1'
         WHEN closed_until > clock_timestamp() THEN '3' ELSE '0' END, '' ORDER BY seat_id),
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM event_seats WHERE event_id = $1
"""
"""One character a seat: two bits as text. Ordered by the primary key, so no sort."""

INSERT_LABELS = """
INSERT INTO event_seat_labels
  (event_id, seat_id, section, row_label, number, block, position, mark, price_level, external_id, x, y)
SELECT $1::bigint, ($1::bigint << 20) | place, section, row_label, number, block, position, mark, price_level,
       external_id, x, y
FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::text[], $9::text[], $10::text[],
            $11::int[], $12::int[])
  t(place, section, row_label, number, block, position, mark, price_level, external_id, x, y)
"""
INSERT_SEATS = """
INSERT INTO event_seats (event_id, seat_id, price_minor, currency)
SELECT $1::bigint, ($1::bigint << 20) | place, price_minor, $4
FROM unnest($2::int[], $3::bigint[]) t(place, price_minor)
"""
NOTE_VIEWS = """
UPDATE event_seat_labels l SET notice = v.notice FROM unnest($2::int[], $3::text[]) v(place, notice)
WHERE l.event_id = $1 AND l.seat_id = ($1::bigint << 20) | v.place
"""


async def sell(
    tx: Connection, *, event_id: EventId, seat_ids: Sequence[SeatId], order_id: OrderId, state: SeatState
) -> Sequence[Any]:
    """Sell an order's seats out of ``paying`` or (free orders, only while the hold lasts) ``held``."""
    if state is SeatState.HELD:
        sold: Sequence[Any] = await tx.fetch(SELL_HELD, event_id, list(seat_ids), order_id)
    else:
        sold = await tx.fetch(SELL, event_id, list(seat_ids), order_id, state)
    return sold


async def free(
    tx: Connection, *, event_id: EventId, seat_ids: Sequence[SeatId], order_id: OrderId, state: SeatState
) -> int:
    """Free an order's seats that are in ``state``; returns how many there were.

    :raises CompanionAloneError: when a companion's seat would stay without its wheelchair place.
    """
    with refusing():
        count: int = await tx.fetchval(FREE, event_id, list(seat_ids), order_id, state)
    return count


async def hold_again(
    tx: Connection, *, event_id: EventId, seat_ids: Sequence[SeatId], order_id: OrderId, expires_at: datetime
) -> int:
    """Turn an order's paying seats back into held ones; returns how many there were."""
    count: int = await tx.fetchval(HOLD_AGAIN, event_id, list(seat_ids), order_id, expires_at)
    return count


async def set_blocked(
    tx: Connection,
    *,
    event_id: EventId,
    seat_ids: Sequence[SeatId],
    organisations: Sequence[OrganisationId],
    blocked: bool,
) -> list[SeatId]:
    """Block free seats, or free blocked ones, of an event of these organisations; returns those that changed."""
    before, after = (SeatState.FREE, SeatState.BLOCKED) if blocked else (SeatState.BLOCKED, SeatState.FREE)
    changed = await tx.fetch(SET_BLOCKED, event_id, list(seat_ids), list(organisations), before, after)
    return [SeatId(record["seat_id"]) for record in changed]


async def of_event(database: Database, event_id: EventId) -> Sequence[Any]:
    """Read every event seat and place of an event with its labels and its state now."""
    return [*await database.fetch(LISTED_EVENT, event_id), *await areas.listed(database, event_id)]


async def by_ids(database: Database | Connection, seat_ids: Sequence[SeatId]) -> Sequence[Any]:
    """Read event seats and places with their labels and states now."""
    found = await database.fetch(LISTED_IDS, sorted({event_of(seat) for seat in seat_ids}), list(seat_ids))
    return found if len(found) == len(seat_ids) else await _with_places(database, seat_ids, found)


async def public_by_ids(database: Database, seat_ids: Sequence[SeatId]) -> Sequence[Any]:
    """Read event seats and places of public events with their labels and states now."""
    events = sorted({event_of(seat) for seat in seat_ids})
    found = await database.fetch(LISTED_PUBLIC, events, list(seat_ids))
    if len(found) == len(seat_ids):
        return found
    public = {record["event_id"] for record in await database.fetch(PUBLIC, events)}
    return await _with_places(database, [seat for seat in seat_ids if event_of(seat) in public], found)


async def _with_places(
    source: Database | Connection, seat_ids: Sequence[SeatId], found: Sequence[Any]
) -> Sequence[Any]:
    """Add the places of general admission to the seats that were found, in the order of their ids."""
    every = list(found)
    for event_id in sorted({event_of(seat) for seat in seat_ids}):
        every += await areas.listed(source, event_id, seat_ids)
    return sorted(every, key=itemgetter("seat_id"))


async def places(database: Database, event_id: EventId) -> list[int]:
    """List the place numbers of an event's seats, growing."""
    return list(await database.fetchval(PLACES, event_id) or [])


async def codes(database: Database, event_id: EventId) -> tuple[str, int]:
    """Read every seat's state as one character (``0`` free, ``1`` held, ``2`` sold, ``3`` not for sale), and when."""
    record = await database.fetchrow(CODES, event_id)
    assert record is not None
    return record[0] or "", record[1]


async def insert(tx: Connection, *, event_id: EventId, columns: Sequence[Sequence[Any]], currency: str) -> None:
    """Write event seats by column: place, section, row, number, block, position, mark, level, external id, x, y, price.

    :raises asyncpg.UniqueViolationError: when a place, a label or an external id stands twice.
    """
    *labels, prices = columns
    await tx.execute(INSERT_LABELS, event_id, *labels)
    await tx.execute(INSERT_SEATS, event_id, labels[0], prices, currency)


async def link_neighbours(tx: Connection, event_id: EventId) -> None:
    """Note which of an event's seats stand side by side, once all are written."""
    await tx.execute("SELECT link_neighbours($1)", event_id)


async def link_companions(tx: Connection, event_id: EventId) -> None:
    """Note which companions' seats go with which wheelchair place, once all are written."""
    await tx.execute("SELECT link_companions($1)", event_id)


async def note_views(tx: Connection, *, event_id: EventId, places: Sequence[int], notices: Sequence[str]) -> None:
    """Write what is told of places with a limited view."""
    await tx.execute(NOTE_VIEWS, event_id, list(places), list(notices))


async def exist(tx: Connection, event_id: EventId) -> bool:
    """Tell whether an event has seats on sale."""
    found: bool = await tx.fetchval("SELECT EXISTS (SELECT 1 FROM event_seats WHERE event_id = $1)", event_id)
    return found
