"""The message bus: Valkey (or Redis) streams, one stream per topic, one consumer group per consumer.

Delivery is at least once and in the order of the stream; consumers note what they took in their inbox (I8). Messages of
one key stay in order: one relay writes, and of the processes that run a consumer one reads (a lease). A stream is never
trimmed past what a consumer has yet to take; when one is too far behind, publishing stops and the outbox waits.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import asyncpg
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from boxoffice.contracts.envelope import Envelope
from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.lease import Lease
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import MESSAGES, begin_trace, log

MAX_STREAM_LENGTH = 100_000
"""What a stream keeps when everybody took it: about 100 MB a topic at 1 kB."""
FULL_STREAM_LENGTH = 500_000
"""What a stream holds while a consumer is behind; beyond that the outbox waits."""
TRIM_EVERY = 1_000
"""Messages of a topic between two looks at its length."""
READ_COUNT = 100
BLOCK_MS = 2_000
TRIES = 5
"""After this many a message is poison: it goes to the dead-letter stream and the stream goes on."""
RETRY_PAUSE_S = 0.5
AWAY_PAUSE_S = 5.0
"""Longest pause while something that a consumer needs is away; its message waits however long that takes."""
STANDBY_S = 1.0
"""How often a process that stands by asks whether the reader is gone."""
FIELD = b"m"
APPEND = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local packed = cmsgpack.unpack(ARGV[3])
for i = 1, #packed, 2 do redis.call('XADD', KEYS[packed[i]], '*', 'm', packed[i + 1]) end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
"""Streams and mark in one atomic step and one answer: 500 commands of a transaction cost a client far more.

The messages come as one argument in MessagePack, for the same reason: the client's library works on each argument.
"""

_log = log(__name__)

Take = Callable[[Envelope], Awaitable[None]]
TakeMany = Callable[[Sequence[Envelope]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """``take`` must be idempotent: it gets every message of the topics at least once.

    With ``take_many`` messages of one read (at most ``READ_COUNT`` a topic, in order) are taken in one effect; when it
    fails they are taken again one by one, so that one poison message does not stop its neighbours.
    """

    name: str
    topics: Sequence[str]
    take: Take
    take_many: TakeMany | None = None
    replaces: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By topic, consumers that are no more: what they never take would keep the stream from being trimmed."""


class BusFullError(DomainError):
    """A consumer is so far behind that no more is published; the outbox keeps what there is."""

    code: ClassVar[str] = "runtime.bus_full"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "A consumer is too far behind"


class Bus:
    """Publishes envelopes and runs consumers on one Valkey server."""

    def __init__(self, redis: "Redis") -> None:
        self.redis = redis
        self._until_trim: dict[str, int] = {}
        self._append = redis.register_script(APPEND)

    async def publish(self, envelopes: Sequence[Envelope], *, mark: tuple[str, str], after: str | None) -> bool:
        """Append messages to their streams and set ``mark`` (key, value), all of it or nothing.

        Nothing, and false, when the mark is not ``after`` any more: the server was emptied or replaced meanwhile, and
        what it forgot has to be carried first.

        :raises BusFullError: when a consumer is too far behind.
        """
        for topic in {envelope.topic for envelope in envelopes}:
            await self._make_room(topic)
        key, value = mark
        topics = {topic: number for number, topic in enumerate(dict.fromkeys(one.topic for one in envelopes), 2)}
        packed: list[str | int] = []  # text: Lua reads no binary type
        for envelope in envelopes:
            packed += (topics[envelope.topic], msgspec.json.encode(envelope).decode())
            self._until_trim[envelope.topic] = self._until_trim.get(envelope.topic, 0) - 1
        arguments: list[str | bytes] = [after or "", value, msgspec.msgpack.encode(packed)]
        return bool(await self._append(keys=[key, *topics], args=arguments))

    async def _make_room(self, topic: str) -> None:
        """Trim a stream now and then, as long as every consumer has taken what goes."""
        if self._until_trim.get(topic, 0) > 0:
            return
        length = await self.redis.xlen(topic)
        if length > MAX_STREAM_LENGTH:
            groups: Any = await self.redis.xinfo_groups(topic)
            behind = max(
                (group["pending"] + (length if group["lag"] is None else group["lag"]) for group in groups), default=0
            )
            if behind < MAX_STREAM_LENGTH:
                await self.redis.xtrim(topic, maxlen=MAX_STREAM_LENGTH, approximate=True)
            elif length > FULL_STREAM_LENGTH:
                raise BusFullError(f"{topic} holds {length} messages and a consumer has yet to take {behind} of them.")
        self._until_trim[topic] = TRIM_EVERY

    async def retained(self, topic: str) -> AsyncIterator[Envelope]:
        """Read again what a topic's stream still keeps, oldest first, without acknowledging anything."""
        after = b"-"
        while True:
            entries: Any = await self.redis.xrange(topic, min=after, count=READ_COUNT)
            if not entries:
                return
            for entry_id, fields in entries:
                yield msgspec.json.decode(fields[FIELD], type=Envelope)
                after = b"(" + entry_id

    async def mark(self, key: str) -> str | None:
        """Read how far a relay has published; none on an empty server."""
        return _text(await self.redis.get(key))

    @asynccontextmanager
    async def consuming(self, consumers: Sequence[Consumer]) -> AsyncIterator[None]:
        """Run consumers while inside; a message is acknowledged after its effect only."""
        tasks = [asyncio.create_task(self._consume(consumer), name=consumer.name) for consumer in consumers]
        try:
            yield
        finally:
            await end(tasks)

    async def _consume(self, consumer: Consumer) -> None:
        lease = Lease(self.redis, f"consumer.{consumer.name}")
        while True:
            try:
                if await lease.keep():
                    async with lease.kept():
                        await self._read(consumer, lease)
                await asyncio.sleep(STANDBY_S)
            except (RedisError, OSError) as error:
                _log.warning("consumer.waits", consumer=consumer.name, error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - a consumer that stopped for good would be noticed by nobody
                _log.exception("consumer.failed", consumer=consumer.name, error=type(error).__name__)
                await asyncio.sleep(AWAY_PAUSE_S)

    async def _read(self, consumer: Consumer, lease: Lease) -> None:
        """Read while the lease lasts; first what this group was given before a crash, then what is new."""
        for topic in consumer.topics:
            try:
                await self.redis.xgroup_create(topic, consumer.name, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):  # it is there already
                    raise
        for topic, names in consumer.replaces.items():
            if await self.redis.exists(topic):
                for name in names:
                    await self.redis.xgroup_destroy(topic, name)
        from_pending = True
        while lease.held:
            from_pending = await self._read_once(consumer, from_pending=from_pending)

    async def _read_once(self, consumer: Consumer, *, from_pending: bool) -> bool:
        """Take what is there; returns whether there may be more that was given before."""
        answer: Any = await self.redis.xreadgroup(
            consumer.name,
            consumer.name,
            dict.fromkeys(consumer.topics, "0" if from_pending else ">"),
            count=READ_COUNT,
            block=BLOCK_MS,
        )
        taken = 0
        for topic, entries in _streams(answer):
            taken += len(entries)
            # An entry without fields was trimmed after it was given to this group; its outbox record was carried again.
            raws = [fields[FIELD] for _, fields in entries if fields]
            if len(raws) > 1 and await self._take_together(consumer, raws):
                await self.redis.xack(topic, consumer.name, *[entry_id for entry_id, _ in entries])
                continue
            for entry_id, fields in entries:
                if fields:
                    await self._take(consumer, fields[FIELD])
                await self.redis.xack(topic, consumer.name, entry_id)
        return from_pending and taken > 0

    async def _take_together(self, consumer: Consumer, raws: Sequence[bytes]) -> bool:
        """Take messages in one effect; false when the consumer cannot, or failed: then each goes on its own."""
        if consumer.take_many is None:
            return False
        try:
            envelopes = [msgspec.json.decode(raw, type=Envelope) for raw in raws]
            begin_trace(envelopes[-1].trace if envelopes else None)
            await consumer.take_many(envelopes)
        except Exception as error:  # noqa: BLE001 - whatever it was, taking them one by one finds the poison
            _log.exception("messages.failed", consumer=consumer.name, count=len(raws), error=type(error).__name__)
            return False
        MESSAGES.labels(consumer.name, "ok").inc(len(raws))
        return True

    async def _take(self, consumer: Consumer, raw: bytes) -> None:
        """Take one message: again while something is away, a few times when it fails, then it is set aside."""
        attempt = 0
        while attempt < TRIES:
            try:
                envelope = msgspec.json.decode(raw, type=Envelope)
                begin_trace(envelope.trace)
                await consumer.take(envelope)
            except Exception as error:  # noqa: BLE001 - a poison message must not stop the stream; it is kept and counted
                away = _is_away(error)
                attempt += 0 if away else 1
                MESSAGES.labels(consumer.name, "failed").inc()
                _log.warning(
                    "message.failed", consumer=consumer.name, attempt=attempt, away=away,
                    error=f"{type(error).__name__}: {error}", exc_info=not away,
                )  # fmt: skip
                await asyncio.sleep(AWAY_PAUSE_S if away else RETRY_PAUSE_S * attempt)
            else:
                MESSAGES.labels(consumer.name, "ok").inc()
                return
        MESSAGES.labels(consumer.name, "dead").inc()
        _log.error("message.dead", consumer=consumer.name)
        await self.redis.xadd(f"dead-letter.{consumer.name}", {FIELD: raw}, maxlen=MAX_STREAM_LENGTH, approximate=True)


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _streams(answer: Any) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """Read what redis-py makes of XREADGROUP: pairs over RESP2, a dictionary with one more list over RESP3."""
    if isinstance(answer, dict):
        return [(topic, [entry for part in parts for entry in part]) for topic, parts in answer.items()]
    return [(topic, list(entries)) for topic, entries in answer or []]


def _is_away(error: Exception) -> bool:
    """Whether something that the effect needs is away or busy, so that the message itself may be well."""
    if isinstance(error, DomainError):
        return error.category is Category.UNAVAILABLE
    return isinstance(
        error, OSError | TimeoutError | RedisError | asyncpg.PostgresConnectionError | asyncpg.InterfaceError
    )
