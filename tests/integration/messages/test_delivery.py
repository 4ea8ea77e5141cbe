"""Outbox, relay, bus and inbox on real engines (invariants I8, I9), the same on Valkey's streams and on Kafka."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.integration.messages.facts import TOPIC, Fact, Taker, tell, until

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime import outbox
from boxoffice.runtime.bus import Bus, Consumer, taking
from boxoffice.runtime.database import Database, DatabaseUnavailableError
from boxoffice.runtime.relay import Relay
from boxoffice.runtime.telemetry import configure_logging


class TestDelivery:
    async def test_keeps_the_order_of_every_key(self, database: Database, bus: Bus) -> None:
        facts = [(f"k{number % 5}", number) for number in range(300)]
        taker = Taker(database)
        async with Relay(service="sales", database=database, bus=bus).running(), bus.consuming([taker.consumer()]):
            await tell(database, *facts)
            await until(lambda: len(taker.effects) == len(facts))
        assert sorted(taker.effects) == sorted(facts)
        assert taker.inversions() == []

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
        assert sorted((one.message_id, one.key, one.version, bytes(one.body)) for one in copied) == sorted(
            (one.message_id, one.key, one.version, bytes(one.body)) for one in told
        )
        assert {one.topic for one in copied} == {"a-copy"}
        assert await relay.carry_once() == 0

    async def test_is_the_same_for_every_consumer(self, database: Database, bus: Bus) -> None:
        first, second = Taker(database, "first"), Taker(database, "second")
        async with Relay(service="sales", database=database, bus=bus).running():
            await tell(database, ("a", 1))
            async with bus.consuming([first.consumer(), second.consumer()]):
                await until(lambda: first.effects == second.effects == [("a", 1)])

    async def test_comes_again_when_the_consumer_died_before_its_effect(self, database: Database, bus: Bus) -> None:
        given = asyncio.Event()

        async def dies(_envelope: Envelope) -> None:
            given.set()
            await asyncio.sleep(3_600)

        await tell(database, ("a", 1), ("a", 2))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming([Consumer(name="taker", topics=[TOPIC], take=dies)]):
            await asyncio.wait_for(given.wait(), 30)
        taker = Taker(database)
        async with bus.consuming([taker.consumer()]):
            await until(lambda: taker.effects == [("a", 1), ("a", 2)])

    async def test_nothing_is_published_after_another_mark(self, database: Database, bus: Bus) -> None:
        await tell(database, ("a", 1))
        relay = Relay(service="sales", database=database, bus=bus)
        await relay.carry_once()
        told = [envelope async for envelope in bus.retained(TOPIC)]
        assert not await bus.publish(told, mark=("relay:sales", "9:9"), after="somewhere else")
        assert [envelope.version async for envelope in bus.retained(TOPIC)] == [1]

    async def test_tells_how_far_a_consumer_is_behind(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)
        relay = Relay(service="sales", database=database, bus=bus)
        await tell(database, ("a", 1))
        await relay.carry_once()
        assert await bus.behind("taker", TOPIC) is None
        async with bus.consuming([taker.consumer()]):
            await until(lambda: len(taker.effects) == 1)
        await tell(database, ("a", 2), ("a", 3))
        await relay.carry_once()
        behind = await bus.behind("taker", TOPIC)
        assert behind is not None
        assert behind >= 2


@pytest.mark.usefixtures("quick")
class TestPoison:
    @pytest.mark.usefixtures("logging_as_it_was")
    async def test_goes_to_the_dead_letters_and_the_stream_goes_on(
        self, database: Database, bus: Bus, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging(service="sales")
        taker = Taker(database)

        async def picky(envelope: Envelope) -> None:
            if envelope.version == 2:
                raise ValueError("poison")
            await taker.take(envelope)

        await tell(database, ("a", 1), ("a", 2), ("a", 3))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming([Consumer(name="picky", topics=[TOPIC], take=picky)]):
            await until(lambda: taker.effects == [("a", 1), ("a", 3)])
        [dead] = [letter async for letter in bus.dead_letters("picky")]
        assert dead.envelope is not None
        assert (dead.envelope.version, dead.envelope.topic) == (2, TOPIC)
        said = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        failed = [line for line in said if line["event"] == "message.failed"]
        assert [line["attempt"] for line in failed] == list(range(1, taking.TRIES + 1))
        assert all(line["exception"].endswith("ValueError: poison") for line in failed)
        assert [line["consumer"] for line in said if line["event"] == "message.dead"] == ["picky"]

    async def test_a_database_that_is_away_makes_no_poison(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)
        refusals = 0

        async def away_at_first(envelope: Envelope) -> None:
            nonlocal refusals
            if refusals < 3 * taking.TRIES:
                refusals += 1
                raise DatabaseUnavailableError("away")
            await taker.take(envelope)

        await tell(database, ("a", 1))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming([Consumer(name="patient", topics=[TOPIC], take=away_at_first)]):
            await until(lambda: taker.effects == [("a", 1)])
        assert [letter async for letter in bus.dead_letters("patient")] == []

    async def test_together_falls_back_to_one_by_one(self, database: Database, bus: Bus) -> None:
        taker = Taker(database)

        async def all_or_nothing(_envelopes: Any) -> None:
            raise ValueError("one of them is poison")

        await tell(database, *[("a", number) for number in range(10)])
        await Relay(service="sales", database=database, bus=bus).carry_once()
        consumer = Consumer(name="taker", topics=[TOPIC], take=taker.take, take_many=all_or_nothing)
        async with bus.consuming([consumer]):
            await until(lambda: len(taker.effects) == 10)

    async def test_a_dead_letter_that_is_replayed_is_taken_once_by_whoever_could_not(
        self, database: Database, bus: Bus
    ) -> None:
        well, ill, is_repaired = Taker(database, "well"), Taker(database, "ill"), False

        async def take(envelope: Envelope) -> None:
            if envelope.version == 2 and not is_repaired:
                raise ValueError("poison")
            await ill.take(envelope)

        consumers = [well.consumer(), Consumer(name="ill", topics=[TOPIC], take=take)]
        await tell(database, ("a", 1), ("a", 2), ("a", 3))
        await Relay(service="sales", database=database, bus=bus).carry_once()
        async with bus.consuming(consumers):
            await until(lambda: len(well.effects) == 3 and len(ill.effects) == 2)
            is_repaired = True
            assert await bus.stumbled() == ["ill"]
            [letter] = [letter async for letter in bus.dead_letters("ill")]
            await bus.replay("ill", letter)
            await until(lambda: len(ill.effects) == 3 and len(well.deliveries) == 4)
        assert well.effects == [("a", 1), ("a", 2), ("a", 3)]
        assert [letter async for letter in bus.dead_letters("ill")] == []


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


async def _published(bus: Bus, count: int) -> bool:
    return len([envelope async for envelope in bus.retained(TOPIC)]) == count
