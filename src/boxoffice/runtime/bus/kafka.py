"""The message bus on Kafka: keys are aggregates' ids, one consumer group per consumer.

A relay's messages and its mark are one transaction of a producer that carries the mark's name: whoever takes the name
over fences the one before, so that of two relays only the younger can publish. Consumers read what is committed, and
commit their offsets after the effect only.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus import taking
from boxoffice.runtime.bus.consuming import kept_running
from boxoffice.runtime.bus.records import envelope_of, headers_of, plain_of
from boxoffice.runtime.bus.rows import envelope_of_row, row_of
from boxoffice.runtime.bus.seam import DEAD_LETTER, Bus, Consumer, DeadLetter, dead_letter_topic
from boxoffice.runtime.bus.topics import MARKS, topic_of

WAIT_MS = 1_000
"""How long a read waits for something new; leaving takes no longer than the read in hand."""
TRANSACTION_MS = 15_000
"""A relay that died in a transaction holds readers up for no longer."""
REQUEST_MS = 10_000
DEAD_LETTER_OF, REPLAYED = "deadLetterOf", "replayed"
"""Headers of dead letters: the topic that one came from; which one was replayed."""


def servers_of(bus_url: str) -> str:
    """Tell the cluster's addresses of a bus URL."""
    return urlsplit(bus_url).netloc


@dataclass(slots=True)
class Publisher:
    """The producer that carries one mark's name, and the mark as it left it."""

    producer: AIOKafkaProducer
    mark: str | None


class KafkaBus(Bus):
    """Publishes envelopes and runs consumers on one Kafka cluster; use as an asynchronous context manager."""

    def __init__(self, servers: str, *, shop: str = "") -> None:
        self._servers = servers
        self._before = f"{shop}." if shop else ""
        self._publishers: dict[str, Publisher] = {}
        self._claiming = asyncio.Lock()
        self._made: set[str] = set()
        self._plain: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for publisher in self._publishers.values():
            await _stopped(publisher.producer)
        self._publishers.clear()
        if self._plain is not None:
            await _stopped(self._plain)
            self._plain = None

    async def publish(self, envelopes: Sequence[Envelope], *, mark: tuple[str, str], after: str | None) -> bool:
        """Send messages and mark in one transaction; see the seam.

        :raises aiokafka.errors.KafkaError: when the cluster is away, or another process publishes under this mark.
        """
        key, value = mark
        await self.make({envelope.topic for envelope in envelopes})
        publisher = await self._publisher(key)
        if publisher.mark != after:
            return False
        producer = publisher.producer
        try:
            async with producer.transaction():
                answers = [
                    await _sent(producer, self._name(one.topic), one.key, bytes(one.body), headers_of(one))
                    for one in envelopes
                ]
                answers.append(await _sent(producer, self._name(MARKS), key, value.encode(), []))
                await asyncio.gather(*answers)  # the end of a transaction does not ask whether all arrived
        except BaseException:
            # Whether it was committed is not known: the next look at the mark asks the cluster, under a new claim.
            self._publishers.pop(key, None)
            await asyncio.shield(_stopped(producer))
            raise
        publisher.mark = value
        return True

    async def mark(self, key: str) -> str | None:
        """Read how far a relay has published. Whoever asks becomes the one who may publish under this mark."""
        return (await self._publisher(key)).mark

    async def _publisher(self, key: str) -> Publisher:
        async with self._claiming:  # two claims at once would fence each other
            if (known := self._publishers.get(key)) is None:
                known = self._publishers[key] = await self._claimed(key)
            return known

    async def _claimed(self, key: str) -> Publisher:
        await self.make({MARKS})
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers, transactional_id=self._name(key), transaction_timeout_ms=TRANSACTION_MS,
            request_timeout_ms=REQUEST_MS,
        )  # fmt: skip
        try:
            await producer.start()  # ends what a predecessor left open, and fences it
            mark = None
            async for record in self._from_the_start(MARKS):
                if record.key == key.encode():
                    mark = record.value.decode()
        except BaseException:
            await asyncio.shield(_stopped(producer))
            raise
        return Publisher(producer, mark)

    def _name(self, ours: str) -> str:
        return self._before + ours

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self._name(topic), number) for number in range(topic_of(topic).partitions)]

    def _envelope(self, record: Any, topic: str | None = None) -> Envelope:
        """Read a record; ``topic`` where it was set aside from another."""
        name = topic or record.topic.removeprefix(self._before)
        read = envelope_of_row if topic_of(name).rows else envelope_of
        return read(record, topic=name)

    async def retained(self, topic: str) -> AsyncIterator[Envelope]:
        """Read again what a topic keeps, of each key oldest first; what is no message is left out."""
        async for record in self._from_the_start(topic):
            with suppress(ValueError):
                yield self._envelope(record)

    async def _from_the_start(self, topic: str) -> AsyncIterator[Any]:
        """Read a topic up to what is committed now."""
        await self.make({topic})
        async with self._reading() as reader:
            partitions = self._partitions(topic)
            reader.assign(partitions)
            ends = await reader.end_offsets(partitions)
            begins = await reader.beginning_offsets(partitions)
            await reader.seek_to_beginning(*partitions)
            left = {one for one in partitions if begins[one] < ends[one]}
            while left:
                for records in (await reader.getmany(*left, timeout_ms=WAIT_MS)).values():
                    for record in records:
                        yield record
                for one in list(left):
                    if await reader.position(one) >= ends[one]:
                        left.discard(one)

    @asynccontextmanager
    async def _reading(self, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
        """Lend a reader; it is closed also when it could not be started, or nobody waited for that."""
        reader = AIOKafkaConsumer(
            *topics, bootstrap_servers=self._servers, isolation_level="read_committed", auto_offset_reset="earliest",
            enable_auto_commit=False, request_timeout_ms=REQUEST_MS, **options,
        )  # fmt: skip
        try:
            await reader.start()
            yield reader
        finally:
            await asyncio.shield(_stopped(reader))

    async def make(self, topics: set[str]) -> None:
        """Make the topics that are not there, as ``topics.py`` says."""
        if not (missing := topics - self._made):
            return
        wanted = [  # -1: as many copies as the cluster makes by default
            NewTopic(self._name(name), topic.partitions, -1, {}, topic_configs=topic.configuration())
            for name, topic in ((name, topic_of(name)) for name in sorted(missing))
        ]
        async with self._administering() as admin:
            answer = await admin.create_topics(wanted)
        for name, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"{name} could not be made")
        self._made |= missing

    def consuming(self, consumers: Sequence[Consumer]) -> AbstractAsyncContextManager[None]:
        """Run consumers while inside; of several processes each reads some of the keys."""
        return kept_running(self, consumers, self._consume, away=(KafkaError, OSError))

    async def _consume(self, consumer: Consumer) -> None:
        await self.make(set(consumer.topics))
        async with self._reading(
            *map(self._name, consumer.topics), group_id=self._name(consumer.name), max_poll_records=taking.READ_COUNT
        ) as reader:
            await self._read(reader, consumer)

    async def _read(self, reader: AIOKafkaConsumer, consumer: Consumer) -> None:
        take = taking.Taking(consumer, read=self._envelope, set_aside=partial(self._set_aside, consumer.name))
        while True:
            for partition, records in (await reader.getmany(timeout_ms=WAIT_MS)).items():
                if len(records) == 1 or not await take.together(records):
                    for record in records:
                        await take.one(record)
                        await reader.commit({partition: record.offset + 1})
                else:
                    await reader.commit({partition: records[-1].offset + 1})

    async def _set_aside(self, consumer: str, record: Any) -> None:
        """Keep a record as it came, with where it came from; it counts as taken only when that is written."""
        topic = dead_letter_topic(consumer)
        await self.make({topic})
        headers = [*(record.headers or ()), (DEAD_LETTER_OF, record.topic.removeprefix(self._before).encode())]
        await (await self._plain_producer()).send_and_wait(self._name(topic), record.value, record.key, headers=headers)

    async def _plain_producer(self) -> AIOKafkaProducer:
        if self._plain is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._servers, enable_idempotence=True, request_timeout_ms=REQUEST_MS
            )  # fmt: skip
            try:
                await producer.start()
            except BaseException:
                await asyncio.shield(_stopped(producer))
                raise
            self._plain = producer
        return self._plain

    async def behind(self, consumer: str, topic: str) -> int | None:
        """Count what lies behind a group's committed offsets (a transaction's end counts as one)."""
        await self.make({topic})
        async with self._administering() as admin:
            committed = await admin.list_consumer_group_offsets(self._name(consumer))
        mine = {
            one: meta.offset for one, meta in committed.items() if one.topic == self._name(topic) and meta.offset >= 0
        }
        if not mine:
            return None
        async with self._reading() as reader:
            partitions = self._partitions(topic)
            ends = await reader.end_offsets(partitions)
            begins = await reader.beginning_offsets(partitions)
        left: int = sum(ends[one] - max(mine.get(one, 0), begins[one]) for one in partitions)
        return left

    async def stumbled(self) -> list[str]:
        """Name the consumers that have dead letters, or had some."""
        async with self._administering() as admin:
            topics = await admin.list_topics()
        begins = self._name(DEAD_LETTER)
        return sorted(topic.removeprefix(begins) for topic in topics if topic.startswith(begins))

    @asynccontextmanager
    async def _administering(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers, request_timeout_ms=REQUEST_MS)
        try:
            await admin.start()
            yield admin
        finally:
            await asyncio.shield(admin.close())

    async def dead_letters(self, consumer: str) -> AsyncIterator[DeadLetter]:
        """Read a consumer's dead letters, oldest first, but those that a later record says were replayed."""
        replayed: set[str] = set()
        records = [record async for record in self._from_the_start(dead_letter_topic(consumer))]
        for record in records:
            replayed |= {value.decode() for name, value in record.headers if name == REPLAYED}
        for record in records:
            position = f"{record.partition}-{record.offset}"
            if position in replayed or any(name == REPLAYED for name, _ in record.headers):
                continue
            topic = next((value.decode() for name, value in record.headers if name == DEAD_LETTER_OF), record.topic)
            try:
                envelope = self._envelope(record, topic)
            except ValueError:
                envelope = None
            yield DeadLetter(position=position, envelope=envelope, size=len(record.value or b""))

    async def replay(self, consumer: str, letter: DeadLetter) -> None:
        """Send a dead letter to its topic once more, then note that it was: a crash between repeats it, harmlessly."""
        assert letter.envelope is not None
        envelope, producer = letter.envelope, await self._plain_producer()
        rows = topic_of(envelope.topic).rows
        key, value = (row_of if rows else plain_of)(envelope)
        headers = [] if rows else headers_of(envelope)
        await producer.send_and_wait(self._name(envelope.topic), value, key, headers=headers)
        await producer.send_and_wait(
            self._name(dead_letter_topic(consumer)),
            b"null",
            envelope.key.encode(),
            headers=[(REPLAYED, letter.position.encode())],
        )


async def _sent(
    producer: AIOKafkaProducer, topic: str, key: str, value: bytes, headers: list[tuple[str, bytes]]
) -> "asyncio.Future[Any]":
    """Send one record; its outcome is looked at even when the transaction breaks before anybody asks for it."""
    answer: asyncio.Future[Any] = await producer.send(topic, value, key.encode(), headers=headers)
    answer.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return answer


async def _stopped(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    with suppress(KafkaError, OSError, asyncio.TimeoutError):
        await client.stop()
