"""How a payment ends together with its order: the compare-and-sets of C2, F, F2 and X on ``payments``.

The rest of a payment's life is in ``payments.py``.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from boxoffice.kernel.ids import OrderId, PaymentId, RefundId, TicketId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.store.records import plain_uuid

STATE = "SELECT state FROM payments WHERE payment_id = $1 AND order_id = $2"

CAPTURE = """
UPDATE payments SET state = 'captured', captured_minor = total_minor, capture_ref = $3, tried_at = clock_timestamp()
WHERE payment_id = $1 AND order_id = $2 AND state = 'capturing' RETURNING total_minor, currency
"""

END_ATTEMPT = """
UPDATE payments SET state = $4, failure = $5, tried_at = clock_timestamp()
WHERE payment_id = $1 AND order_id = $2 AND state = $3 RETURNING attempt
"""

CAPTURED_OF_ORDER = "SELECT payment_id FROM payments WHERE order_id = $1 AND state = 'captured' FOR UPDATE"

OWE = """
UPDATE payments SET refunded_minor = refunded_minor + $2 WHERE payment_id = $1 AND state = 'captured' RETURNING true
"""

REQUEST_REFUNDS = """
INSERT INTO refunds (refund_id, payment_id, ticket_id, refund_minor, currency, state)
SELECT refund_id, $1, ticket_id, refund_minor, $5, 'requested'
FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) r(refund_id, ticket_id, refund_minor)
"""

LATEST = """
SELECT DISTINCT ON (order_id) order_id, payment_id, state FROM payments WHERE order_id = ANY ($1::uuid[])
ORDER BY order_id, attempt DESC
"""


async def state_of(tx: Connection, payment_id: PaymentId, order_id: OrderId) -> str | None:
    """Read a payment's state; none when it is not a payment of that order."""
    state: str | None = await tx.fetchval(STATE, payment_id, order_id)
    return state


async def capture(tx: Connection, payment_id: PaymentId, order_id: OrderId, capture_ref: str | None) -> Money | None:
    """Note that the provider captured the whole total; none when the payment was not ``capturing``."""
    record = await tx.fetchrow(CAPTURE, payment_id, order_id, capture_ref)
    return None if record is None else Money(record["total_minor"], record["currency"])


async def end_attempt(
    tx: Connection, payment_id: PaymentId, order_id: OrderId, *, before: str, after: str, failure: str | None
) -> int | None:
    """End a payment that took no money; returns which attempt it was, none when it was not in ``before``."""
    attempt: int | None = await tx.fetchval(END_ATTEMPT, payment_id, order_id, before, after, failure)
    return attempt


async def captured_of(tx: Connection, order_id: OrderId) -> PaymentId | None:
    """Lock the captured payment of an order; none for a free order."""
    found: UUID | None = await tx.fetchval(CAPTURED_OF_ORDER, order_id)
    return None if found is None else PaymentId(plain_uuid(found))


async def owe(tx: Connection, payment_id: PaymentId, refunds: Sequence[tuple[RefundId, TicketId, Money]]) -> bool:
    """Request refunds, one a ticket, and count them against the capture.

    :raises asyncpg.CheckViolationError: when more would be refunded than was captured (I4).
    :raises asyncpg.UniqueViolationError: when a ticket was refunded before (I4).
    """
    total = sum(money.minor for _, _, money in refunds)
    counted: Any = await tx.fetchval(OWE, payment_id, total)
    await tx.execute(
        REQUEST_REFUNDS, payment_id, [refund for refund, _, _ in refunds], [ticket for _, ticket, _ in refunds],
        [money.minor for _, _, money in refunds], refunds[0][2].currency,
    )  # fmt: skip
    return counted is True


async def attempt_of(tx: Connection, payment_id: PaymentId) -> int:
    """Tell which attempt of its order a payment is, from 1."""
    attempt: int = await tx.fetchval("SELECT attempt FROM payments WHERE payment_id = $1", payment_id)
    return attempt


async def latest_of(database: Database, order_ids: Sequence[OrderId]) -> dict[OrderId, tuple[PaymentId, str]]:
    """Tell the last payment of each order that has one: its id and state."""
    found = await database.fetch(LATEST, list(order_ids))
    return {
        OrderId(plain_uuid(record["order_id"])): (PaymentId(plain_uuid(record["payment_id"])), record["state"])
        for record in found
    }
