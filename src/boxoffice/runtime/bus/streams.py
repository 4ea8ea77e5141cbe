"""The message bus on Valkey (or Redis) streams, one stream per topic, one consumer group per consumer.

Delivery is at least once and in the order of the stream; consumers note what they took in their inbox (I8). Messages of
one key stay in order: one relay writes, and of the processes that run a consumer one reads (a lease). A stream is never
trimmed past what a consumer has yet to take; when one is too far behind, publishing stops and the outbox waits.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus import taking
from boxoffice.runtime.bus.consuming import kept_running
from boxoffice.runtime.bus.seam import (
    DEAD_LETTER,
    BusFullError,
    Consumer,
    DeadLetter,
    LineBus,
    Lines,
    dead_letter_topic,
)
from boxoffice.runtime.lease import Lease

MAX_STREAM_LENGTH = 100_000
"""What a stream keeps when everybody took it: about 100 MB a topic at 1 kB."""
FULL_STREAM_LENGTH = 500_000
"""What a stream holds while a consumer is behind; beyond that the outbox waits."""
TRIM_EVERY = 1_000
"""Messages of a topic between two looks at its length."""
BLOCK_MS = 2_000
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

APPEND_LINES = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local copies = {}
for i = 4, #ARGV, 2 do copies[ARGV[i]] = ARGV[i + 1] end
local text, at, find, sub, call = ARGV[3], 1, string.find, string.sub, redis.call
while at <= #text do
  local topic_ends = find(text, '\\t', at, true)
  local type_ends = find(text, '\\t', topic_ends + 1, true)
  local line_ends = find(text, '\\n', type_ends + 1, true)
  local rest = sub(text, type_ends + 1, line_ends - 1)
  local topic, copy = sub(text, at, topic_ends - 1), copies[sub(text, topic_ends + 1, type_ends - 1)]
  call('XADD', topic, '*', 'm', '{"topic":"' .. topic .. '",' .. rest)
  if copy then call('XADD', copy, '*', 'm', '{"topic":"' .. copy .. '",' .. rest) end
  at = line_ends + 1
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
"""The same for :class:`Lines`; behind them come the copies, type and topic in turn."""


class StreamBus(LineBus):
    """Publishes envelopes and runs consumers on one Valkey server."""

    def __init__(self, redis: "Redis") -> None:
        self.redis = redis
        self._until_trim: dict[str, int] = {}
        self._append = redis.register_script(APPEND)
        self._append_lines = redis.register_script(APPEND_LINES)

    async def publish(self, envelopes: Sequence[Envelope], *, mark: tuple[str, str], after: str | None) -> bool:
        """Append messages to their streams and set the mark in one atomic step; see the seam."""
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

    async def publish_lines(self, lines: Lines, *, mark: tuple[str, str], after: str | None) -> bool:
        """Append the messages of a text to their streams and set the mark in one atomic step; see the seam."""
        for topic, count in lines.topics.items():
            await self._make_room(topic)
            self._until_trim[topic] = self._until_trim.get(topic, 0) - count
        key, value = mark
        copies = [name for copy in lines.copies.items() for name in copy]
        return bool(await self._append_lines(keys=[key, *lines.topics], args=[after or "", value, lines.text, *copies]))

    async def _make_room(self, topic: str) -> None:
        """Trim a stream now and then, as long as every consumer has taken what goes."""
        if self._until_trim.get(topic, 0) > 0:
            return
        length = await self.redis.xlen(topic)
        if length > MAX_STREAM_LENGTH:
            groups: Any = await self.redis.xinfo_groups(topic)
            behind = max((_behind(group, length) for group in groups), default=0)
            if behind < MAX_STREAM_LENGTH:
                await self.redis.xtrim(topic, maxlen=MAX_STREAM_LENGTH, approximate=True)
            elif length > FULL_STREAM_LENGTH:
                raise BusFullError(f"{topic} holds {length} messages and a consumer has yet to take {behind} of them.")
        self._until_trim[topic] = TRIM_EVERY

    async def retained(self, topic: str) -> AsyncIterator[Envelope]:
        """Read again what a topic's stream still keeps, oldest first, without acknowledging anything."""
        async for _, raw in self._entries(topic):
            yield _read(raw)

    async def _entries(self, topic: str) -> AsyncIterator[tuple[bytes, bytes]]:
        after = b"-"
        while True:
            entries: Any = await self.redis.xrange(topic, min=after, count=taking.READ_COUNT)
            if not entries:
                return
            for entry_id, fields in entries:
                yield entry_id, fields[FIELD]
                after = b"(" + entry_id

    async def behind(self, consumer: str, topic: str) -> int | None:
        """Count what a consumer has yet to take, what it was given and did not acknowledge included."""
        if not await self.redis.exists(topic):
            return None
        groups: Any = await self.redis.xinfo_groups(topic)
        mine = next((group for group in groups if _text(group["name"]) == consumer), None)
        return None if mine is None else _behind(mine, await self.redis.xlen(topic))

    async def stumbled(self) -> list[str]:
        """Name the consumers that have dead letters."""
        found = [key async for key in self.redis.scan_iter(match=f"{DEAD_LETTER}*")]
        return sorted(str(_text(key)).removeprefix(DEAD_LETTER) for key in found)

    async def dead_letters(self, consumer: str) -> AsyncIterator[DeadLetter]:
        """Read a consumer's dead letters, oldest first."""
        async for entry_id, raw in self._entries(dead_letter_topic(consumer)):
            try:
                envelope = _read(raw)
            except msgspec.DecodeError:
                envelope = None
            yield DeadLetter(position=entry_id.decode(), envelope=envelope, size=len(raw))

    async def replay(self, consumer: str, letter: DeadLetter) -> None:
        """Append a dead letter to its stream once more and drop it, in one atomic step."""
        assert letter.envelope is not None
        async with self.redis.pipeline(transaction=True) as both:
            both.xadd(letter.envelope.topic, {FIELD: msgspec.json.encode(letter.envelope)})
            both.xdel(dead_letter_topic(consumer), letter.position)
            await both.execute()

    async def mark(self, key: str) -> str | None:
        """Read how far a relay has published; none on an empty server."""
        return _text(await self.redis.get(key))

    def consuming(self, consumers: Sequence[Consumer]) -> AbstractAsyncContextManager[None]:
        """Run consumers while inside; a message is acknowledged after its effect only."""
        leases = {consumer.name: Lease(self.redis, f"consumer.{consumer.name}") for consumer in consumers}

        async def consume(consumer: Consumer) -> None:
            lease = leases[consumer.name]
            if await lease.keep():
                async with lease.kept():
                    await self._read(consumer, lease)
            await asyncio.sleep(STANDBY_S)

        return kept_running(self, consumers, consume, away=(RedisError, OSError))

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
            count=taking.READ_COUNT,
            block=BLOCK_MS,
        )
        taken, take = 0, taking.Taking(consumer, read=_read, set_aside=partial(self._set_aside, consumer.name))
        for topic, entries in _streams(answer):
            taken += len(entries)
            # An entry without fields was trimmed after it was given to this group; its outbox record was carried again.
            raws = [fields[FIELD] for _, fields in entries if fields]
            if len(raws) > 1 and await take.together(raws):
                await self.redis.xack(topic, consumer.name, *[entry_id for entry_id, _ in entries])
                continue
            for entry_id, fields in entries:
                if fields:
                    await take.one(fields[FIELD])
                await self.redis.xack(topic, consumer.name, entry_id)
        return from_pending and taken > 0

    async def _set_aside(self, consumer: str, raw: bytes) -> None:
        await self.redis.xadd(dead_letter_topic(consumer), {FIELD: raw}, maxlen=MAX_STREAM_LENGTH, approximate=True)


def _read(raw: bytes) -> Envelope:
    return msgspec.json.decode(raw, type=Envelope)


def _behind(group: Any, length: int) -> int:
    """Count by a group's own figures; the server does not know the lag after some deletions: then all of it."""
    waiting: int = group["pending"] + (length if group["lag"] is None else group["lag"])
    return waiting


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _streams(answer: Any) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """Read what redis-py makes of XREADGROUP: pairs over RESP2, a dictionary with one more list over RESP3."""
    if isinstance(answer, dict):
        return [(topic, [entry for part in parts for entry in part]) for topic, parts in answer.items()]
    return [(topic, list(entries)) for topic, entries in answer or []]
