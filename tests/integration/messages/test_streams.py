"""What only Valkey's streams need: lost servers, groups, pending entries, trimming, one reader of several processes."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.integration.messages.conftest import client
from tests.integration.messages.facts import TOPIC, Fact, Taker, tell, until

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime import inbox, outbox
from boxoffice.runtime.bus import BusFullError, StreamBus, streams
from boxoffice.runtime.database import Database
from boxoffice.runtime.embedded import valkey
from boxoffice.runtime.relay import Notice, Relay
from boxoffice.runtime.telemetry import begin_trace


class TestLines:
    """The database writes a message down as the relay would."""

    @pytest.mark.parametrize(
        ("key", "body"),
        [
            ("plain", {"number": 1}),
            ('quo"te\\ and\ttab\nline', {"number": 1, "text": 'quo"te\\ and\ttab\nline \u2028 é 漢 \U0001f39f'}),
            ("", {"number": 12345678901234567890, "price": 0.1, "none": None, "list": [1, [], {}], "empty": ""}),
            ("long", {"number": 1, "text": "x" * 300_000}),
        ],
    )
    async def test_say_what_the_record_says(
        self, database: Database, stream_bus: StreamBus, key: str, body: dict[str, Any]
    ) -> None:
        async with database.transaction() as tx:
            await outbox.append(tx, topic=TOPIC, key=key, type_="fact", version=7, body=body)
        [record] = await database.fetch("SELECT *, body::text AS written FROM outbox")
        assert await Relay(service="sales", database=database, bus=stream_bus).carry_once() == 1
        [told] = [envelope async for envelope in stream_bus.retained(TOPIC)]
        assert told == Envelope(
            message_id=record["message_id"], topic=TOPIC, key=key, type_="fact", version=7,
            occurred_at=record["created_at"], trace=record["trace"], body=told.body,
        )  # fmt: skip
        assert bytes(told.body).decode() == record["written"]

    async def test_keep_the_trace(self, database: Database, stream_bus: StreamBus) -> None:
        trace = begin_trace(None)
        await tell(database, ("a", 1))
        await Relay(service="sales", database=database, bus=stream_bus).carry_once()
        assert [envelope.trace async for envelope in stream_bus.retained(TOPIC)] == [trace]

    async def test_go_on_from_a_mark_that_was_lost_while_there_was_more(
        self, database: Database, stream_bus: StreamBus
    ) -> None:
        relay = Relay(service="sales", database=database, bus=stream_bus)
        await tell(database, ("a", 1))
        assert await relay.carry_once() == 1
        await stream_bus.redis.flushall()
        await tell(database, ("a", 2))
        assert await relay.carry_once() == 1  # refused by the bus, whose mark is gone
        assert [envelope.version async for envelope in stream_bus.retained(TOPIC)] == []
        assert await relay.carry_once() == 2
        assert [envelope.version async for envelope in stream_bus.retained(TOPIC)] == [1, 2]


class TestNotice:
    async def test_tells_each_value_once_and_only_of_its_topic(self, database: Database, stream_bus: StreamBus) -> None:
        told: list[set[str]] = []

        async def take(about: Collection[str]) -> None:
            told.append(set(about))

        notice = Notice(topic=TOPIC, path=("number",), take=take)
        await tell(database, ("a", 1), ("a", 2), ("b", 1))
        async with database.transaction() as tx:
            await outbox.append(tx, topic="test.other.v1", key="a", type_="fact", version=9, body=Fact(9))
        assert await Relay(service="sales", database=database, bus=stream_bus, notice=notice).carry_once() == 4
        assert told == [{"1", "2"}]


class TestGroups:
    async def test_a_consumer_ends_the_groups_that_it_replaces(self, database: Database, stream_bus: StreamBus) -> None:
        await stream_bus.redis.xgroup_create(TOPIC, "gone", id="0", mkstream=True)
        taker = Taker(database)
        async with stream_bus.consuming([replace(taker.consumer(), replaces={TOPIC: ["gone", "never there"]})]):
            await tell(database, ("a", 1))
            await Relay(service="sales", database=database, bus=stream_bus).carry_once()
            await until(lambda: len(taker.effects) == 1)
        groups: Any = await stream_bus.redis.xinfo_groups(TOPIC)
        assert [group["name"] for group in groups] == [taker.name.encode()]

    async def test_repeats_are_no_ops(self, database: Database, stream_bus: StreamBus) -> None:
        taker = Taker(database)
        relay = Relay(service="sales", database=database, bus=stream_bus)
        await tell(database, ("a", 1), ("a", 2))
        assert await relay.carry_once() == 2
        await stream_bus.redis.delete("relay:sales")  # as a crash between publishing and remembering
        assert await relay.carry_once() == 2
        async with stream_bus.consuming([taker.consumer()]):
            await until(lambda: len(taker.deliveries) == 4)
        assert taker.effects == [("a", 1), ("a", 2)]

    async def test_takes_again_what_was_given_before_a_crash(self, database: Database, stream_bus: StreamBus) -> None:
        relay = Relay(service="sales", database=database, bus=stream_bus)
        await tell(database, ("a", 1), ("a", 2))
        await relay.carry_once()
        await stream_bus.redis.xgroup_create(TOPIC, "taker", id="0", mkstream=True)
        await stream_bus.redis.xreadgroup("taker", "taker", {TOPIC: ">"}, count=10)  # given, never acknowledged
        taker = Taker(database)
        async with stream_bus.consuming([taker.consumer()]):
            await until(lambda: taker.effects == [("a", 1), ("a", 2)])
        assert (await stream_bus.redis.xpending(TOPIC, "taker"))["pending"] == 0

    async def test_survives_messages_that_were_trimmed_after_they_were_given(
        self, database: Database, stream_bus: StreamBus
    ) -> None:
        relay = Relay(service="sales", database=database, bus=stream_bus)
        await tell(database, ("a", 1))
        await relay.carry_once()
        await stream_bus.redis.xgroup_create(TOPIC, "taker", id="0", mkstream=True)
        await stream_bus.redis.xreadgroup("taker", "taker", {TOPIC: ">"}, count=10)
        await stream_bus.redis.xtrim(TOPIC, maxlen=0, approximate=False)
        taker = Taker(database)
        async with stream_bus.consuming([taker.consumer()]):
            await tell(database, ("a", 2))
            await relay.carry_once()
            await until(lambda: taker.effects == [("a", 2)])


class TestLostServer:
    async def test_flushing_it_loses_no_message(self, database: Database, stream_bus: StreamBus) -> None:
        facts = [("a", number) for number in range(200)]
        taker = Taker(database)
        async with (
            Relay(service="sales", database=database, bus=stream_bus).running(),
            stream_bus.consuming([taker.consumer()]),
        ):
            for fact in facts:
                await tell(database, fact)
                if fact[1] % 40 == 20:
                    await stream_bus.redis.flushall()
            await until(lambda: set(taker.effects) == set(facts))
        assert len(taker.effects) == len(facts)

    async def test_emptying_it_between_reading_and_publishing_loses_nothing(
        self, database: Database, stream_bus: StreamBus
    ) -> None:
        relay = Relay(service="sales", database=database, bus=stream_bus)
        await tell(database, ("a", 1))
        await relay.carry_once()
        await tell(database, ("a", 2))
        publish = stream_bus.publish

        async def emptied_just_before(*arguments: Any, **named: Any) -> bool:
            await stream_bus.redis.flushall()
            stream_bus.publish = publish  # type: ignore[method-assign]
            return await publish(*arguments, **named)

        stream_bus.publish = emptied_just_before  # type: ignore[method-assign]
        while await relay.carry_once():
            pass
        assert [envelope.version async for envelope in stream_bus.retained(TOPIC)] == [1, 2]

    async def test_killing_it_loses_no_message(self, database: Database, tmp_path: Path) -> None:
        folder, log = tmp_path / "valkey", tmp_path / "valkey.log"
        server = valkey.start_ready(folder, password="p", log=log)
        facts = [("a", number) for number in range(150)]
        taker = Taker(database)
        try:
            async with client(server.url) as redis:
                bus = StreamBus(redis)
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

    async def test_a_database_with_another_past_begins_again(self, database: Database, stream_bus: StreamBus) -> None:
        await stream_bus.redis.set("relay:sales", "999999999999:5")
        await tell(database, ("a", 1))
        relay = Relay(service="sales", database=database, bus=stream_bus)
        assert await relay.carry_once() == 1
        assert await relay.carry_once() == 0


@pytest.mark.usefixtures("quick")
class TestPoison:
    async def test_bytes_that_are_no_message_are_set_aside_too(self, database: Database, stream_bus: StreamBus) -> None:
        taker = Taker(database)
        await stream_bus.redis.xadd(TOPIC, {streams.FIELD: b"{not json"})
        await tell(database, ("a", 1))
        await Relay(service="sales", database=database, bus=stream_bus).carry_once()
        async with stream_bus.consuming([taker.consumer()]):
            await until(lambda: taker.effects == [("a", 1)])
        assert await stream_bus.redis.xlen("dead-letter.taker") == 1


@pytest.mark.usefixtures("quick")
class TestSingletons:
    async def test_of_two_consumers_one_reads_and_the_other_takes_over(
        self, database: Database, stream_bus: StreamBus
    ) -> None:
        relay = Relay(service="sales", database=database, bus=stream_bus)
        takers = [Taker(database), Taker(database)]
        async with relay.running(), stream_bus.consuming([takers[0].consumer()]):
            await tell(database, ("a", 1))
            await until(lambda: takers[0].effects == [("a", 1)])
            async with stream_bus.consuming([takers[1].consumer()]):
                await tell(database, *[("a", number) for number in range(2, 40)])
                await until(lambda: len(takers[0].effects) == 39)
                assert takers[1].deliveries == []
        async with relay.running(), stream_bus.consuming([takers[1].consumer()]):
            await tell(database, ("a", 99))
            await until(lambda: takers[1].effects == [("a", 99)])


class TestRetention:
    async def test_trims_what_everybody_took(self, stream_bus: StreamBus, monkeypatch: pytest.MonkeyPatch) -> None:
        _small(monkeypatch)
        await _publish(stream_bus, 250)
        await _publish(stream_bus, 10)
        assert await stream_bus.redis.xlen(TOPIC) <= 10 + 100 + 10  # trimmed to 10, in whole nodes of 100

    async def test_never_trims_what_a_consumer_has_yet_to_take(
        self, stream_bus: StreamBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _small(monkeypatch)
        await stream_bus.redis.xgroup_create(TOPIC, "slow", id="0", mkstream=True)
        await _publish(stream_bus, 250)
        await _publish(stream_bus, 10)
        assert await stream_bus.redis.xlen(TOPIC) == 260

    async def test_stops_when_a_consumer_is_far_behind(
        self, stream_bus: StreamBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _small(monkeypatch)
        await stream_bus.redis.xgroup_create(TOPIC, "slow", id="0", mkstream=True)
        await _publish(stream_bus, 600)
        with pytest.raises(BusFullError):
            await _publish(stream_bus, 10)

    async def test_forgets_what_is_old_and_on_the_bus(self, database: Database, stream_bus: StreamBus) -> None:
        relay = Relay(service="sales", database=database, bus=stream_bus)
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
        monkeypatch.setattr(streams, name, length)


async def _publish(stream_bus: StreamBus, count: int) -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    await stream_bus.publish(
        [
            Envelope(message_id=uuid4(), topic=TOPIC, key="a", type_="fact", version=number, occurred_at=now)
            for number in range(count)
        ],
        mark=("relay:test", "1:1"),
        after=await stream_bus.mark("relay:test"),
    )


async def _published(stream_bus: StreamBus, count: int) -> bool:
    return bool(await stream_bus.redis.xlen(TOPIC) == count)
