"""Holds: the calls of ``place_hold`` and ``expire_holds`` (migrations/sales/versions/0002_holds.sql)."""

from uuid import UUID

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.runtime.idempotency import IdempotentCall

PLACE = "SELECT place_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
EXPIRE = "SELECT expire_holds(NULL, NULL, $1, $2)"


async def place(
    connection: Connection,
    *,
    user_id: UserId,
    event_id: EventId,
    seat_ids: list[SeatId] | None,
    quantity: int | None,
    price_level: str | None,
    together: bool,
    order_id: UUID | OrderId,
    call: IdempotentCall | None,
    trace: str | None,
) -> bytes:
    """Place a hold in one statement, which is its own transaction; returns the answer's body.

    :raises asyncpg.PostgresError: with SQLSTATE BX0nn for a refusal.
    """
    body: bytes = await connection.fetchval(
        PLACE, user_id, event_id, seat_ids, quantity, price_level, together, order_id,
        call.key if call else None, call.route if call else None, call.fingerprint if call else None, trace,
    )  # fmt: skip
    return body


async def expire(connection: Connection, *, most: int, trace: str | None) -> int:
    """End holds that ran out; returns how many."""
    ended: int = await connection.fetchval(EXPIRE, most, trace)
    return ended
