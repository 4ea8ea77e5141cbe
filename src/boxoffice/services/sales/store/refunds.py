"""Refunds on their way: requested with the cancellation, done or ``manual`` after the provider spoke (I4)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from boxoffice.kernel.ids import OrderId, PaymentId, RefundId, TicketId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.store.records import plain_uuid

SELECTED = """
SELECT r.refund_id, r.payment_id, r.ticket_id, r.refund_minor, r.currency, r.state, r.tries,
       r.provider_ref AS refund_ref, p.order_id, p.provider, p.provider_ref, p.capture_ref
FROM refunds r JOIN payments p USING (payment_id)
"""
DUE = """
WITH due AS (
  SELECT r.refund_id FROM refunds r
   WHERE r.state = 'requested'
     AND (r.tried_at IS NULL OR r.tried_at <= clock_timestamp() - least($1::interval * power(2, r.tries - 1), $2))
   ORDER BY r.requested_at, r.refund_id LIMIT $3 FOR UPDATE SKIP LOCKED),
tried AS (
  UPDATE refunds r SET tries = r.tries + 1, tried_at = clock_timestamp() FROM due WHERE r.refund_id = due.refund_id
  RETURNING r.*)
SELECT r.refund_id, r.payment_id, r.ticket_id, r.refund_minor, r.currency, r.state, r.tries,
       r.provider_ref AS refund_ref, p.order_id, p.provider, p.provider_ref, p.capture_ref
FROM tried r JOIN payments p USING (payment_id) ORDER BY r.payment_id, r.refund_id
"""
BY_ID = SELECTED + " WHERE r.refund_id = $1"
DONE_BETWEEN = SELECTED + " WHERE p.provider = $1 AND r.state = 'done' AND r.done_at >= $2 AND r.done_at < $3"
FINISH = """
UPDATE refunds SET state = 'done', provider_ref = $2, failure = NULL, done_at = clock_timestamp()
WHERE refund_id = $1 AND state IN ('requested', 'manual') RETURNING true
"""
GIVE_TO_PEOPLE = """
UPDATE refunds SET state = 'manual', failure = $2 WHERE refund_id = $1 AND state = 'requested' RETURNING true
"""
NOTE_FAILURE = "UPDATE refunds SET failure = $2 WHERE refund_id = $1 AND state = 'requested'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund with what the provider must be told. ``tries`` counts the one that is being made."""

    refund_id: RefundId
    payment_id: PaymentId
    ticket_id: TicketId
    order_id: OrderId
    value: Money
    state: str
    tries: int
    refund_ref: str | None
    provider: str
    provider_ref: str | None
    capture_ref: str | None


async def due(tx: Connection, *, patience: timedelta, longest: timedelta, most: int) -> list[Refund]:
    """Claim requested refunds; the pause between two tries doubles from ``patience`` up to ``longest``."""
    return [_read(record) for record in await tx.fetch(DUE, patience, longest, most)]


async def by_id(source: Database | Connection, refund_id: RefundId) -> Refund | None:
    """Read one refund."""
    record = await source.fetchrow(BY_ID, refund_id)
    return None if record is None else _read(record)


async def done_between(database: Database, provider: str, begin_at: datetime, end_at: datetime) -> list[Refund]:
    """List refunds that were noted as done between two instants."""
    return [_read(record) for record in await database.fetch(DONE_BETWEEN, provider, begin_at, end_at)]


async def finish(tx: Connection, refund_id: RefundId, *, refund_ref: str) -> bool:
    """Note that the provider gave the money back; false when that was noted before."""
    return await tx.fetchval(FINISH, refund_id, refund_ref) is True


async def give_to_people(tx: Connection, refund_id: RefundId, *, failure: str) -> bool:
    """Stop trying: the provider refuses, a person has to look."""
    return await tx.fetchval(GIVE_TO_PEOPLE, refund_id, failure) is True


async def note_failure(tx: Connection, refund_id: RefundId, *, failure: str) -> None:
    """Keep why the last try told nothing."""
    await tx.execute(NOTE_FAILURE, refund_id, failure)


def _read(record: Any) -> Refund:
    return Refund(
        refund_id=RefundId(plain_uuid(record["refund_id"])), payment_id=PaymentId(plain_uuid(record["payment_id"])),
        ticket_id=TicketId(plain_uuid(record["ticket_id"])), order_id=OrderId(plain_uuid(record["order_id"])),
        value=Money(record["refund_minor"], record["currency"]), state=record["state"], tries=record["tries"],
        refund_ref=record["refund_ref"], provider=record["provider"], provider_ref=record["provider_ref"],
        capture_ref=record["capture_ref"],
    )  # fmt: skip
