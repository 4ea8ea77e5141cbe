"""Holds: the calls of ``place_hold``, ``gather_holds``, ``expire_holds`` (``0003_hold_functions.sql``, 0015)."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import asyncpg
import msgspec

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.runtime.idempotency import IdempotentCall, KeyReusedError
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.refusals import (
    CompanionAloneError,
    EventNotFoundError,
    HoldBudgetSpentError,
    LimitReachedError,
    NotEnoughSeatsError,
    NotOnSaleError,
    SaleHaltedError,
    SeatsTakenError,
    SeatsUnknownError,
    SingleSeatLeftError,
)

T = TypeVar("T")

REFUSALS: dict[str, tuple[type[DomainError], str]] = {
    "BX001": (EventNotFoundError, "There is no such event."),
    "BX002": (NotOnSaleError, "The sale is closed at the moment."),
    "BX003": (SeatsUnknownError, "Choose seats of this event."),
    "BX004": (SeatsTakenError, "Somebody else was quicker. Choose others."),
    "BX005": (LimitReachedError, "You hold or have bought as many as one customer may."),
    "BX006": (KeyReusedError, "Use a new key for a new request."),
    "BX007": (NotEnoughSeatsError, "Try fewer, another price level, or places apart."),
    "BX008": (SaleHaltedError, "Try again later."),
    "BX009": (HoldBudgetSpentError, "You held seats of this event too often without buying. Buy what you hold."),
    "BX010": (SingleSeatLeftError, "Nobody would buy the seat left between. Move by one, or take it too."),
    "BX011": (CompanionAloneError, "Take (or keep, or give back) the wheelchair place beside it in the same booking."),
}
"""SQLSTATEs of ``place_hold`` and what they say."""

PLACE = "SELECT place_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
GATHER = """
SELECT req, verdict, answer, taken FROM gather_holds($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
EXPIRE = "SELECT expire_holds(NULL, NULL, $1, $2)"
OPEN = "SELECT count(*) FROM orders WHERE state = 'held' AND hold_expires_at > clock_timestamp()"


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
    allocation_id: int | None = None,
    arrangement: str | None = None,
) -> bytes:
    """Place a hold in one statement, which is its own transaction; returns the answer's body.

    :raises DomainError: one of ``REFUSALS``; nothing was written then.
    """
    with refusing():
        body: bytes = await connection.fetchval(
            PLACE, user_id, event_id, seat_ids, quantity, price_level, together, order_id,
            call.key if call else None, call.route if call else None, call.fingerprint if call else None, trace,
            uuid7(), allocation_id, arrangement,
        )  # fmt: skip
    return body


@contextmanager
def refusing() -> Iterator[None]:
    """Turn the refusals of the SQL functions (``REFUSALS``) into ours."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate not in REFUSALS:
            raise
        kind, said = REFUSALS[error.sqlstate]
        raise kind(said, **json.loads(error.detail or "{}")) from error


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request of a batch: these seats for that customer under that order's id."""

    user_id: UserId
    event_id: EventId
    seat_ids: Sequence[SeatId]
    order_id: OrderId
    key: str | None
    fingerprint: bytes | None
    trace: str | None
    allocation_id: int | None = None
    arrangement: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one request: ``placed`` (the answer's body), ``taken`` or ``contested`` (JSON of the seats)."""

    kind: str
    body: bytes | None
    taken: str | None


async def gather(connection: Connection, asked: Sequence[Asked], *, route: str) -> dict[int, Verdict]:
    """Decide requests together in one statement, which is its own transaction; gives each one's verdict by its number.

    A request without a verdict, or with ``alone``, is for :func:`place`. No two of them may share a seat, an
    idempotency key, or a customer of one event.
    """
    requests: list[int] = []
    seats: list[int] = []
    for number, one in enumerate(asked, 1):
        seats += one.seat_ids
        requests += [number] * len(one.seat_ids)
    records = await connection.fetch(
        GATHER, [one.event_id for one in asked], [one.user_id for one in asked], [one.order_id for one in asked],
        [uuid7() for _ in asked], [one.key for one in asked], [one.fingerprint for one in asked],
        [len(one.seat_ids) for one in asked], _any([one.allocation_id for one in asked]),
        [one.trace for one in asked], requests, seats, route, _any([one.arrangement for one in asked]),
    )  # fmt: skip
    return {number - 1: Verdict(kind=kind, body=body, taken=taken) for number, kind, body, taken in records}


def _any(values: list[T | None]) -> list[T | None] | None:
    """Give the values, or none where none says anything: sending no array costs nothing, and reads as so many NULLs."""
    return values if any(value is not None for value in values) else None


def taken_refusal(taken: str | None) -> SeatsTakenError:
    """Make the refusal that names the seats which others have, from their JSON."""
    return SeatsTakenError(REFUSALS["BX004"][1], taken=json.loads(taken or "[]"))


async def expire(connection: Connection, *, most: int, trace: str | None) -> int:
    """End holds that ran out; returns how many."""
    ended: int = await connection.fetchval(EXPIRE, most, trace)
    return ended


async def count_open(connection: Connection) -> int:
    """Count the orders that are held now."""
    held: int = await connection.fetchval(OPEN)
    return held
