"""Payments: every move is a compare-and-set on the payment's row, which is what D and C1 fight over (I3, I4).

How a payment ends together with its order is in ``captures.py``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from boxoffice.kernel.ids import EventId, OrderId, OrganisationId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.order import Order
from boxoffice.services.sales.domain.payment import Payment, PaymentState
from boxoffice.services.sales.store import areas
from boxoffice.services.sales.store.records import plain_uuid

SELECTED = """
SELECT p.payment_id, p.order_id, o.event_id, o.user_id, p.attempt, p.provider, p.provider_ref, p.capture_ref,
       p.approval_url, p.return_url, p.cancel_url, p.state, p.total_minor, p.currency, p.refunded_minor, p.failure,
       p.tried_at
FROM payments p JOIN orders o USING (order_id)
"""
BY_ID = SELECTED + " WHERE p.payment_id = $1"
BY_REF = SELECTED + " WHERE p.provider = $1 AND p.provider_ref = $2"
BY_CAPTURE = SELECTED + " WHERE p.provider = $1 AND p.capture_ref = $2"
LIVE = SELECTED + " WHERE p.order_id = $1 AND p.state IN ('created', 'capturing', 'captured', 'abandoning')"
VISIBLE = (
    SELECTED + " JOIN event_terms t USING (event_id)"
    " WHERE p.payment_id = $1 AND (o.user_id = $2 OR t.organisation_id = ANY ($3::uuid[]) OR $4)"
)
CAPTURED_BETWEEN = SELECTED + " WHERE p.provider = $1 AND p.state = 'captured' AND p.tried_at >= $2 AND p.tried_at < $3"

TAKE_SEATS = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[]) AND order_id = $3 AND state = 'held'
     AND hold_expires_at > clock_timestamp() ORDER BY seat_id FOR UPDATE),
paying AS (
  UPDATE event_seats s SET state = 'paying', hold_expires_at = NULL FROM mine m
   WHERE s.event_id = $1 AND s.seat_id = m.seat_id RETURNING 1)
SELECT count(*) FROM paying
"""
PAY_ORDER = """
UPDATE orders SET state = 'paying', pay_deadline = clock_timestamp() + $2, version = version + 1
WHERE order_id = $1 AND state = 'held' AND hold_expires_at > clock_timestamp() RETURNING true
"""
INSERT = """
INSERT INTO payments (payment_id, order_id, attempt, provider, state, total_minor, currency, return_url, cancel_url)
SELECT $1, $2, coalesce(max(attempt), 0) + 1, $3, 'created', $4, $5, $6, $7 FROM payments WHERE order_id = $2
"""
BEGUN = """
UPDATE payments SET provider_ref = $2, approval_url = $3 WHERE payment_id = $1 AND provider_ref IS NULL
"""
CLAIM = """
UPDATE payments SET state = 'capturing', tried_at = clock_timestamp()
WHERE payment_id = $1 AND state IN ('created', 'capturing') RETURNING tried_at
"""
"""C1, and the fence of every later try: no call that may move money goes out before this committed."""
ABANDON = """
UPDATE payments p SET state = 'abandoning', failure = $2, tried_at = clock_timestamp() FROM orders o
WHERE p.payment_id = $1 AND p.state = 'created' AND o.order_id = p.order_id
  AND ($2 <> 'payment_expired' OR o.pay_deadline <= clock_timestamp()) RETURNING true
"""
FENCE = "SELECT tried_at FROM payments WHERE payment_id = $1 AND state = $2 FOR UPDATE"

DUE = """
WITH due AS (
  SELECT p.payment_id FROM payments p JOIN orders o USING (order_id)
   WHERE p.state IN ('created', 'capturing', 'abandoning') AND p.tried_at <= clock_timestamp() - $1::interval
     AND (p.state <> 'created' OR o.pay_deadline <= clock_timestamp())
   ORDER BY p.tried_at LIMIT $2 FOR UPDATE OF p SKIP LOCKED)
UPDATE payments p SET tried_at = clock_timestamp() FROM due WHERE p.payment_id = due.payment_id
RETURNING p.payment_id, p.state
"""

NOTE_EVENT = """
INSERT INTO provider_events (provider, provider_event_id, payload) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
EVENT_SEEN = "SELECT true FROM provider_events WHERE provider = $1 AND provider_event_id = $2"


async def by_id(source: Database | Connection, payment_id: PaymentId) -> Payment | None:
    """Read a payment for the platform's own work."""
    return read(await source.fetchrow(BY_ID, payment_id))


async def by_ref(database: Database, provider: str, provider_ref: str) -> Payment | None:
    """Find the payment of a provider's order."""
    return read(await database.fetchrow(BY_REF, provider, provider_ref))


async def by_capture(database: Database, provider: str, capture_ref: str) -> Payment | None:
    """Find the payment of a provider's capture."""
    return read(await database.fetchrow(BY_CAPTURE, provider, capture_ref))


async def visible_to(
    database: Database,
    payment_id: PaymentId,
    *,
    user_id: UserId | None,
    organisations: Sequence[OrganisationId],
    staff: bool,
) -> Payment | None:
    """Read a payment for its owner, an organiser of its event, or staff (I14: ownership is in the WHERE)."""
    return read(await database.fetchrow(VISIBLE, payment_id, user_id, list(organisations), staff))


async def live_of(tx: Connection, order_id: OrderId) -> Payment | None:
    """Read the one payment of an order that has not ended in vain."""
    return read(await tx.fetchrow(LIVE, order_id))


async def begin(
    tx: Connection, order: Order, *, payment_id: PaymentId, provider: str, return_url: str, cancel_url: str,
    window: timedelta,
) -> bool:  # fmt: skip
    """P: move the order's held seats and the order to ``paying`` and write the payment; false when the hold is over.

    Nothing is to be kept of the transaction when it is false.

    :raises asyncpg.UniqueViolationError: when the order has a live payment already.
    """
    taken = await tx.fetchval(TAKE_SEATS, order.event_id, list(order.seat_ids), order.order_id)
    if taken < len(order.seat_ids):
        taken += await areas.count_among(tx, order.seat_ids)
    if taken != len(order.seat_ids) or not await tx.fetchval(PAY_ORDER, order.order_id, window):
        return False
    await tx.execute(
        INSERT, payment_id, order.order_id, provider, order.total.minor, order.total.currency, return_url, cancel_url
    )
    return True


async def begun(tx: Connection, payment_id: PaymentId, *, provider_ref: str, approval_url: str) -> None:
    """Note what the provider calls the payment, once."""
    await tx.execute(BEGUN, payment_id, provider_ref, approval_url)


async def claim(tx: Connection, payment_id: PaymentId) -> datetime | None:
    """Claim the right to capture; returns the fence, none when the payment was abandoned or has ended."""
    fence: datetime | None = await tx.fetchval(CLAIM, payment_id)
    return fence


async def abandon(tx: Connection, payment_id: PaymentId, *, because: str) -> bool:
    """D: shut capture out for good; ``payment_expired`` only once the deadline has passed."""
    return await tx.fetchval(ABANDON, payment_id, because) is True


async def fence(tx: Connection, payment_id: PaymentId, state: PaymentState) -> datetime | None:
    """Lock a payment and read its fence; none when it is not in ``state`` any more. Lock its order first."""
    found: datetime | None = await tx.fetchval(FENCE, payment_id, state)
    return found


async def due(tx: Connection, *, patience: timedelta, most: int) -> list[PaymentId]:
    """Claim payments that nobody finished: untouched for ``patience``; a created one only past its deadline."""
    return [PaymentId(plain_uuid(record["payment_id"])) for record in await tx.fetch(DUE, patience, most)]


async def captured_between(database: Database, provider: str, begin_at: datetime, end_at: datetime) -> list[Payment]:
    """List payments that were noted as captured between two instants."""
    found = [read(record) for record in await database.fetch(CAPTURED_BETWEEN, provider, begin_at, end_at)]
    return [payment for payment in found if payment is not None]


async def event_seen(database: Database, provider: str, event_id: str) -> bool:
    """Tell whether a provider's event was acted on before."""
    return await database.fetchval(EVENT_SEEN, provider, event_id) is True


async def note_event(tx: Connection, provider: str, event_id: str, payload: dict[str, Any]) -> None:
    """Keep a provider's event after it was acted on."""
    await tx.execute(NOTE_EVENT, provider, event_id, payload)


def read(record: Any | None) -> Payment | None:
    """Make a payment of a record with the columns of ``SELECTED``."""
    if record is None:
        return None
    return Payment(
        payment_id=PaymentId(plain_uuid(record["payment_id"])), order_id=OrderId(plain_uuid(record["order_id"])),
        event_id=EventId(record["event_id"]), user_id=UserId(plain_uuid(record["user_id"])), attempt=record["attempt"],
        provider=record["provider"], provider_ref=record["provider_ref"], capture_ref=record["capture_ref"],
        approval_url=record["approval_url"], return_url=record["return_url"], cancel_url=record["cancel_url"],
        state=PaymentState(record["state"]), total=Money(record["total_minor"], record["currency"]),
        refunded=Money(record["refunded_minor"], record["currency"]), failure=record["failure"],
        tried_at=record["tried_at"],
    )  # fmt: skip
