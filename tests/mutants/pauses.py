"""Things between a use case and the outside that stop it at a chosen point, so that a race is a scenario and no luck."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from boxoffice.kernel.ids import OrderId
from boxoffice.runtime.database import Database

SOON_S = (0.25, 2.0, 8.0)
"""How long a hold lasts that must run out while somebody acts; the next one when it ran out before they had begun."""
POLL_S = 0.01
PATIENCE_S = 30.0
"""Longer than any busy machine needs."""

END_SOON = """
WITH ends AS (UPDATE orders SET hold_expires_at = clock_timestamp() + make_interval(secs => $2)
               WHERE order_id = $1 RETURNING order_id, event_id, user_id, hold_expires_at),
clock AS (UPDATE customer_limits l SET clock_until = e.hold_expires_at FROM ends e
           WHERE l.event_id = e.event_id AND l.user_id = e.user_id)
UPDATE event_seats s SET hold_expires_at = e.hold_expires_at FROM ends e WHERE s.order_id = e.order_id
"""
IS_OVER = "SELECT hold_expires_at <= clock_timestamp() FROM orders WHERE order_id = $1"
SOMEBODY_WAITS = (
    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
)


async def in_time(attempt: Callable[[float], Awaitable[bool]]) -> None:
    """Play a scene with holds that last longer and longer, until whoever acts began before their end."""
    for seconds in SOON_S:
        if await attempt(seconds):
            return
    raise AssertionError("this machine stands still")


async def ends_after(database: Database, order_id: OrderId, seconds: float) -> None:
    """Let a hold run out shortly, by the database's clock."""
    await database.fetch(END_SOON, order_id, seconds)


async def is_over(database: Database, order_id: OrderId) -> bool:
    """Whether a hold has run out."""
    return bool(await database.fetchval(IS_OVER, order_id))


async def until_over(database: Database, order_id: OrderId) -> None:
    """Wait until a hold has run out."""
    deadline = time.monotonic() + PATIENCE_S
    while not await is_over(database, order_id):
        assert time.monotonic() < deadline, "the hold never ends"
        await asyncio.sleep(POLL_S)


async def until_blocked(database: Database, task: "asyncio.Task[Any]") -> None:
    """Wait until a task waits for a lock, so its transaction has begun."""
    deadline = time.monotonic() + PATIENCE_S
    while not await database.fetchval(SOMEBODY_WAITS):
        assert not task.done(), "it did not wait"
        assert time.monotonic() < deadline, "it never waits"
        await asyncio.sleep(POLL_S)


class PausingDatabase:
    """A database whose next statement with a certain passage waits for something to happen first."""

    def __init__(self, database: Database, before: str, happens: Callable[[], Awaitable[Any]]) -> None:
        self._database = database
        self._before = before
        self._happens: Callable[[], Awaitable[Any]] | None = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Any]:
        async with self._database.transaction(**options) as tx:
            yield _PausingConnection(tx, self._meet)

    async def _meet(self, sql: str) -> None:
        if self._happens is not None and self._before in sql:
            happens, self._happens = self._happens, None
            await happens()


class _PausingConnection:
    def __init__(self, connection: Any, meet: Callable[[str], Awaitable[None]]) -> None:
        self._connection = connection
        self._meet = meet

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"fetch", "fetchrow", "fetchval", "execute"}:
            return found

        async def call(sql: str, *arguments: Any) -> Any:
            await self._meet(sql)
            return await found(sql, *arguments)

        return call


class Meeting:
    """A provider that answers ``get`` only when so many have asked: they all act on the same knowledge."""

    def __init__(self, provider: Any, parties: int) -> None:
        self._provider = provider
        self._meeting = asyncio.Barrier(parties)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def get(self, provider_ref: str) -> Any:
        order = await self._provider.get(provider_ref)
        await self._meeting.wait()
        return order


class Counting:
    """A provider that counts how often it is asked how an order stands."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def get(self, provider_ref: str) -> Any:
        self.asked += 1
        return await self._provider.get(provider_ref)
