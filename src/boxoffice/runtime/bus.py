"""The message bus: Valkey (or Redis) streams, one stream per topic, one consumer group per consumer.

Delivery is at least once and in the order of the stream; consumers note what they took in their inbox. Messages of one
key stay in order as long as one process reads a group, which the relay's and the consumers' singletons see to.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.telemetry import MESSAGES, begin_trace, log

MAX_STREAM_LENGTH = 100_000
"""About 100 MB a topic at 1 kB; older messages are still in the outbox."""
READ_COUNT = 100
BLOCK_MS = 2_000
TRIES = 5
"""After this many a message is poison: it goes to the dead-letter stream and the stream goes on."""
RETRY_PAUSE_S = 0.5
FIELD = b"m"

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


class Bus:
    """Publishes envelopes and runs consumers on one Valkey server."""

    def __init__(self, redis: "Redis") -> None:
        self.redis = redis

    async def publish(self, envelopes: Sequence[Envelope], *, mark: tuple[str, str]) -> None:
        """Append messages to their streams and set ``mark`` (key, value), all of it or nothing."""
        async with self.redis.pipeline(transaction=True) as pipe:
            for envelope in envelopes:
                pipe.xadd(
                    envelope.topic,
                    {FIELD: msgspec.json.encode(envelope)},
                    maxlen=MAX_STREAM_LENGTH,
                    approximate=True,
                )
            pipe.set(*mark)
            await pipe.execute()

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
        value = await self.redis.get(key)
        return value.decode() if isinstance(value, bytes) else value

    @asynccontextmanager
    async def consuming(self, consumers: Sequence[Consumer]) -> AsyncIterator[None]:
        """Run consumers while inside; a message is acknowledged after its effect only."""
        tasks = [asyncio.create_task(self._consume(consumer), name=consumer.name) for consumer in consumers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _consume(self, consumer: Consumer) -> None:
        from_pending = True
        while True:
            try:
                await self._join(consumer)
                while True:
                    from_pending = await self._read_once(consumer, from_pending=from_pending)
            except (RedisError, OSError) as error:
                from_pending = True
                _log.warning("consumer.waits", consumer=consumer.name, error=str(error))
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _join(self, consumer: Consumer) -> None:
        for topic in consumer.topics:
            with suppress(ResponseError):  # BUSYGROUP: it is there already
                await self.redis.xgroup_create(topic, consumer.name, id="0", mkstream=True)

    async def _read_once(self, consumer: Consumer, *, from_pending: bool) -> bool:
        """Take what is there; first what this group was given before a crash, then what is new."""
        start = "0" if from_pending else ">"
        answer: Any = await self.redis.xreadgroup(
            consumer.name,
            consumer.name,
            dict.fromkeys(consumer.topics, start),
            count=READ_COUNT,
            block=BLOCK_MS,
        )
        streams = answer.items() if isinstance(answer, dict) else (answer or [])
        taken = 0
        for topic, entries in streams:
            flat = entries[0] if isinstance(answer, dict) and entries and isinstance(entries[0], list) else entries
            taken += len(flat)
            if len(flat) > 1 and await self._take_together(consumer, [fields[FIELD] for _, fields in flat if fields]):
                await self.redis.xack(topic, consumer.name, *[entry_id for entry_id, _ in flat])
                continue
            for entry_id, fields in flat:
                if fields is not None:
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
        envelope = msgspec.json.decode(raw, type=Envelope)
        for attempt in range(1, TRIES + 1):
            begin_trace(envelope.trace)
            try:
                await consumer.take(envelope)
            except Exception as error:  # noqa: BLE001 - a poison message must not stop the stream; it is kept and counted
                MESSAGES.labels(consumer.name, "failed").inc()
                _log.exception(
                    "message.failed",
                    consumer=consumer.name,
                    type=envelope.type_,
                    attempt=attempt,
                    error=type(error).__name__,
                )
                await asyncio.sleep(RETRY_PAUSE_S * attempt)
            else:
                MESSAGES.labels(consumer.name, "ok").inc()
                return
        MESSAGES.labels(consumer.name, "dead").inc()
        await self.redis.xadd(f"dead-letter.{consumer.name}", {FIELD: raw}, maxlen=MAX_STREAM_LENGTH, approximate=True)
