"""What making a lost sale again needs: an event's seats by the names that lines give them, holds that ran out (I22)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from boxoffice.kernel.ids import EventId, SeatId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.bought import place_name
from boxoffice.services.sales.domain.order import Order
from boxoffice.services.sales.domain.refusals import SeatsTakenError
from boxoffice.services.sales.store import areas, limits

LABELS = "SELECT seat_id, section, row_label, number FROM event_seat_labels WHERE event_id = $1"
CLOSED_FOR = """
SELECT max(a.allocation_id) FROM event_seats s JOIN allocations a USING (event_id, allocation_id)
WHERE s.event_id = $1 AND s.seat_id = ANY ($2::bigint[]) AND s.closed_until > clock_timestamp() AND a.kind <> 'kill'
"""
HOLD_SEATS_LONGER = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]) AND order_id = $3 AND state = 'held'
   ORDER BY seat_id FOR UPDATE),
held AS (
  UPDATE event_seats s SET hold_expires_at = $4 FROM mine m
   WHERE s.event_id = $1 AND s.seat_id = m.seat_id RETURNING 1)
SELECT count(*) FROM held
"""
HOLD_ORDER_LONGER = """
UPDATE orders SET hold_expires_at = $2, version = version + 1 WHERE order_id = $1 AND state = 'held' RETURNING true
"""


async def named_seats(database: Database, event_id: EventId) -> list[tuple[SeatId, str]]:
    """List an event's seats with their names as lines give them, without a ticket type."""
    return [
        (SeatId(found["seat_id"]), place_name(found["section"], found["row_label"], found["number"]))
        for found in await database.fetch(LABELS, event_id)
    ]


async def area_names(database: Database, event_id: EventId) -> list[str]:
    """List an event's areas of general admission."""
    return [found["area"] for found in await database.fetch(areas.NAMES, event_id)]


async def closed_for(connection: Connection, event_id: EventId, seat_ids: Sequence[SeatId]) -> int | None:
    """Name the allocation that some of these seats are set aside for now; none when they are open to everybody."""
    found: int | None = await connection.fetchval(CLOSED_FOR, event_id, list(seat_ids))
    return found


async def hold_on(tx: Connection, order: Order, until: datetime) -> None:
    """Hold a held order's seats until an instant, also when its hold ran out, unless somebody has one. Lock it first.

    :raises SeatsTakenError: when somebody has.
    """
    held: Any = await tx.fetchval(HOLD_SEATS_LONGER, order.event_id, list(order.seat_ids), order.order_id, until)
    if held < len(order.seat_ids):
        held += await areas.count_among(tx, order.seat_ids)
    if held != len(order.seat_ids) or not await tx.fetchval(HOLD_ORDER_LONGER, order.order_id, until):
        raise SeatsTakenError("Somebody else has a seat of this booking now.", taken=[])
    await limits.charge_longer(tx, order.order_id, before=order.hold_expires_at)
