"""Holds that are made longer: the customer's clock by compare-and-set, their open orders and seats with it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime.database import Connection

# The clock of a hold that a payment gave back may be over: what is held counts, not what the clock says.
CLOCK = """
SELECT l.clock_until, l.clock_until IS NOT DISTINCT FROM l.extended_until AS extended, l.spent_seconds,
       hold_budget(t.limit_per_customer, t.hold_seconds) AS budget
FROM customer_limits l JOIN event_terms t USING (event_id) WHERE l.event_id = $1 AND l.user_id = $2
"""
LOCK_OPEN = """
SELECT order_id, seat_ids FROM orders
WHERE user_id = $1 AND event_id = $2 AND state = 'held' AND hold_expires_at > clock_timestamp() AND hold_expires_at < $3
ORDER BY order_id FOR UPDATE
"""
# Places of general admission have no record of their own here: their order's end is theirs.
LENGTHEN_SEATS = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]) AND order_id = $3 AND state = 'held'
     AND hold_expires_at > clock_timestamp() ORDER BY seat_id FOR UPDATE),
held AS (
  UPDATE event_seats s SET hold_expires_at = $4 FROM mine m
   WHERE s.event_id = $1 AND s.seat_id = m.seat_id RETURNING 1)
SELECT (SELECT count(*) FROM held)
     = (SELECT count(*) FROM event_seats WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]))
"""
LENGTHEN_ORDER = """
UPDATE orders o SET hold_expires_at = $2, extended_at = clock_timestamp(), version = o.version + 1
FROM (SELECT hold_expires_at FROM orders WHERE order_id = $1) before
WHERE o.order_id = $1 AND o.state = 'held'
RETURNING o.n_seats * ceil(extract(epoch FROM $2 - before.hold_expires_at))::bigint
"""
MOVE_CLOCK = """
UPDATE customer_limits l SET clock_until = $4, extended_until = $4, spent_seconds = l.spent_seconds + $5
FROM event_terms t WHERE t.event_id = l.event_id AND l.event_id = $1 AND l.user_id = $2 AND l.clock_until = $3
  AND l.clock_until IS DISTINCT FROM l.extended_until
  AND l.spent_seconds + $5 <= hold_budget(t.limit_per_customer, t.hold_seconds)
RETURNING true
"""


async def clock(tx: Connection, event_id: EventId, user_id: UserId) -> tuple[datetime, bool] | None:
    """Read until when a customer's holds of an event last, and whether that was extended already."""
    record = await tx.fetchrow(CLOCK, event_id, user_id)
    return None if record is None or record["clock_until"] is None else (record["clock_until"], record["extended"])


async def lock_open(tx: Connection, event_id: EventId, user_id: UserId, *, until: datetime) -> Sequence[Any]:
    """Lock a customer's open holds of an event that end before an instant: ``order_id``, ``seat_ids``."""
    found: Sequence[Any] = await tx.fetch(LOCK_OPEN, user_id, event_id, until)
    return found


async def lengthen(
    tx: Connection, event_id: EventId, order_id: OrderId, seat_ids: Sequence[SeatId], until: datetime
) -> int | None:
    """Hold an order's seats until an instant; returns the seat-seconds added, none when the hold is over."""
    if not await tx.fetchval(LENGTHEN_SEATS, event_id, list(seat_ids), order_id, until):
        return None
    seconds: int | None = await tx.fetchval(LENGTHEN_ORDER, order_id, until)
    return seconds


async def move_clock(
    tx: Connection, event_id: EventId, user_id: UserId, *, before: datetime, extension: timedelta, seat_seconds: int
) -> bool:
    """Extend a customer's clock once, charging seat-seconds; false when it moved, was extended, or costs too much."""
    moved = await tx.fetchval(MOVE_CLOCK, event_id, user_id, before, before + extension, seat_seconds)
    return moved is True
