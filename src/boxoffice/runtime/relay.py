"""The relay: carries committed outbox records to the bus, in the order of their transactions, at least once (I8, I9).

How far it got is kept on the bus itself, in the same atomic step as the messages: a server that lost its last second,
or was replaced, shows an older mark, and everything after it is published again. Inboxes make repeats no-ops.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus import Bus
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import OUTBOX_AGE, log

BATCH = 500
IDLE_S = 0.05
"""How late a message may leave when nothing else is going on."""
RETRY_S = 1.0
RETENTION_DAYS = 7
"""Longer than any outage of the bus that we plan for."""
LOCK_SPACE = 0x0B0C
"""First half of the advisory lock that makes a service's relay a singleton."""

NEXT = """
SELECT message_id, topic, key, type, version, body::text AS body, trace, created_at, tx::text AS tx, position
FROM outbox
WHERE tx < pg_snapshot_xmin(pg_current_snapshot()) AND (tx, position) > ($1::text::xid8, $2::bigint)
ORDER BY tx, position LIMIT $3
"""
FORGET = "DELETE FROM outbox WHERE created_at < clock_timestamp() - make_interval(days => $1)"

_log = log(__name__)


class Relay:
    """Carries one service's outbox."""

    def __init__(self, *, service: str, database: Database, bus: Bus) -> None:
        self.service = service
        self._database = database
        self._bus = bus
        self._mark_key = f"relay:{service}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relay while inside; of several processes one does it, the others stand by."""
        task = asyncio.create_task(self._forever(), name=f"relay-{self.service}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _forever(self) -> None:
        while True:
            try:
                async with self._database.connection() as lock:
                    await self._as_singleton(lock)
            except Exception as error:  # noqa: BLE001 - whatever is away comes back; nothing is lost meanwhile
                _log.warning("relay.waits", relay=self.service, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(RETRY_S)

    async def _as_singleton(self, lock: "asyncpg.pool.PoolConnectionProxy | asyncpg.Connection") -> None:
        if not await lock.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", LOCK_SPACE, self.service):
            return
        try:
            while True:
                if await self.carry_once() == 0:
                    await asyncio.sleep(IDLE_S)
                    await lock.fetchval("SELECT 1")
        finally:
            await lock.fetchval("SELECT pg_advisory_unlock($1, hashtext($2))", LOCK_SPACE, self.service)

    async def carry_once(self) -> int:
        """Publish the next records; returns how many there were.

        :raises redis.exceptions.RedisError: when the bus is away; the records stay.
        """
        mark = await self._bus.mark(self._mark_key)
        tx, _, position = (mark or "0:0").partition(":")
        records = await self._database.fetch(NEXT, tx, int(position), BATCH)
        if not records:
            OUTBOX_AGE.labels(self.service).set(0)
            return 0
        OUTBOX_AGE.labels(self.service).set(
            max(
                0.0,
                await self._database.fetchval(
                    "SELECT extract(epoch FROM clock_timestamp() - $1)::float8", records[0]["created_at"]
                ),
            )
        )
        last = records[-1]
        await self._bus.publish(
            [
                Envelope(
                    message_id=record["message_id"], topic=record["topic"], key=record["key"], type_=record["type"],
                    version=record["version"], occurred_at=record["created_at"], trace=record["trace"],
                    body=msgspec.Raw(record["body"].encode()),
                )
                for record in records
            ],
            mark=(self._mark_key, f"{last['tx']}:{last['position']}"),
        )  # fmt: skip
        return len(records)

    async def forget_old(self) -> int:
        """Delete records past retention; returns 0, since there is no more to do at once."""
        await self._database.fetch(FORGET, RETENTION_DAYS)
        return 0
