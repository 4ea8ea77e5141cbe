"""The relay: carries committed outbox records to the bus, in the order of their transactions, at least once (I8, I9).

How far it got is kept on the bus itself, in the same atomic step as the messages: a server that lost its last minute,
or was replaced, shows an older mark, and everything after it is published again. Inboxes make repeats no-ops.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus import Bus, LineBus, Lines
from boxoffice.runtime.database import Database
from boxoffice.runtime.handover import Handover
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import FACTS, OUTBOX_AGE, log

BATCH = 1_000
PAUSE_S = 0.03
"""How late a message may leave: records gather meanwhile, and forty of them cost hardly more to carry than one."""
PAUSE_A_RECORD_S = 0.0002
LONGEST_PAUSE_S = 0.08
"""In a rush a message may leave later: carrying takes from the sale what it needs, and less of it in larger parts."""
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
  extract(epoch FROM clock_timestamp() - created_at)::float8 AS age,
  CASE WHEN topic = $4 THEN body #>> $5::text[] END AS about
FROM outbox
WHERE tx < pg_snapshot_xmin(pg_current_snapshot()) AND (tx, position) > ($1::text::xid8, $2::bigint)
ORDER BY outbox.tx, outbox.position LIMIT $3
"""
"""By the column: an output column named ``tx`` would sort as text, and transaction 1000 would come before 999."""
NEXT_LINES = """
WITH next AS MATERIALIZED (
  SELECT topic, type, tx, position, created_at, CASE WHEN topic = $4 THEN body #>> $5::text[] END AS about,
         concat(topic, E'\\t', type, E'\\t"messageId":"', message_id, '","key":', to_json(key), ',"type":"', type,
                '","version":', version, ',"occurredAt":', to_json(created_at),
                ',"trace":', coalesce(to_json(trace), 'null'), ',"body":', body, E'}\\n') AS line
    FROM outbox
   WHERE tx < pg_snapshot_xmin(pg_current_snapshot()) AND (tx, position) > ($1::text::xid8, $2::bigint)
   ORDER BY outbox.tx, outbox.position LIMIT $3)
SELECT count(*) AS records, convert_to(string_agg(line, ''), 'UTF8') AS lines,
       (SELECT l.tx::text || ':' || l.position FROM next l ORDER BY l.tx DESC, l.position DESC LIMIT 1) AS mark,
       extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS age,
       (SELECT array_agg(DISTINCT about) FROM next WHERE about IS NOT NULL) AS about,
       (SELECT array_agg(ARRAY[g.topic, g.type, g.n::text])
          FROM (SELECT topic, type, count(*) AS n FROM next GROUP BY topic, type) g) AS counts
  FROM next
"""
"""The same records as lines (``bus/seam.py``): a process that handles each of them itself is busy twice as long.

Topics and types are names of ours, without anything that JSON or a line would have to escape; JSON itself has no tab
and no newline in it.
"""
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

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a service does about its own records of a topic while they are carried.

    ``take`` gets what stands at ``path`` in their bodies, each value once; a repeat must change nothing.
    """

    topic: str
    path: Sequence[str]
    take: Callable[[Collection[str]], Awaitable[None]]


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
        self._mark_is_ours = False
        self._noticed = (notice.topic, notice.path) if notice else (None, None)

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
                    await asyncio.sleep(min(PAUSE_S + PAUSE_A_RECORD_S * carried, LONGEST_PAUSE_S))
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
        if self._handover is None and isinstance(self._bus, LineBus):
            return await self._carry_lines(self._bus, after, tx, position)
        horizon = await self._handover.horizon() if self._handover else None
        records = await self._database.fetch(NEXT, tx, position, BATCH, *self._noticed)
        if not records:
            OUTBOX_AGE.labels(self.service).set(0)
            if self._handover:
                self._handover.carried(horizon)
            return 0
        OUTBOX_AGE.labels(self.service).set(max(0.0, records[0]["age"]))
        await self._take_notice({record["about"] for record in records} - {None})
        mark = _mark_of(records[-1])
        told = [
            _envelope(record, topic)
            for record in records
            for topic in (record["topic"], self._copies.get(record["type"]))
            if topic is not None
        ]
        if await self._bus.publish(told, mark=(self._mark_key, mark), after=after):
            self._trusted_mark = mark
            _count(Counter(record["type"] for record in records))
            if self._handover and len(records) < BATCH:
                self._handover.carried(horizon)
        return len(records)

    async def _carry_lines(self, bus: LineBus, after: str | None, tx: str, position: int) -> int:
        """Publish the next records as the database writes them down."""
        was_ours, self._mark_is_ours = self._mark_is_ours, False
        found: Any = await self._database.fetchrow(NEXT_LINES, tx, position, BATCH, *self._noticed)
        carried: int = found["records"]
        OUTBOX_AGE.labels(self.service).set(max(0.0, found["age"] or 0.0))
        if not carried:
            return await self.carry_once() if was_ours else 0  # once more by the mark that the bus has: it may be older
        await self._take_notice(found["about"] or ())
        types: Counter[str] = Counter()
        topics: Counter[str] = Counter()
        for topic, type_, count in found["counts"]:
            types[type_] += int(count)
            topics[topic] += int(count)
            if copied_to := self._copies.get(type_):
                topics[copied_to] += int(count)
        lines = Lines(text=found["lines"], topics=topics, copies=self._copies)
        if await bus.publish_lines(lines, mark=(self._mark_key, found["mark"]), after=after):
            self._trusted_mark, self._mark_is_ours = found["mark"], True
            _count(types)
        return carried

    async def _take_notice(self, about: Collection[str]) -> None:
        if self._notice is not None and about:
            await self._notice.take(about)

    async def _follow(self, handover: Handover, after: str | None) -> int:
        """Notice what somebody else carries, copy what they do not, and let the mark follow what they confirmed."""
        tx, _, position = (self._followed or after or NOWHERE).partition(":")
        records = await self._database.fetch(NEXT, tx, int(position), BATCH, *self._noticed)
        await self._take_notice({record["about"] for record in records} - {None})
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
            _count(Counter(record["type"] for record in records))
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
        """Read the mark and how far we got: nowhere on an empty bus, nowhere in a database with another past.

        While there is more to carry, the mark is as we have just set it, or the bus will say that it is not.
        """
        mark = self._trusted_mark if self._mark_is_ours else await self._bus.mark(self._mark_key)
        if mark is None:
            return None, "0", 0
        tx, _, position = mark.partition(":")
        if mark != self._trusted_mark and await self._database.fetchval(BELONGS_TO_ANOTHER_PAST, tx):
            _log.warning("relay.begins_again", relay=self.service, mark=mark)
            return mark, "0", 0
        self._trusted_mark = mark
        return mark, tx, int(position)


def _count(types: Mapping[str, int]) -> None:
    for type_, count in types.items():
        FACTS.labels(type_).inc(count)


def _mark_of(record: Any) -> str:
    return f"{record['tx_text']}:{record['position']}"


def _envelope(record: Any, topic: str) -> Envelope:
    return Envelope(
        message_id=record["message_id"], topic=topic, key=record["key"], type_=record["type"],
        version=record["version"], occurred_at=record["created_at"], trace=record["trace"],
        body=msgspec.Raw(record["body"].encode()),
    )  # fmt: skip
