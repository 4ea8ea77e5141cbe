"""Issued tickets; the unique index ``ticket_one_live`` is the second guard of invariant I1."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from boxoffice.kernel.ids import OrderId, TicketId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.order import Order
from boxoffice.services.sales.domain.ticket import Ticket, TicketState
from boxoffice.services.sales.store.records import plain_uuid

ISSUE = """
INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id, issued_at,
                     ticket_type)
SELECT i.ticket_id, $3, i.seat_id, $4, $5, w.price_minor, o.currency, 'valid', $6, (SELECT clock_timestamp()),
       w.ticket_type
FROM orders o CROSS JOIN unnest(o.seat_ids, o.price_minors, o.ticket_types) w(seat_id, price_minor, ticket_type)
JOIN unnest($1::uuid[], $2::bigint[]) i(ticket_id, seat_id) USING (seat_id)
JOIN event_seats s USING (seat_id)
WHERE o.order_id = $4 AND s.event_id = $3 AND s.order_id = $4 AND s.state = 'sold'
"""
"""Prices and types are the order's own: what its buyer was told, and pays."""
ISSUE_PLACES = """
INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id, issued_at,
                     ticket_type)
SELECT i.ticket_id, $3, i.seat_id, $4, $5, w.price_minor, o.currency, 'valid', $6, (SELECT clock_timestamp()),
       w.ticket_type
FROM orders o CROSS JOIN unnest(o.seat_ids, o.price_minors, o.ticket_types) w(seat_id, price_minor, ticket_type)
JOIN unnest($1::uuid[], $2::bigint[]) i(ticket_id, seat_id) USING (seat_id)
JOIN ga_areas a ON a.event_id = $3 AND i.seat_id >> 20 = $3 AND (i.seat_id & 1048575) >= a.first_place
  AND (i.seat_id & 1048575) < a.first_place + a.capacity
WHERE o.order_id = $4
"""

SELECTED = """
SELECT k.ticket_id, k.event_id, k.seat_id, k.order_id, k.user_id, k.state, k.price_minor, k.currency, k.issued_at,
       coalesce(l.section, a.area) AS section, coalesce(l.row_label, '') AS row_label,
       coalesce(l.number, ((k.seat_id & 1048575) - a.first_place + 1)::text) AS number,
       CASE WHEN l.seat_id IS NULL THEN a.area ELSE l.price_level END AS price_level, l.mark, l.notice,
       coalesce(k.ticket_type, y.ticket_type) AS ticket_type
FROM tickets k LEFT JOIN event_seat_labels l USING (event_id, seat_id)
LEFT JOIN ga_areas a ON l.seat_id IS NULL AND a.event_id = k.event_id AND (k.seat_id & 1048575) >= a.first_place
  AND (k.seat_id & 1048575) < a.first_place + a.capacity
LEFT JOIN ticket_types y ON y.event_id = k.event_id AND y.rank = 0
  AND y.price_level = CASE WHEN l.seat_id IS NULL THEN a.area ELSE l.price_level END
"""
"""A ticket whose buyer did not choose is of its level's standard type."""
OF_ORDER = SELECTED + " WHERE k.order_id = $1 ORDER BY k.seat_id, k.issued_at"
OF_ORDERS = SELECTED + " WHERE k.order_id = ANY ($1::uuid[]) ORDER BY k.seat_id, k.issued_at"
OF_USER = SELECTED + " WHERE k.user_id = $1 AND k.state <> 'void' ORDER BY k.issued_at DESC, k.seat_id LIMIT $2"
OWN = SELECTED + " WHERE k.ticket_id = $1 AND k.user_id = $2"

VOID = """
UPDATE tickets SET state = 'void', voided_at = clock_timestamp()
WHERE order_id = $1 AND ticket_id = ANY ($2::uuid[]) AND state = 'valid' RETURNING ticket_id
"""


async def issue(tx: Connection, order: Order, *, key_id: str) -> int:
    """Issue one ticket for each sold seat of an order and each of its places; returns how many.

    :raises asyncpg.UniqueViolationError: when a seat has a live ticket already.
    """
    ids = [uuid4() for _ in order.seat_ids]
    values = (ids, list(order.seat_ids), order.event_id, order.order_id, order.user_id, key_id)
    issued = int((await tx.execute(ISSUE, *values)).split()[-1])
    if issued < len(ids):
        issued += int((await tx.execute(ISSUE_PLACES, *values)).split()[-1])
    return issued


async def of_order(source: Connection | Database, order_id: OrderId) -> list[Ticket]:
    """Read an order's tickets, void ones too."""
    return [read(record) for record in await source.fetch(OF_ORDER, order_id)]


async def of_orders(database: Database, order_ids: Sequence[OrderId]) -> list[Ticket]:
    """Read the tickets of several orders at once."""
    return [read(record) for record in await database.fetch(OF_ORDERS, list(order_ids))]


async def of_user(database: Database, user_id: UserId, *, most: int) -> list[Ticket]:
    """Read a customer's live tickets, newest first."""
    return [read(record) for record in await database.fetch(OF_USER, user_id, most)]


async def own(database: Database, ticket_id: TicketId, user_id: UserId) -> Ticket | None:
    """Read one ticket of a customer; none when it is another's."""
    record = await database.fetchrow(OWN, ticket_id, user_id)
    return None if record is None else read(record)


async def void(tx: Connection, order_id: OrderId, ticket_ids: Sequence[TicketId]) -> int:
    """Void valid tickets of an order; returns how many changed."""
    return len(await tx.fetch(VOID, order_id, list(ticket_ids)))


def read(record: Any) -> Ticket:
    """Make a ticket of a record."""
    return Ticket(
        ticket_id=TicketId(plain_uuid(record["ticket_id"])), event_id=record["event_id"], seat_id=record["seat_id"],
        order_id=OrderId(plain_uuid(record["order_id"])), user_id=UserId(plain_uuid(record["user_id"])),
        state=TicketState(record["state"]), price=Money(record["price_minor"], record["currency"]),
        issued_at=record["issued_at"], section=record["section"], row=record["row_label"], number=record["number"],
        price_level=record["price_level"], mark=record["mark"], notice=record["notice"],
        ticket_type=record["ticket_type"],
    )  # fmt: skip
