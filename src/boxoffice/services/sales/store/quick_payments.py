"""The usual payments, several in one round trip: ``begin_payments``, ``note_payments``, ``confirm_orders`` (SQL: 0015).

Whatever is not usual comes back as none, with nothing changed, and goes the way of ``payments.py`` and its like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from boxoffice.kernel.ids import EventId, OrderId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.sales.domain.order import Order
from boxoffice.services.sales.domain.payment import Payment, PaymentState
from boxoffice.services.sales.domain.ticket import Ticket
from boxoffice.services.sales.store import orders, payments, terms
from boxoffice.services.sales.store.records import plain_uuid
from boxoffice.services.sales.store.terms import EventTerms

UNUSUAL = "BX099"
"""SQLSTATE of what is left to the reference path."""

BEGIN = "SELECT * FROM begin_payments($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
BEGUN = "SELECT note_payments($1, $2, $3, $4, $5, $6, $7)"
OWN = payments.SELECTED + (  # noqa: S608 - constant texts
    " WHERE p.payment_id = ANY ($1::uuid[])"  # by primary key, whatever the planner makes of the rest
    " AND (p.payment_id, p.order_id, o.user_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]))"
    " AND o.state = 'paying'"
    " AND p.state IN ('created', 'capturing') AND p.provider_ref IS NOT NULL AND o.ticket_types IS NULL"
)
CLAIM = """
WITH open AS MATERIALIZED (
  SELECT payment_id FROM payments WHERE payment_id = ANY ($1::uuid[]) AND state IN ('created', 'capturing')
   ORDER BY payment_id FOR UPDATE),
claimed AS (
  UPDATE payments p SET state = 'capturing', tried_at = clock_timestamp() FROM open
   WHERE p.payment_id = open.payment_id RETURNING p.payment_id, p.order_id, p.tried_at)
SELECT c.payment_id, o.order_id, o.event_id, o.user_id, o.state, o.seat_ids, o.price_minors, o.ticket_types,
       o.total_minor, o.currency, o.hold_expires_at, o.pay_deadline, o.cancel_until, o.refund_percent, o.version,
       o.created_at, o.released_because, o.extended_at,
       o.hold_expires_at <= clock_timestamp() AS expired, o.cancel_until <= clock_timestamp() AS too_late,
       0 AS seconds_left, c.tried_at AS claimed_at, e.t AS terms, (
  SELECT jsonb_agg(jsonb_build_object('seat_id', s.seat_id, 'section', l.section, 'row_label', l.row_label,
           'number', l.number, 'mark', l.mark, 'price_level', l.price_level, 'notice', l.notice,
           'price_minor', s.price_minor, 'currency', s.currency, 'ticket_type', y.ticket_type) ORDER BY s.seat_id)
    FROM event_seats s JOIN event_seat_labels l USING (event_id, seat_id)
    LEFT JOIN ticket_types y ON y.event_id = l.event_id AND y.price_level = l.price_level AND y.rank = 0
   WHERE s.event_id = o.event_id AND s.seat_id = ANY (o.seat_ids)) AS places
FROM claimed c
CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.order_id = c.order_id OFFSET 0) o
CROSS JOIN LATERAL (SELECT t FROM event_terms t WHERE t.event_id = o.event_id OFFSET 0) e
"""
"""C1, the same compare-and-set as ever, with all that the answer and the message will say."""
CONFIRM = "SELECT confirm_orders($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A payment that was begun, and what the provider is told of it."""

    order_id: OrderId
    payment: Payment
    event_name: str
    places: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A claimed payment's order; ``places`` are its seats with labels and prices, sorted."""

    order: Order
    event: EventTerms
    places: list[dict[str, Any]]
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirming:
    """One captured payment that is to be confirmed, its tickets, and the message about it."""

    claimed: Claimed
    payment_id: PaymentId
    capture_ref: str
    tickets: list[Ticket]
    message_id: UUID
    body: str
    trace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """One order whose first payment is to begin."""

    order_id: OrderId
    user_id: UserId
    payment_id: PaymentId
    provider: str
    return_url: str
    cancel_url: str
    call: IdempotentCall | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the provider calls a payment, and what the buyer was told of it."""

    payment_id: PaymentId
    provider_ref: str
    approval_url: str
    call: IdempotentCall | None
    answer: Answer


async def begin(connection: Connection, batch: Sequence[Beginning], *, window: timedelta) -> dict[OrderId, Begun]:
    """P for several orders in one statement, which is its own transaction; who is not in the answer was not usual."""
    asked = {one.order_id: one for one in batch}
    calls = [one.call for one in batch]
    try:
        records = await connection.fetch(
            BEGIN, [one.order_id for one in batch], [one.user_id for one in batch], [one.payment_id for one in batch],
            [one.provider for one in batch], [one.return_url for one in batch], [one.cancel_url for one in batch],
            [call and call.key for call in calls], [call and call.fingerprint for call in calls],
            next((call.route for call in calls if call), ""), window,
        )  # fmt: skip
    except asyncpg.PostgresError as error:
        if error.sqlstate != UNUSUAL and not isinstance(error, asyncpg.IntegrityConstraintViolationError):
            raise
        return {}
    return {one.order_id: one for one in (_begun(record, asked) for record in records)}


def _begun(record: Any, asked: Mapping[OrderId, Beginning]) -> Begun:
    one = asked[OrderId(plain_uuid(record["order_id"]))]
    total = Money(record["total_minor"], record["currency"])
    payment = Payment(
        payment_id=one.payment_id, order_id=one.order_id, event_id=EventId(record["event_id"]), user_id=one.user_id,
        attempt=1, provider=one.provider, provider_ref=None, capture_ref=None, approval_url=None,
        return_url=one.return_url, cancel_url=one.cancel_url, state=PaymentState.CREATED, total=total,
        refunded=Money(0, total.currency), failure=None, tried_at=record["begun_at"],
    )  # fmt: skip
    return Begun(order_id=one.order_id, payment=payment, event_name=record["event_name"], places=record["items"])


async def begun(connection: Connection, batch: Sequence[Told]) -> None:
    """Note what the provider calls payments, and what their buyers were told."""
    await connection.execute(
        BEGUN, [one.payment_id for one in batch], [one.provider_ref for one in batch],
        [one.approval_url for one in batch], [one.call and one.call.principal for one in batch],
        [one.call and one.call.key for one in batch], [one.answer.status for one in batch],
        [one.answer.body for one in batch],
    )  # fmt: skip


async def to_confirm(
    connection: Connection, batch: Sequence[tuple[PaymentId, OrderId, UserId]]
) -> dict[PaymentId, Payment]:
    """Read the payments of customers' own orders that wait for their confirmation; without those with chosen types."""
    records = await connection.fetch(OWN, *(list(column) for column in zip(*batch, strict=True)))
    found = [payment for payment in map(payments.read, records) if payment is not None]
    return {payment.payment_id: payment for payment in found}


async def claim(connection: Connection, payment_ids: Sequence[PaymentId]) -> dict[PaymentId, Claimed]:
    """C1: claim the right to capture, and read what the orders are; without those abandoned or ended meanwhile."""
    claimed = {}
    for record in await connection.fetch(CLAIM, payment_ids):
        order = orders.read(record)
        if order is not None and len(record["places"] or ()) == len(order.seat_ids):
            claimed[PaymentId(plain_uuid(record["payment_id"]))] = Claimed(
                order=order, event=terms.read(record["terms"]), places=record["places"],
                claimed_at=record["claimed_at"],
            )  # fmt: skip
    return claimed


async def confirm(connection: Connection, batch: Sequence[Confirming], *, key_id: str) -> frozenset[OrderId]:
    """C2 for several orders in one statement, which is its own transaction; tells which were confirmed."""
    issued = [ticket for one in batch for ticket in one.tickets]
    try:
        whole = await connection.fetchval(
            CONFIRM, [one.claimed.order.order_id for one in batch], [one.claimed.order.version for one in batch],
            [one.payment_id for one in batch], [one.capture_ref for one in batch],
            [one.claimed.claimed_at for one in batch], [one.message_id for one in batch],
            [one.body for one in batch], [one.trace for one in batch],
            [ticket.order_id for ticket in issued], [ticket.seat_id for ticket in issued],
            [ticket.ticket_id for ticket in issued], key_id,
        )  # fmt: skip
    except asyncpg.PostgresError as error:
        if error.sqlstate != UNUSUAL and not isinstance(error, asyncpg.IntegrityConstraintViolationError):
            raise
        return frozenset()
    return frozenset(OrderId(plain_uuid(order_id)) for order_id in whole)
