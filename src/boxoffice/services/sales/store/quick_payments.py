"""The usual payment in few round trips: calls of ``begin_payment`` and ``confirm_orders`` (0010_quick_payments.sql).

Whatever is not usual comes back as none, with nothing changed, and goes the way of ``payments.py`` and its like.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from boxoffice.kernel.ids import EventId, OrderId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.sales.domain.order import Order
from boxoffice.services.sales.domain.payment import Payment, PaymentState
from boxoffice.services.sales.domain.ticket import Ticket
from boxoffice.services.sales.store import orders, payments, terms
from boxoffice.services.sales.store.records import plain_uuid
from boxoffice.services.sales.store.terms import EventTerms

UNUSUAL = "BX099"
"""SQLSTATE of what is left to the reference path."""

BEGIN = "SELECT * FROM begin_payment($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
BEGUN = """
WITH noted AS (
  UPDATE payments SET provider_ref = $2, approval_url = $3 WHERE payment_id = $1 AND provider_ref IS NULL)
UPDATE idempotency_keys SET status = $6, body = $7 WHERE principal = $4 AND key = $5
"""
OWN = payments.SELECTED + (
    " WHERE p.payment_id = $1 AND p.order_id = $2 AND o.user_id = $3 AND o.state = 'paying'"
    " AND p.state IN ('created', 'capturing') AND p.provider_ref IS NOT NULL AND o.ticket_types IS NULL"
)
CLAIM = """
WITH claimed AS (
  UPDATE payments SET state = 'capturing', tried_at = clock_timestamp()
   WHERE payment_id = $1 AND state IN ('created', 'capturing') RETURNING order_id, tried_at)
SELECT o.order_id, o.event_id, o.user_id, o.state, o.seat_ids, o.price_minors, o.ticket_types, o.total_minor,
       o.currency, o.hold_expires_at, o.pay_deadline, o.cancel_until, o.refund_percent, o.version, o.created_at,
       o.released_because, o.extended_at,
       o.hold_expires_at <= clock_timestamp() AS expired, o.cancel_until <= clock_timestamp() AS too_late,
       0 AS seconds_left, c.tried_at AS claimed_at, t AS terms, (
  SELECT jsonb_agg(jsonb_build_object('seat_id', s.seat_id, 'section', l.section, 'row_label', l.row_label,
           'number', l.number, 'mark', l.mark, 'price_level', l.price_level, 'notice', l.notice,
           'price_minor', s.price_minor, 'currency', s.currency, 'ticket_type', y.ticket_type) ORDER BY s.seat_id)
    FROM event_seats s JOIN event_seat_labels l USING (event_id, seat_id)
    LEFT JOIN ticket_types y ON y.event_id = l.event_id AND y.price_level = l.price_level AND y.rank = 0
   WHERE s.event_id = o.event_id AND s.seat_id = ANY (o.seat_ids)) AS places
FROM claimed c JOIN orders o USING (order_id) JOIN event_terms t USING (event_id)
"""
"""C1, the same compare-and-set as ever, with all that the answer and the message will say."""
CONFIRM = "SELECT confirm_orders($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A payment that was begun, and what the provider is told of it."""

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


async def begin(
    connection: Connection, *, order_id: OrderId, user_id: UserId, payment_id: PaymentId, provider: str,
    return_url: str, cancel_url: str, window: timedelta, call: IdempotentCall | None,
) -> Begun | None:  # fmt: skip
    """P in one statement, which is its own transaction."""
    try:
        record = await connection.fetchrow(
            BEGIN, order_id, user_id, payment_id, provider, return_url, cancel_url, window,
            call.key if call else None, call.route if call else None, call.fingerprint if call else None,
        )  # fmt: skip
    except asyncpg.PostgresError as error:
        if error.sqlstate != UNUSUAL:
            raise
        return None
    total = Money(record["total_minor"], record["currency"])
    payment = Payment(
        payment_id=payment_id, order_id=order_id, event_id=EventId(record["event_id"]), user_id=user_id, attempt=1,
        provider=provider, provider_ref=None, capture_ref=None, approval_url=None, return_url=return_url,
        cancel_url=cancel_url, state=PaymentState.CREATED, total=total, refunded=Money(0, total.currency), failure=None,
        tried_at=record["begun_at"],
    )  # fmt: skip
    return Begun(payment=payment, event_name=record["event_name"], places=record["items"])


async def begun(
    connection: Connection, payment_id: PaymentId, *, provider_ref: str, approval_url: str, call: IdempotentCall | None,
    answer: Answer,
) -> None:  # fmt: skip
    """Note what the provider calls the payment, and what the buyer was told."""
    await connection.execute(
        BEGUN, payment_id, provider_ref, approval_url, call.principal if call else None, call.key if call else None,
        answer.status, answer.body,
    )  # fmt: skip


async def to_confirm(database: Database, payment_id: PaymentId, order_id: OrderId, user_id: UserId) -> Payment | None:
    """Read the payment of a customer's order that waits for its confirmation; one with chosen types is not here."""
    return payments.read(await database.fetchrow(OWN, payment_id, order_id, user_id))


async def claim(connection: Connection, payment_id: PaymentId) -> Claimed | None:
    """C1: claim the right to capture, and read what the order is; none when it was abandoned or has ended."""
    record = await connection.fetchrow(CLAIM, payment_id)
    order = orders.read(record)
    if order is None or len(record["places"] or ()) != len(order.seat_ids):
        return None
    return Claimed(
        order=order, event=terms.read(record["terms"]), places=record["places"], claimed_at=record["claimed_at"]
    )


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
