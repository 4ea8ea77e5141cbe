"""Outbox, relay, bus and inbox on real engines (invariants I8, I9): nothing lost, in order, once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime import bus as bus_module
from boxoffice.runtime import inbox, outbox
from boxoffice.runtime.bus import Bus, BusFullError, Consumer
from boxoffice.runtime.database import Database, DatabaseUnavailableError
from boxoffice.runtime.embedded import valkey
from boxoffice.runtime.relay import Relay

TOPIC = "test.thing.v1"
PATIENCE_S = 20.0


class Fact(msgspec.Struct):
    number: int


async def tell(database: Database, *facts: tuple[str, int]) -> None:
    """One transaction for each fact (key, number); the number is also the version."""
    for key, number in facts:
        async with database.transaction() as tx:
            await outbox.append(tx, topic=TOPIC, key=key, type_="fact", version=number, body=Fact(number))


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def client(url: str, **options: Any) -> AsyncIterator[Redis]:
    redis = Redis.from_url(url, **options)
    try:
        yield redis
    finally:
        await redis.aclose()


class Taker:
    """A consumer's effect: a record in the database beside the inbox's."""

    def __init__(self, database: Database, name: str = "taker") -> None:
        self.database = database
        self.name = name
        self.deliveries: list[tuple[str, int]] = []
        self.effects: list[tuple[str, int]] = []

    async def take(self, envelope: Envelope) -> None:
        fact = (envelope.key, envelope.read(Fact).number)
        self.deliveries.append(fact)
        async with self.database.transaction() as tx:
            if not await inbox.first_time(tx, consumer=self.name, message_id=envelope.message_id):
                return
        self.effects.append(fact)

    def consumer(self) -> Consumer:
        return Consumer(name=self.name, topics=[TOPIC], take=self.take)


@pytest.fixture
async def database(sales_url: str) -> AsyncIterator[Database]:
    async with Database.open(sales_url) as opened:
        yield opened


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
async def bus(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    async with client(redis_url, protocol=request.param) as redis:
        yield Bus(redis)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("RETRY_PAUSE_S", 0.01), ("AWAY_PAUSE_S", 0.05), ("STANDBY_S", 0.05)):
        monkeypatch.setattr(bus_module, name, seconds)


class TestDelivery:
    async def test_keeps_the_order_of_every_key(self, database: Database, bus: Bus) -> None:
        facts = [(f"k{number % 5}", number) for number in range(300)]
        taker = Taker(database)
        async with Relay(service="sales", database=database, bus=bus).running(), bus.consuming([taker.consumer()]):
            await tell(database, *facts)
            await until(lambda: len(taker.effects) == len(facts))
        assert taker.effects == facts

    async def test_keeps_the_order_where_transaction_numbers_grow_a_digit(self, database: Database, bus: Bus) -> None:
        await tell(database, ("a", 1), ("a", 2))
        await database.fetch("UPDATE outbox SET tx = CASE version WHEN 1 THEN '99' ELSE '100' END::xid8")
        await Relay(service="sales", database=database, bus=bus).carry_once()
        assert [envelope.version async for envelope in bus.retained(TOPIC)] == [1, 2]

    async def test_tells_nothing_that_did_not_commit(self, database: Database, bus: Bus) -> None:
        relay = Relay(service="sales", database=database, bus=bus)

        async def roll_back() -> None:
            async with database.transaction() as tx:
                await outbox.append(tx, topic=TOPIC, key="a", type_="fact", version=1, body=Fact(1))
                raise KeyError

        with pytest.raises(KeyError):
            await roll_back()
        assert await relay.carry_once() == 0

    async def test_never_overtakes_a_transaction_that_is_still_open(self, database: Database, bus: Bus) -> None:
        relay = Relay(service="sales", database=database, bus=bus)
        async with database.transaction() as slow:
            await outbox.append(slow, topic=TOPIC, key="a", type_="fact", version=1, body=Fact(1))
            await tell(database, ("a", 2))
            assert await relay.carry_once() == 0
        assert await relay.carry_once() == 2
        assert [envelope.version async for envelope in bus.retained(TOPIC)] == [1, 2]

    async def test_copies_some_types_to_a_second_topic_in_the_same_step(self, database: Database, bus: Bus) -> None:
        relay = Relay(service="sales", database=database, bus=bus, copies={"fact": "a-copy"})
        await tell(database, ("a", 1), ("b", 1), ("a", 2))
        assert await relay.carry_once() == 3
        told = [envelope async for envelope in bus.retained(TOPIC)]
        copied = [envelope async for envelope in bus.retained("a-copy")]
        assert [(one.message_id, one.key, one.version, one.body) for one in copied] == [
            (one.message_id, one.key, one.version, one.body) for one in told
        ]
        assert {one.topic for one in copied} == {"a-copy"}
        assert await relay.carry_once() == 0

    async def test_a_consumer_ends_the_groups_that_it_replaces(self, database: Database, bus: Bus) -> None:
        await bus.redis.xgroup_create(TOPIC, "gone", id="0", mkstream=True)
        taker = Taker(database)
        async with bus.consuming([replace(taker.consumer(), replaces={TOPIC: ["gone", "never there"]})]):
            await tell(database, ("a", 1))
            await Relay(service="sales", database=database, bus=bus).carry_once()
            await until(lambda: len(taker.effects) == 1)
        groups: Any = await bus.redis.xinfo_groups(TOPIC)
        assert [group["name"] for group in groups] == [taker.name.encode()]

    async def test_repeats_are_no_ops(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)
        relay = Relay(service="sales", database=database, bus=bus)
        await tell(database, ("a", 1), ("a", 2))
        assert await relay.carry_once() == 2
        await bus.redis.delete("relay:sales")  # as a crash between publishing and remembering
        assert await relay.carry_once() == 2
        async with bus.consuming([taker.consumer()]):
            await until(lambda: len(taker.deliveries) == 4)
        assert taker.effects == [("a", 1), ("a", 2)]

    async def test_takes_again_what_was_given_before_a_crash(self, database: Database, bus: Bus) -> None:
        relay = Relay(service="sales", database=database, bus=bus)
        await tell(database, ("a", 1), ("a", 2))
        await relay.carry_once()
        await bus.redis.xgroup_create(TOPIC, "taker", id="0", mkstream=True)
        await bus.redis.xreadgroup("taker", "taker", {TOPIC: ">"}, count=10)  # given, never acknowledged
        taker = Taker(database)
        async with bus.consuming([taker.consumer()]):
            await until(lambda: taker.effects == [("a", 1), ("a", 2)])
        assert (await bus.redis.xpending(TOPIC, "taker"))["pending"] == 0

    async def test_survives_messages_that_were_trimmed_after_they_were_given(
        self, database: Database, bus: Bus
    ) -> None:
        relay = Relay(service="sales", database=database, bus=bus)
        await tell(database, ("a", 1))
        await relay.carry_once()
        await bus.redis.xgroup_create(TOPIC, "taker", id="0", mkstream=True)
        await bus.redis.xreadgroup("taker", "taker", {TOPIC: ">"}, count=10)
        await bus.redis.xtrim(TOPIC, maxlen=0, approximate=False)
        taker = Taker(database)
        async with bus.consuming([taker.consumer()]):
            await tell(database, ("a", 2))
            await relay.carry_once()
            await until(lambda: taker.effects == [("a", 2)])


class TestLostServer:
    async def test_flushing_it_loses_no_message(self, database: Database, bus: Bus) -> None:
        facts = [("a", number) for number in range(200)]
        taker = Taker(database)
        async with Relay(service="sales", database=database, bus=bus).running(), bus.consuming([taker.consumer()]):
            for fact in facts:
                await tell(database, fact)
                if fact[1] % 40 == 20:
                    await bus.redis.flushall()
            await until(lambda: set(taker.effects) == set(facts))
        assert len(taker.effects) == len(facts)

    async def test_emptying_it_between_reading_and_publishing_loses_nothing(self, database: Database, bus: Bus) -> None:
        relay = Relay(service="sales", database=database, bus=bus)
        await tell(database, ("a", 1))
        await relay.carry_once()
        await tell(database, ("a", 2))
        publish = bus.publish

        async def emptied_just_before(*arguments: Any, **named: Any) -> bool:
            await bus.redis.flushall()
            bus.publish = publish  # type: ignore[method-assign]
            return await publish(*arguments, **named)

        bus.publish = emptied_just_before  # type: ignore[method-assign]
        while await relay.carry_once():
            pass
        assert [envelope.version async for envelope in bus.retained(TOPIC)] == [1, 2]

    async def test_killing_it_loses_no_message(self, database: Database, tmp_path: Path) -> None:
        folder, log = tmp_path / "valkey", tmp_path / "valkey.log"
        server = valkey.start_ready(folder, password="p", log=log)
        facts = [("a", number) for number in range(150)]
        taker = Taker(database)
        try:
            async with client(server.url) as redis:
                bus = Bus(redis)
                async with (
                    Relay(service="sales", database=database, bus=bus).running(),
                    bus.consuming([taker.consumer()]),
                ):
                    await tell(database, *facts[:100])
                    server.process.kill()
                    await tell(database, *facts[100:])
                    server = valkey.start_ready(folder, password="p", log=log, port=server.port)
                    await until(lambda: set(taker.effects) == set(facts))
        finally:
            server.process.kill()
        assert len(taker.effects) == len(facts)

    async def test_a_database_with_another_past_begins_again(self, database: Database, bus: Bus) -> None:
        await bus.redis.set("relay:sales", "999999999999:5")
        await tell(database, ("a", 1))
        relay = Relay(service="sales", database=database, bus=bus)
        assert await relay.carry_once() == 1
        assert await relay.carry_once() == 0


@pytest.mark.usefixtures("quick")
class TestPoison:
    async def test_goes_to_the_dead_letters_and_the_stream_goes_on(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)

        async def picky(envelope: Envelope) -> None:
            if envelope.version == 2:
                raise ValueError("poison")
            await taker.take(envelope)

        await tell(database, ("a", 1), ("a", 2), ("a", 3))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming([Consumer(name="picky", topics=[TOPIC], take=picky)]):
            await until(lambda: taker.effects == [("a", 1), ("a", 3)])
        [dead] = [entry async for entry in bus.retained("dead-letter.picky")]
        assert dead.version == 2

    async def test_bytes_that_are_no_message_are_set_aside_too(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)
        await bus.redis.xadd(TOPIC, {bus_module.FIELD: b"{not json"})
        await tell(database, ("a", 1))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming([taker.consumer()]):
            await until(lambda: taker.effects == [("a", 1)])
        assert await bus.redis.xlen("dead-letter.taker") == 1

    async def test_a_database_that_is_away_makes_no_poison(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)
        refusals = 0

        async def away_at_first(envelope: Envelope) -> None:
            nonlocal refusals
            if refusals < 3 * bus_module.TRIES:
                refusals += 1
                raise DatabaseUnavailableError("away")
            await taker.take(envelope)

        await tell(database, ("a", 1))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming([Consumer(name="patient", topics=[TOPIC], take=away_at_first)]):
            await until(lambda: taker.effects == [("a", 1)])
        assert not await bus.redis.exists("dead-letter.patient")

    async def test_together_falls_back_to_one_by_one(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)

        async def all_or_nothing(_envelopes: Any) -> None:
            raise ValueError("one of them is poison")

        await tell(database, *[("a", number) for number in range(10)])
        await Relay(service="sales", database=database, bus=bus).carry_once()
        consumer = Consumer(name="taker", topics=[TOPIC], take=taker.take, take_many=all_or_nothing)
        async with bus.consuming([consumer]):
            await until(lambda: len(taker.effects) == 10)


@pytest.mark.usefixtures("quick")
class TestSingletons:
    async def test_of_two_relays_one_works(self, database: Database, bus: Bus) -> None:
        relays = [Relay(service="sales", database=database, bus=bus) for _ in range(2)]
        carried = [0, 0]

        def counting(position: int, carry: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
            async def counted() -> int:
                number = await carry()
                carried[position] += number
                return number

            return counted

        for position, relay in enumerate(relays):
            relay.carry_once = counting(position, relay.carry_once)  # type: ignore[method-assign]
        async with relays[0].running(), relays[1].running():
            await tell(database, *[("a", number) for number in range(50)])
            await until(lambda: sum(carried) >= 50)
        assert sorted(carried) == [0, 50]

    async def test_the_other_relay_takes_over(self, database: Database, bus: Bus) -> None:
        first = Relay(service="sales", database=database, bus=bus)
        second = Relay(service="sales", database=database, bus=bus)
        async with second.running():
            async with first.running():
                await tell(database, ("a", 1))
                await until(lambda: _published(bus, 1))
            await tell(database, ("a", 2))
            await until(lambda: _published(bus, 2))

    async def test_of_two_consumers_one_reads_and_the_other_takes_over(self, database: Database, bus: Bus) -> None:
        relay = Relay(service="sales", database=database, bus=bus)
        takers = [Taker(database), Taker(database)]
        async with relay.running(), bus.consuming([takers[0].consumer()]):
            await tell(database, ("a", 1))
            await until(lambda: takers[0].effects == [("a", 1)])
            async with bus.consuming([takers[1].consumer()]):
                await tell(database, *[("a", number) for number in range(2, 40)])
                await until(lambda: len(takers[0].effects) == 39)
                assert takers[1].deliveries == []
        async with relay.running(), bus.consuming([takers[1].consumer()]):
            await tell(database, ("a", 99))
            await until(lambda: takers[1].effects == [("a", 99)])


class TestRetention:
    async def test_trims_what_everybody_took(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        _small(monkeypatch)
        await _publish(bus, 250)
        await _publish(bus, 10)
        assert await bus.redis.xlen(TOPIC) <= 10 + 100 + 10  # trimmed to 10, in whole nodes of 100

    async def test_never_trims_what_a_consumer_has_yet_to_take(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        _small(monkeypatch)
        await bus.redis.xgroup_create(TOPIC, "slow", id="0", mkstream=True)
        await _publish(bus, 250)
        await _publish(bus, 10)
        assert await bus.redis.xlen(TOPIC) == 260

    async def test_stops_when_a_consumer_is_far_behind(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        _small(monkeypatch)
        await bus.redis.xgroup_create(TOPIC, "slow", id="0", mkstream=True)
        await _publish(bus, 600)
        with pytest.raises(BusFullError):
            await _publish(bus, 10)

    async def test_forgets_what_is_old_and_on_the_bus(self, database: Database, bus: Bus) -> None:
        relay = Relay(service="sales", database=database, bus=bus)
        await tell(database, ("a", 1), ("a", 2))
        await relay.carry_once()
        await tell(database, ("a", 3))
        async with database.transaction() as tx:
            await tx.execute("UPDATE outbox SET created_at = created_at - interval '8 days' WHERE version <> 2")
            await inbox.first_time(tx, consumer="taker", message_id=uuid4())
            await tx.execute("UPDATE inbox SET taken_at = taken_at - interval '15 days'")
        assert await relay.forget_old() == 2
        left = [record["version"] for record in await database.fetch("SELECT version FROM outbox ORDER BY version")]
        assert left == [2, 3]


def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, length in (("MAX_STREAM_LENGTH", 10), ("FULL_STREAM_LENGTH", 500), ("TRIM_EVERY", 1)):
        monkeypatch.setattr(bus_module, name, length)


async def _publish(bus: Bus, count: int) -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    await bus.publish(
        [
            Envelope(message_id=uuid4(), topic=TOPIC, key="a", type_="fact", version=number, occurred_at=now)
            for number in range(count)
        ],
        mark=("relay:test", "1:1"),
        after=await bus.mark("relay:test"),
    )


async def _published(bus: Bus, count: int) -> bool:
    return bool(await bus.redis.xlen(TOPIC) == count)
