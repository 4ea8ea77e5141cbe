"""Holds: the calls of ``place_hold`` and ``expire_holds`` (migrations/sales/versions/0002_holds.sql)."""

import json

import asyncpg

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.runtime.idempotency import IdempotentCall, KeyReusedError
from boxoffice.services.sales.domain.refusals import (
    EventNotFoundError,
    LimitReachedError,
    NotEnoughSeatsError,
    NotOnSaleError,
    SaleHaltedError,
    SeatsTakenError,
    SeatsUnknownError,
)

REFUSALS: dict[str, tuple[type[DomainError], str]] = {
    "BX001": (EventNotFoundError, "There is no such event."),
    "BX002": (NotOnSaleError, "The sale is closed at the moment."),
    "BX003": (SeatsUnknownError, "Choose seats of this event."),
    "BX004": (SeatsTakenError, "Somebody else was quicker. Choose others."),
    "BX005": (LimitReachedError, "You hold or have bought as many as one customer may."),
    "BX006": (KeyReusedError, "Use a new key for a new request."),
    "BX007": (NotEnoughSeatsError, "Try fewer, another price level, or places apart."),
    "BX008": (SaleHaltedError, "Try again later."),
}
"""SQLSTATEs of ``place_hold`` and what they say."""

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
    order_id: OrderId,
    call: IdempotentCall | None,
    trace: str | None,
) -> bytes:
    """Place a hold in one statement, which is its own transaction; returns the answer's body.

    :raises DomainError: one of ``REFUSALS``; nothing was written then.
    """
    try:
        body: bytes = await connection.fetchval(
            PLACE, user_id, event_id, seat_ids, quantity, price_level, together, order_id,
            call.key if call else None, call.route if call else None, call.fingerprint if call else None, trace,
        )  # fmt: skip
    except asyncpg.PostgresError as error:
        if error.sqlstate not in REFUSALS:
            raise
        kind, said = REFUSALS[error.sqlstate]
        raise kind(said, **json.loads(error.detail or "{}")) from error
    return body


async def expire(connection: Connection, *, most: int, trace: str | None) -> int:
    """End holds that ran out; returns how many."""
    ended: int = await connection.fetchval(EXPIRE, most, trace)
    return ended
