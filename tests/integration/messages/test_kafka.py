"""What only Kafka needs: fenced relays, broken transactions, topics as they are stated, a node that dies."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from tests.integration.messages.facts import TOPIC, Taker, tell, until

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus.kafka import KafkaBus
from boxoffice.runtime.bus.topics import MARKS, TOPICS
from boxoffice.runtime.database import Database
from boxoffice.runtime.engines import kafka as engine
from boxoffice.runtime.engines.kafka import Kafka
from boxoffice.runtime.relay import Relay

pytestmark = pytest.mark.xdist_group("kafka")

STATED: dict[str, tuple[int, float | str]] = {
    "boxoffice.relay-marks": (1, "compact"),
    "catalog.event.v1": (6, 7),
    "catalog.events.rows": (6, "compact"),
    "identity.user.v1": (6, 7),
    "identity.mail.v1": (6, 7),
    "sales.order.v1": (6, 7),
    "sales.event.v1": (6, "compact"),
    "reservation-notification-topic": (6, 7),
    "tickets-notification-topic": (6, 7),
    "dead-letter.search": (1, 90),
}
"""Partitions, and days or "compact" (the newest of every key, for ever)."""


def message(number: int, key: str = "a") -> Envelope:
    return Envelope(
        message_id=uuid4(), topic=TOPIC, key=key, type_="fact", version=number, occurred_at=datetime.now(UTC)
    )


class TestRelays:
    async def test_of_two_that_believe_in_themselves_only_the_younger_publishes(
        self, kafka: KafkaBus, kafka_server: Kafka, shop: str
    ) -> None:
        assert await kafka.mark("relay:sales") is None
        assert await kafka.publish([message(1)], mark=("relay:sales", "1:1"), after=None)
        async with KafkaBus(kafka_server.servers, shop=shop) as younger:
            assert await younger.mark("relay:sales") == "1:1"
            with pytest.raises(KafkaError):
                await kafka.publish([message(2)], mark=("relay:sales", "2:2"), after="1:1")
            assert await younger.publish([message(3)], mark=("relay:sales", "3:3"), after="1:1")
            assert [envelope.version async for envelope in younger.retained(TOPIC)] == [1, 3]

    async def test_messages_of_a_transaction_that_broke_are_not_there(
        self, kafka: KafkaBus, kafka_server: Kafka, shop: str
    ) -> None:
        await kafka.publish([message(1)], mark=("relay:sales", "1:1"), after=await kafka.mark("relay:sales"))
        broken = AIOKafkaProducer(bootstrap_servers=kafka_server.servers, transactional_id=f"{shop}.relay:sales")
        await broken.start()
        await broken.begin_transaction()
        await broken.send_and_wait(f"{shop}.{TOPIC}", b"{}", b"a")
        await broken.stop()
        async with KafkaBus(kafka_server.servers, shop=shop) as after:
            assert await after.mark("relay:sales") == "1:1"
            assert await after.publish([message(2)], mark=("relay:sales", "2:2"), after="1:1")
            assert [envelope.version async for envelope in after.retained(TOPIC)] == [1, 2]

    async def test_a_mark_outlives_the_process(self, kafka: KafkaBus, kafka_server: Kafka, shop: str) -> None:
        mark = None
        for number in range(1, 6):
            assert await kafka.publish([message(number)], mark=("relay:sales", f"1:{number}"), after=mark)
            mark = f"1:{number}"
        async with KafkaBus(kafka_server.servers, shop=shop) as next_process:
            assert await next_process.mark("relay:sales") == "1:5"
            assert await next_process.mark("relay:catalog") is None


@pytest.mark.usefixtures("quick")
class TestConsumers:
    async def test_bytes_that_are_no_message_are_set_aside(
        self, database: Database, kafka: KafkaBus, kafka_server: Kafka, shop: str
    ) -> None:
        taker = Taker(database)
        await tell(database, ("a", 1))
        await Relay(service="sales", database=database, bus=kafka).carry_once()
        async with AIOKafkaProducer(bootstrap_servers=kafka_server.servers) as stranger:
            await stranger.send_and_wait(f"{shop}.{TOPIC}", b"{not json", b"a")
        await tell(database, ("a", 2))
        await Relay(service="sales", database=database, bus=kafka).carry_once()
        async with kafka.consuming([taker.consumer()]):
            await until(lambda: taker.effects == [("a", 1), ("a", 2)])
        [letter] = [letter async for letter in kafka.dead_letters("taker")]
        assert letter.envelope is None
        assert letter.size == len(b"{not json")

    async def test_two_processes_share_the_keys_and_one_takes_over(
        self, database: Database, kafka: KafkaBus, kafka_server: Kafka, shop: str
    ) -> None:
        takers = [Taker(database), Taker(database)]
        facts = [(f"k{number % 20}", number) for number in range(200)]
        relay = Relay(service="sales", database=database, bus=kafka)
        async with (
            KafkaBus(kafka_server.servers, shop=shop) as other,
            relay.running(),
            kafka.consuming([takers[0].consumer()]),
            AsyncExitStack() as leaves_early,
        ):
            await leaves_early.enter_async_context(other.consuming([takers[1].consumer()]))
            await tell(database, *facts[:100])
            await until(lambda: len(takers[0].effects) + len(takers[1].effects) == 100)
            await leaves_early.aclose()
            await tell(database, *facts[100:])
            await until(lambda: len(takers[0].effects) + len(takers[1].effects) == 200)
        assert sorted(takers[0].effects + takers[1].effects) == sorted(facts)
        assert takers[0].inversions() == takers[1].inversions() == []


class TestTopics:
    async def test_are_made_as_they_are_stated(self, kafka: KafkaBus, kafka_server: Kafka, shop: str) -> None:
        await kafka.publish([message(1)], mark=("relay:sales", "1:1"), after=None)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.servers)
        await admin.start()
        try:
            made = {one["topic"]: one for one in await admin.describe_topics([f"{shop}.{TOPIC}", f"{shop}.{MARKS}"])}
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, f"{shop}.{MARKS}")])
        finally:
            await admin.close()
        assert len(made[f"{shop}.{TOPIC}"]["partitions"]) == 6
        assert len(made[f"{shop}.{MARKS}"]["partitions"]) == 1
        configuration = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        assert configuration["cleanup.policy"] == "compact"

    async def test_all_of_the_shop_are_made_as_they_are_stated(
        self, kafka: KafkaBus, kafka_server: Kafka, shop: str
    ) -> None:
        """The seed's topics and ours, each with its partitions and for how long it keeps what."""
        await kafka.make(set(TOPICS) | {"dead-letter.search"})
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.servers)
        await admin.start()
        try:
            names = [f"{shop}.{name}" for name in STATED]
            made = {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics(names)}
            kept = {}
            for name in names:
                [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
                entries = {entry[0]: entry[1] for entry in answer.resources[0][4]}
                days = int(entries["retention.ms"]) / 86_400_000
                kept[name] = "compact" if entries["cleanup.policy"] == "compact" else days
        finally:
            await admin.close()
        assert {name: (made[f"{shop}.{name}"], kept[f"{shop}.{name}"]) for name in STATED} == STATED
        assert set(STATED) - {"dead-letter.search"} == set(TOPICS)


@pytest.mark.usefixtures("quick")
class TestLostNode:
    @pytest.mark.timeout(180)
    async def test_killing_it_loses_no_message(self, database: Database, tmp_path: Path) -> None:
        folder, log = tmp_path / "kafka", tmp_path / "kafka.log"
        server = engine.start_ready(folder, log=log)
        facts = [(f"k{number % 3}", number) for number in range(120)]
        taker = Taker(database)
        try:
            async with (
                KafkaBus(server.servers) as bus,
                Relay(service="sales", database=database, bus=bus).running(),
                bus.consuming([taker.consumer()]),
            ):
                await tell(database, *facts[:60])
                server.process.kill()
                await tell(database, *facts[60:])
                server = engine.start_ready(folder, log=log, port=server.port)
                await until(lambda: set(taker.effects) == set(facts))
        finally:
            server.process.kill()
        assert len(taker.effects) == len(facts)
        assert taker.inversions() == []
