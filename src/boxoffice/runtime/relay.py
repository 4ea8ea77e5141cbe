"""The relay: carries committed outbox records to the bus, in the order of their transactions, at least once (I8, I9).

How far it got is kept on the bus itself, in the same atomic step as the messages: a server that lost its last second,
or was replaced, shows an older mark, and everything after it is published again. Inboxes make repeats no-ops.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus import Bus
from boxoffice.runtime.database import Database
from boxoffice.runtime.handover import Handover
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import FACTS, OUTBOX_AGE, log

BATCH = 500
PAUSE_S = 0.03
"""How late a message may leave: records gather meanwhile, and forty of them cost hardly more to carry than one."""
RETRY_S = 1.0
RETENTION_DAYS = 7
"""Longer than any outage of the bus that we plan for."""
INBOX_RETENTION_DAYS = 2 * RETENTION_DAYS
"""Longer than any outbox, so that a message that is carried again is still known."""
KEY_RETENTION_DAYS = 7
"""A client that retries after a week is a new request."""
FORGET_EVERY_S = 600.0
FORGET_BATCH = 2_000
"""Well within one statement timeout."""
LOCK_SPACE = 0x0B0C
"""First half of the advisory lock that makes a service's relay a singleton."""

NEXT = """
SELECT message_id, topic, key, type, version, body::text AS body, trace, created_at, tx::text AS tx_text, position,
  extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
FROM outbox
WHERE tx < pg_snapshot_xmin(pg_current_snapshot()) AND (tx, position) > ($1::text::xid8, $2::bigint)
ORDER BY outbox.tx, outbox.position LIMIT $3
"""
"""By the column: an output column named ``tx`` would sort as text, and transaction 1000 would come before 999."""
BELONGS_TO_ANOTHER_PAST = "SELECT $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())"
"""A mark that is ahead of the database: the database was restored or made anew, and its counter began again."""

FORGET_OUTBOX = """
WITH old AS (
  SELECT message_id FROM outbox
  WHERE created_at < clock_timestamp() - make_interval(days => $1) AND (tx, position) <= ($2::text::xid8, $3::bigint)
  LIMIT $4
), gone AS (DELETE FROM outbox USING old WHERE outbox.message_id = old.message_id RETURNING 1)
SELECT count(*) FROM gone
"""
FORGET_INBOX = """
WITH old AS (
  SELECT consumer, message_id FROM inbox
  WHERE taken_at < clock_timestamp() - make_interval(days => $1) LIMIT $2
), gone AS (DELETE FROM inbox USING old WHERE (inbox.consumer, inbox.message_id) = (old.consumer, old.message_id)
  RETURNING 1)
SELECT count(*) FROM gone
"""
FORGET_KEYS = """
WITH old AS (
  SELECT principal, key FROM idempotency_keys
  WHERE created_at < clock_timestamp() - make_interval(days => $1) LIMIT $2
), gone AS (DELETE FROM idempotency_keys USING old
  WHERE (idempotency_keys.principal, idempotency_keys.key) = (old.principal, old.key) RETURNING 1)
SELECT count(*) FROM gone
"""

NOWHERE = "0:0"
"""A mark before every record."""
Notice = Callable[[Sequence[tuple[str, str]]], Awaitable[None]]
"""Takes (topic, body in JSON) of each record; a repeat must change nothing."""

_log = log(__name__)


class Relay:
    """Carries one service's outbox.

    ``copies`` names for some types a second topic: their messages go there too, in the same atomic step and under the
    same id, so that the transaction that tells a fact writes it once. ``notice`` is called with what is about to be
    carried, at least once for each record: the service's own use of its facts need not come back over the bus.
    With ``handover`` Debezium may carry instead; then the mark only follows.
    """

    def __init__(
        self, *, service: str, database: Database, bus: Bus, copies: Mapping[str, str] | None = None,
        notice: Notice | None = None, handover: Handover | None = None,
    ) -> None:  # fmt: skip
        self.service = service
        self._handover = handover
        self._followed: str | None = None
        self._copies = copies or {}
        self._notice = notice
        self._database = database
        self._bus = bus
        self._mark_key = f"relay:{service}"
        self._trusted_mark = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relay while inside; of several processes one does it, the others stand by."""
        task = asyncio.create_task(self._forever(), name=f"relay-{self.service}")
        try:
            yield
        finally:
            await end([task])

    async def _forever(self) -> None:
        while True:
            try:
                async with self._database.session() as lock:
                    await self._as_singleton(lock)
            except Exception as error:  # noqa: BLE001 - whatever is away comes back; nothing is lost meanwhile
                _log.warning("relay.waits", relay=self.service, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(RETRY_S)

    async def _as_singleton(self, lock: "asyncpg.pool.PoolConnectionProxy | asyncpg.Connection") -> None:
        if not await lock.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", LOCK_SPACE, self.service):
            return
        try:
            forget_at = time.monotonic()
            while True:
                carried = await self.carry_once()
                if carried == 0 and time.monotonic() >= forget_at and await self.forget_old() == 0:
                    forget_at = time.monotonic() + FORGET_EVERY_S
                if carried < BATCH:
                    await asyncio.sleep(PAUSE_S)
                    await lock.fetchval("SELECT 1")  # raises when the connection that holds the lock is gone
        finally:
            # Not on a connection that is in the middle of something: the pool's reset gives the lock back too.
            with suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
                await lock.fetchval("SELECT pg_advisory_unlock($1, hashtext($2))", LOCK_SPACE, self.service)

    async def carry_once(self) -> int:
        """Publish the next records; returns how many there were (more than 0: there may be more).

        :raises redis.exceptions.RedisError: when the bus is away; the records stay.
        """
        after, tx, position = await self._mark()
        if self._handover is not None and await self._handover.carries():
            return await self._follow(self._handover, after)
        self._followed = None
        horizon = await self._handover.horizon() if self._handover else None
        records = await self._database.fetch(NEXT, tx, position, BATCH)
        if not records:
            OUTBOX_AGE.labels(self.service).set(0)
            if self._handover:
                self._handover.carried(horizon)
            return 0
        OUTBOX_AGE.labels(self.service).set(max(0.0, records[0]["age"]))
        if self._notice is not None:
            await self._notice([(record["topic"], record["body"]) for record in records])
        mark = _mark_of(records[-1])
        told = [
            _envelope(record, topic)
            for record in records
            for topic in (record["topic"], self._copies.get(record["type"]))
            if topic is not None
        ]
        if await self._bus.publish(told, mark=(self._mark_key, mark), after=after):
            self._trusted_mark = mark
            _count(records)
            if self._handover and len(records) < BATCH:
                self._handover.carried(horizon)
        return len(records)

    async def _follow(self, handover: Handover, after: str | None) -> int:
        """Notice what somebody else carries, copy what they do not, and let the mark follow what they confirmed."""
        tx, _, position = (self._followed or after or NOWHERE).partition(":")
        records = await self._database.fetch(NEXT, tx, int(position), BATCH)
        if records and self._notice is not None:
            await self._notice([(record["topic"], record["body"]) for record in records])
        copies = [
            _envelope(record, copied_to)
            for record in records
            if (copied_to := self._copies.get(record["type"])) is not None
        ]
        confirmed = handover.confirmed()
        if copies or confirmed is not None:
            mark = confirmed or after or NOWHERE
            if not await self._bus.publish(copies, mark=(self._mark_key, mark), after=after):
                return 0
            self._trusted_mark = mark
        if records:
            self._followed = _mark_of(records[-1])
            _count(records)
            await handover.expect(self._followed)
        OUTBOX_AGE.labels(self.service).set(handover.waiting_s())
        return len(records)

    async def forget_old(self) -> int:
        """Delete what was carried, taken or answered long ago; returns how much, 0 when nothing is left to do.

        A record that is not on the bus yet is kept, however old.
        """
        _, tx, position = await self._mark()
        return int(
            await self._database.fetchval(FORGET_OUTBOX, RETENTION_DAYS, tx, position, FORGET_BATCH)
            + await self._database.fetchval(FORGET_INBOX, INBOX_RETENTION_DAYS, FORGET_BATCH)
            + await self._database.fetchval(FORGET_KEYS, KEY_RETENTION_DAYS, FORGET_BATCH)
        )

    async def _mark(self) -> tuple[str | None, str, int]:
        """Read the mark and how far we got: nowhere on an empty bus, nowhere in a database with another past."""
        mark = await self._bus.mark(self._mark_key)
        if mark is None:
            return None, "0", 0
        tx, _, position = mark.partition(":")
        if mark != self._trusted_mark and await self._database.fetchval(BELONGS_TO_ANOTHER_PAST, tx):
            _log.warning("relay.begins_again", relay=self.service, mark=mark)
            return mark, "0", 0
        self._trusted_mark = mark
        return mark, tx, int(position)


def _count(records: Sequence[Any]) -> None:
    for type_, count in Counter(record["type"] for record in records).items():
        FACTS.labels(type_).inc(count)


def _mark_of(record: Any) -> str:
    return f"{record['tx_text']}:{record['position']}"


def _envelope(record: Any, topic: str) -> Envelope:
    return Envelope(
        message_id=record["message_id"], topic=topic, key=record["key"], type_=record["type"],
        version=record["version"], occurred_at=record["created_at"], trace=record["trace"],
        body=msgspec.Raw(record["body"].encode()),
    )  # fmt: skip
