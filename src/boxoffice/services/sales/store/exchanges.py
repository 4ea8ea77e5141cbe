"""Exchanges: the seats are taken by compare-and-set as a hold takes them, and go straight to ``sold`` (I1).

Nobody waits for a seat here (SKIP LOCKED): whoever wants one that another request is deciding on is refused.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from boxoffice.kernel.ids import EventId, OrderId, SeatId, TicketId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.exchange import Settled, TakenSeat
from boxoffice.services.sales.domain.order import Order
from boxoffice.services.sales.store import holds

TAKE = """
WITH open AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[])
     AND is_open(state, hold_expires_at)
     AND is_offered(closed_until, allocation_id, (SELECT o.allocation_id FROM orders o WHERE o.order_id = $3))
   ORDER BY seat_id FOR UPDATE SKIP LOCKED)
UPDATE event_seats s SET state = 'sold', order_id = $3, hold_expires_at = NULL, fence = s.fence + 1
  FROM open o JOIN event_seat_labels l ON l.event_id = $1 AND l.seat_id = o.seat_id
 WHERE s.event_id = $1 AND s.seat_id = o.seat_id
RETURNING s.seat_id, s.price_minor, s.currency, l.price_level
"""

NOTE = """
INSERT INTO exchanges (exchange_id, order_id, places, given_minor, taken_minor, refund_percent, refund_minor, currency)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

VOID = """
UPDATE tickets SET state = 'void', voided_at = clock_timestamp(), given_in = $3
WHERE order_id = $1 AND ticket_id = ANY ($2::uuid[]) AND state = 'valid' RETURNING ticket_id
"""

ISSUE = """
INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id, issued_at,
                     taken_in, ticket_type)
SELECT i.ticket_id, $3, seat_id, $4, $5, i.price_minor, s.currency, 'valid', $6, (SELECT clock_timestamp()), $7,
       i.ticket_type
FROM unnest($1::uuid[], $2::bigint[], $8::bigint[], $9::text[]) i(ticket_id, seat_id, price_minor, ticket_type)
JOIN event_seats s USING (seat_id) WHERE s.event_id = $3 AND s.order_id = $4 AND s.state = 'sold'
"""

# A seat taken that was cancelled in this order before stands in it once.
RESEAT = """
UPDATE orders o SET version = version + 1, (n_seats, seat_ids, price_minors, ticket_types) = (
  SELECT count(*), array_agg(p.seat_id ORDER BY p.seat_id), array_agg(p.price_minor ORDER BY p.seat_id),
         CASE WHEN o.ticket_types IS NOT NULL THEN array_agg(p.ticket_type ORDER BY p.seat_id) END FROM (
    SELECT * FROM unnest(o.seat_ids, o.price_minors, o.ticket_types) before(seat_id, price_minor, ticket_type)
     WHERE NOT seat_id = ANY ($2::bigint[] || $3::bigint[])
    UNION ALL SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::text[]) taken(seat_id, price_minor, ticket_type)) p)
WHERE o.order_id = $1 AND o.state = 'confirmed' RETURNING version
"""
REFUSE_STRANDING = """
SELECT refuse_stranding(t.event_id, $2, o.allocation_id) FROM event_terms t JOIN orders o ON o.order_id = $3
 WHERE t.event_id = $1 AND t.no_orphans
"""


async def take_seats(
    tx: Connection, *, event_id: EventId, seat_ids: Sequence[SeatId], order_id: OrderId
) -> Sequence[Any]:
    """Sell those of the seats that are open to an order; returns their records.

    One that was held with an access code may take seats of that allocation still.

    :raises CompanionAloneError: when one is a companion's, and its wheelchair place is not the order's.
    """
    with holds.refusing():
        taken: Sequence[Any] = await tx.fetch(TAKE, event_id, sorted(seat_ids), order_id)
    return taken


async def note(tx: Connection, order: Order, settled: Settled) -> UUID:
    """Write an exchange down; returns its id.

    :raises asyncpg.CheckViolationError: when more is taken than was given, or the refund is not the policy's.
    """
    exchange_id = uuid4()
    await tx.execute(
        NOTE, exchange_id, order.order_id, len(settled.refunds), settled.given.minor, settled.taken.minor,
        order.refund_percent, settled.refund.minor, settled.given.currency,
    )  # fmt: skip
    return exchange_id


async def void_given(tx: Connection, order_id: OrderId, ticket_ids: Sequence[TicketId], exchange_id: UUID) -> int:
    """Void the valid tickets given in an exchange; returns how many changed."""
    return len(await tx.fetch(VOID, order_id, list(ticket_ids), exchange_id))


async def issue_taken(
    tx: Connection, order: Order, taken: Sequence[TakenSeat], exchange_id: UUID, *, key_id: str
) -> list[TicketId]:
    """Issue a ticket for each seat taken; returns their ids in the order of the seats.

    :raises asyncpg.UniqueViolationError: when a seat has a live ticket already.
    """
    ids = [TicketId(uuid4()) for _ in taken]
    await tx.execute(
        ISSUE, ids, [one.seat_id for one in taken], order.event_id, order.order_id, order.user_id, key_id, exchange_id,
        [one.price.minor for one in taken], _types(order, taken),
    )  # fmt: skip
    return ids


async def check_singles(tx: Connection, event_id: EventId, taken: Sequence[SeatId], order_id: OrderId) -> None:
    """Keep the rule against single seats, where an event has it; call it once the given seats are free.

    :raises SingleSeatLeftError: when a single seat would be left beside one that is taken.
    :raises SeatsTakenError: when that cannot be told, because somebody is at a neighbour just now.
    """
    with holds.refusing():
        await tx.execute(REFUSE_STRANDING, event_id, sorted(taken), order_id)


async def reseat(tx: Connection, order: Order, *, given: Sequence[SeatId], taken: Sequence[TakenSeat]) -> int | None:
    """Give a confirmed order other seats at their prices; returns its new version, none when it is not confirmed."""
    version: int | None = await tx.fetchval(
        RESEAT, order.order_id, list(given), [one.seat_id for one in taken], [one.price.minor for one in taken],
        _types(order, taken),
    )  # fmt: skip
    return version


def _types(order: Order, taken: Sequence[TakenSeat]) -> list[str | None]:
    """Give the types to keep: none for an order whose buyer never chose, which stays one of standard tickets."""
    return [None if order.ticket_types is None else one.ticket_type for one in taken]
