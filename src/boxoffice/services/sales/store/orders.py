"""Orders: locked first by whatever changes one (see the package's order of locks)."""

from collections.abc import Sequence
from typing import Any

from boxoffice.kernel.ids import EventId, OrderId, OrganisationId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.store.records import plain_uuid

SELECTED = """
SELECT o.order_id, o.event_id, o.user_id, o.state, o.seat_ids, o.price_minors, o.ticket_types, o.total_minor,
       o.currency, o.hold_expires_at, o.pay_deadline, o.cancel_until, o.refund_percent, o.version, o.created_at,
       o.released_because, o.extended_at,
       o.hold_expires_at <= clock_timestamp() AS expired, o.cancel_until <= clock_timestamp() AS too_late,
       extract(epoch FROM greatest(o.hold_expires_at - clock_timestamp(), interval '0'))::int AS seconds_left
FROM orders o JOIN event_terms t USING (event_id)
"""
LOCK = SELECTED + " WHERE o.order_id = $1 FOR UPDATE OF o"
LOCK_OWN = SELECTED + " WHERE o.order_id = $1 AND o.user_id = $2 FOR UPDATE OF o"
SEEN = SELECTED + " WHERE o.order_id = $1 AND (o.user_id = $2 OR t.organisation_id = ANY ($3::uuid[]))"
LOCK_VISIBLE = SEEN + " FOR UPDATE OF o"
OF_USER = SELECTED + " WHERE o.user_id = $1 ORDER BY o.created_at DESC, o.order_id OFFSET $2 LIMIT $3"
THEIRS = """
WHERE o.event_id = $1 AND (o.state <> 'held' OR o.state = 'held') AND t.organisation_id = ANY ($2::uuid[])
"""
"""An event's orders, by both states by name: each has an index of its own, so that placing a hold costs less."""
OF_EVENT = SELECTED + THEIRS + " ORDER BY o.created_at DESC, o.order_id OFFSET $3 LIMIT $4"
COUNTED = "SELECT count(*) FROM orders o JOIN event_terms t USING (event_id)"
COUNT_OF_EVENT = COUNTED + THEIRS

MOVE = """
UPDATE orders SET state = $3, version = version + 1,
       confirmed_at = CASE WHEN $3 = 'confirmed' AND confirmed_at IS NULL THEN clock_timestamp() ELSE confirmed_at END,
       ended_at = CASE WHEN $3 IN ('released', 'cancelled') THEN clock_timestamp() ELSE ended_at END,
       released_because = CASE WHEN $3 = 'released' THEN $4 ELSE released_because END
WHERE order_id = $1 AND state = $2 RETURNING version
"""

HOLD_AGAIN = """
UPDATE orders SET state = 'held', version = version + 1, pay_deadline = NULL, hold_expires_at = $2
WHERE order_id = $1 AND state = 'paying' RETURNING version
"""

CANCELLED_EVENTS = """
SELECT o.order_id FROM orders o JOIN event_terms t USING (event_id)
WHERE t.status = 'cancelled' AND o.state = 'confirmed'
  AND EXISTS (SELECT 1 FROM tickets k WHERE k.order_id = o.order_id AND k.state = 'valid')
ORDER BY o.order_id LIMIT $1
"""


async def lock(tx: Connection, order_id: OrderId) -> Order | None:
    """Lock an order for whoever may change any: workers, and the payment's own transactions."""
    return read(await tx.fetchrow(LOCK, order_id))


async def lock_own(tx: Connection, order_id: OrderId, user_id: UserId) -> Order | None:
    """Lock a customer's own order; none when it is another's (I14: ownership is in the WHERE)."""
    return read(await tx.fetchrow(LOCK_OWN, order_id, user_id))


async def lock_visible(
    tx: Connection, order_id: OrderId, user_id: UserId, organisations: Sequence[OrganisationId]
) -> Order | None:
    """Lock an order for its owner or for an organiser of its event; none for anybody else."""
    return read(await tx.fetchrow(LOCK_VISIBLE, order_id, user_id, list(organisations)))


async def seen_by(
    database: Database, order_id: OrderId, user_id: UserId, organisations: Sequence[OrganisationId]
) -> Order | None:
    """Read an order for its owner or an organiser of its event."""
    return read(await database.fetchrow(SEEN, order_id, user_id, list(organisations)))


async def of_user(database: Database, user_id: UserId, *, offset: int, limit: int) -> tuple[list[Order], int]:
    """Read a page of a customer's orders, newest first, and how many there are."""
    total = await database.fetchval("SELECT count(*) FROM orders WHERE user_id = $1", user_id)
    return [_read(record) for record in await database.fetch(OF_USER, user_id, offset, limit)], int(total)


async def of_event(
    database: Database, event_id: EventId, organisations: Sequence[OrganisationId], *, offset: int, limit: int
) -> tuple[list[Order], int]:
    """Read a page of an event's orders for its organisers, newest first, and how many there are."""
    total = await database.fetchval(COUNT_OF_EVENT, event_id, list(organisations))
    found = await database.fetch(OF_EVENT, event_id, list(organisations), offset, limit)
    return [_read(record) for record in found], int(total)


async def move(
    tx: Connection, order_id: OrderId, before: OrderState, after: OrderState, *, because: str | None = None
) -> int | None:
    """Change an order's state by compare-and-set; returns the new version, none when it was not in ``before``."""
    version: int | None = await tx.fetchval(MOVE, order_id, before, after, because)
    return version


async def touch(tx: Connection, order_id: OrderId) -> int:
    """Give an order its next version for a fact that changes no state of it; returns the version. Lock it first."""
    version: int = await tx.fetchval(
        "UPDATE orders SET version = version + 1 WHERE order_id = $1 RETURNING version", order_id
    )
    return version


async def hold_again(tx: Connection, order_id: OrderId, expires_at: Any) -> int | None:
    """Give a paying order its hold back until an instant; returns the new version."""
    version: int | None = await tx.fetchval(HOLD_AGAIN, order_id, expires_at)
    return version


async def of_cancelled_events(database: Database, *, most: int) -> list[OrderId]:
    """List confirmed orders of cancelled events that still have valid tickets."""
    return [OrderId(record["order_id"]) for record in await database.fetch(CANCELLED_EVENTS, most)]


def read(record: Any | None) -> Order | None:
    """Make an order of a record with the columns of ``SELECTED``."""
    return None if record is None else _read(record)


def _read(record: Any) -> Order:
    return Order(
        order_id=OrderId(plain_uuid(record["order_id"])), event_id=EventId(record["event_id"]),
        user_id=UserId(plain_uuid(record["user_id"])), state=OrderState(record["state"]),
        seat_ids=tuple(record["seat_ids"]),
        prices=tuple(Money(minor, record["currency"]) for minor in record["price_minors"]),
        ticket_types=None if record["ticket_types"] is None else tuple(record["ticket_types"]),
        total=Money(record["total_minor"], record["currency"]), hold_expires_at=record["hold_expires_at"],
        pay_deadline=record["pay_deadline"], cancel_until=record["cancel_until"],
        refund_percent=record["refund_percent"], version=record["version"], created_at=record["created_at"],
        released_because=record["released_because"], extended_at=record["extended_at"],
        expired=record["expired"],
        seconds_left=record["seconds_left"], too_late=record["too_late"],
    )  # fmt: skip
