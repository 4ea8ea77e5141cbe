"""Ways to hold one seat from Python: ours gathered, ours one by one, the seed's, and behind an event-wide lock."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
from redis.asyncio import Redis

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.kernel.ids import EventId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.runtime.gathering import Gathering, Waiting
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold

CONNECTIONS = 10
"""As a process has by default."""
ROUTE = "POST /bookings/reserve"

READ_SEAT = "SELECT state, hold_expires_at <= clock_timestamp() FROM event_seats WHERE event_id = $1 AND seat_id = $2"
WRITE_SEAT = """
UPDATE event_seats SET state = 'held', order_id = $3, hold_expires_at = clock_timestamp() + interval '20 minutes',
  fence = fence + 1 WHERE event_id = $1 AND seat_id = $2
"""
LOCK_EVENT = "SELECT pg_advisory_xact_lock($1)"
CALL = """
SELECT place_hold($1, $2, ARRAY[$3::bigint], NULL, NULL, false, $4, $5, 'bench', '\\x00', NULL, gen_random_uuid(), NULL)
"""
CLAIM = "SELECT granted FROM claim_places($1, 'Standing', $2)"
"""All of one batch are for the one event that is measured."""

Hold = Callable[[int, int, int], Awaitable[bool]]
"""Holds one seat (event, seat, which caller asks); false when somebody else has it."""
Opened = Callable[[dict[str, Any]], AbstractAsyncContextManager[Hold]]


def refused_quickly() -> int:
    """Count the refusals that did not reach the database (the shared picture said no)."""
    return 0


def wish_of(event_id: int, seat: int) -> tuple[Wish, IdempotentCall | None]:
    """Write what a customer sends: each hold is somebody else's, under a key of its own."""
    user_id = UserId(uuid4())
    body = b'{"eventId":%d,"ticketIds":[%d]}' % (event_id, seat)
    call = IdempotentCall.of(principal=user_id, key=str(uuid4()), route=ROUTE, body=body)
    return Wish(user_id=user_id, event_id=EventId(event_id), seat_ids=(SeatId(seat),)), call


@asynccontextmanager
async def desk(asked: dict[str, Any]) -> AsyncIterator[Hold]:
    """Our holds as a bookings process places them: what waits is decided together."""
    async with (
        Database.open(asked["sales_url"], size=CONNECTIONS, name="bench") as database,
        HoldDesk.open(database) as holds,
    ):

        async def hold(event_id: int, seat: int, _caller: int) -> bool:
            wish, call = wish_of(event_id, seat)
            return await held_by(holds.place(wish, call))

        yield hold


@asynccontextmanager
async def places(asked: dict[str, Any]) -> AsyncIterator[Hold]:
    """Our holds of general admission: one place each, wherever it is; what waits is decided together."""
    async with (
        Database.open(asked["sales_url"], size=CONNECTIONS, name="bench") as database,
        HoldDesk.open(database) as holds,
    ):

        async def hold(event_id: int, _seat: int, _caller: int) -> bool:
            user_id = UserId(uuid4())
            body = b'{"eventId":%d,"quantity":1}' % event_id
            call = IdempotentCall.of(principal=user_id, key=str(uuid4()), route=ROUTE, body=body)
            return await held_by(holds.place(Wish(user_id=user_id, event_id=EventId(event_id), quantity=1), call))

        yield hold


@asynccontextmanager
async def claims(asked: dict[str, Any]) -> AsyncIterator[Hold]:
    """The claim of places alone, gathered as our holds are: what a counter row does, and which places they are."""
    async with Database.open(asked["sales_url"], size=CONNECTIONS, name="bench") as database:

        async def decide(batch: list[Waiting[int, bool]]) -> None:
            async with database.connection() as connection:
                granted = await connection.fetchval(CLAIM, batch[0].ask, [1] * len(batch))
            for waiting, one in zip(batch, granted, strict=True):
                waiting.answer(one)

        line: Gathering[int, bool] = Gathering(decide, apart=None, lanes=1, most_together=asked["callers"])
        async with line.open():

            async def hold(event_id: int, _seat: int, _caller: int) -> bool:
                return await line.ask(event_id)

            yield hold


@asynccontextmanager
async def plain(asked: dict[str, Any]) -> AsyncIterator[Hold]:
    """Our reference path: one call of the SQL function for each hold, with all that it writes."""
    async with Database.open(asked["sales_url"], size=CONNECTIONS, name="bench") as database:

        async def hold(event_id: int, seat: int, _caller: int) -> bool:
            wish, call = wish_of(event_id, seat)
            return await held_by(place_hold(database, wish, call))

        yield hold


async def held_by(answer: Awaitable[bytes]) -> bool:
    """Wait for an answer; a seat that somebody else has is an answer too, anything else is not."""
    try:
        await answer
    except DomainError as refusal:
        if refusal.category is Category.CONFLICT:
            return False
        raise
    return True


@asynccontextmanager
async def event_lock(asked: dict[str, Any]) -> AsyncIterator[Hold]:
    """One hold of an event at a time, as Hi.Events does and pretix above 20 objects; the same records as ours."""
    pool = await asyncpg.create_pool(asked["sales_url"], min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with pool:

        async def hold(event_id: int, seat: int, _caller: int) -> bool:
            async with pool.acquire() as connection:
                try:
                    async with connection.transaction():
                        await connection.execute(LOCK_EVENT, event_id)
                        await connection.fetchval(CALL, uuid4(), event_id, seat, uuid4(), str(uuid4()))
                except asyncpg.PostgresError as error:
                    if error.sqlstate == "BX004":
                        return False
                    raise
            return True

        yield hold


@asynccontextmanager
async def seed(asked: dict[str, Any]) -> AsyncIterator[Hold]:
    """A lock in Redis, read, check, write, unlock: no order, no limit, no message."""
    pool = await asyncpg.create_pool(asked["sales_url"], min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with pool, Redis.from_url(asked["redis_url"], max_connections=asked["callers"] * 2) as redis:
        held = locked_hold(pool, redis)

        async def hold(event_id: int, seat: int, _caller: int) -> bool:
            return await held(event_id, seat)

        yield hold


def locked_hold(pool: asyncpg.Pool, redis: "Redis") -> Callable[[int, int], Awaitable[bool]]:
    """Build the seed's hold, also for its server over HTTP."""

    async def hold(event_id: int, seat: int) -> bool:
        lock = f"seat:{seat}"
        if not await redis.set(lock, "1", nx=True, px=10_000):
            return False
        try:
            record = await pool.fetchrow(READ_SEAT, event_id, seat)
            if record is None or (record[0] != "free" and not record[1]):
                return False
            await pool.execute(WRITE_SEAT, event_id, seat, uuid4())
        finally:
            await redis.delete(lock)
        return True

    return hold


HOLDERS: dict[str, Opened] = {
    "desk": desk, "plain": plain, "event_lock": event_lock, "seed": seed, "places": places, "claims": claims,
}  # fmt: skip
