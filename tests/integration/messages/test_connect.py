"""Debezium carries the outbox; where it does not, the relay does: nothing lost, nothing twice, in the order of each key."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psycopg2
import psycopg2.errors
import pytest
from tests.integration.messages.facts import TOPIC, Taker, tell, until
from tests.support.commands import run
from tests.support.connect import Worker
from tests.support.engines import Engines

from boxoffice.cli import connecting
from boxoffice.cli.exits import Exit
from boxoffice.runtime import connectors
from boxoffice.runtime.bus.kafka import KafkaBus
from boxoffice.runtime.connectors import ConnectApi, ConnectRefusedError
from boxoffice.runtime.database import Database
from boxoffice.runtime.engines.kafka import Kafka
from boxoffice.runtime.handover import Handover
from boxoffice.runtime.relay import Relay

DROP_SLOT = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(300)]


class Carried:
    """A connector on the database of the test, and how to end it."""

    def __init__(self, worker: Worker, database: Database, sales_url: str, shop: str) -> None:
        user = urlsplit(sales_url).username or ""
        self.name, self.configuration = connectors.outbox_connector("sales", sales_url, user=user, shop=shop)
        self.slot = connectors.outbox_slot("sales", shop)
        self.worker, self.database = worker, database

    async def apply(self) -> None:
        if not await self.database.fetchval(connectors.HAS_PUBLICATION, connectors.PUBLICATION):
            await self.database.fetch(connectors.MAKE_PUBLICATION)
        with closing(ConnectApi(self.worker.connect.url)) as api:
            api.apply(self.name, self.configuration)
        await until(self.is_read)

    async def is_read(self) -> bool:
        asked = "SELECT active FROM pg_replication_slots WHERE slot_name = $1"
        return bool(await self.database.fetchval(asked, self.slot))

    async def has_confirmed(self, point: str) -> bool:
        asked = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $1"
        return bool(await self.database.fetchval(asked, self.slot, point))

    async def remove(self) -> None:
        with suppress(ConnectRefusedError), closing(ConnectApi(self.worker.connect.url)) as api:
            api.remove(self.name)
        await until(self._is_dropped)

    async def _is_dropped(self) -> bool:
        try:
            await self.database.fetch("SELECT pg_drop_replication_slot($1)", self.slot)
        except asyncpg.ObjectInUseError:
            return False
        except asyncpg.UndefinedObjectError:
            return True
        return True


@pytest.fixture
async def carried(worker: Worker, database: Database, sales_url: str, shop: str) -> AsyncIterator[Carried]:
    one = Carried(worker, database, sales_url, shop)
    try:
        yield one
    finally:
        await one.remove()


class TestDebezium:
    async def test_writes_what_the_relay_would(self, database: Database, kafka: KafkaBus, carried: Carried) -> None:
        relay = Relay(service="sales", database=database, bus=kafka)
        await tell(database, ("ä/1", 1))
        await relay.carry_once()
        await carried.apply()
        await tell(database, ("ä/1", 2))
        await until(lambda: _count(kafka, 2))
        first, second = [envelope async for envelope in kafka.retained(TOPIC)]
        assert (first.key, first.type_, first.version, first.topic) == ("ä/1", "fact", 1, TOPIC)
        assert (second.key, second.type_, second.version, second.topic) == ("ä/1", "fact", 2, TOPIC)
        told = await database.fetchrow("SELECT message_id, created_at FROM outbox WHERE version = 2")
        assert (second.message_id, second.occurred_at) == (told["message_id"], told["created_at"])

    async def test_hands_over_to_the_relay_when_it_dies_and_takes_back(
        self, database: Database, kafka: KafkaBus, carried: Carried, worker: Worker
    ) -> None:
        handover = Handover(database, carried.slot)
        relay = Relay(service="sales", database=database, bus=kafka, handover=handover)
        taker = Taker(database)
        facts = [(f"k{number % 7}", number) for number in range(400)]
        async with kafka.consuming([taker.consumer()]), relay.running():
            await tell(database, *facts[:50])
            await until(lambda: len(taker.effects) == 50)
            await carried.apply()
            await until(handover.carries)
            await tell(database, *facts[50:150])
            await until(lambda: len(taker.effects) == 150)
            worker.kill()
            await tell(database, *facts[150:250])
            await until(lambda: len(taker.effects) == 250)
            assert not await handover.carries()
            await worker.start_again()
            await tell(database, *facts[250:350])
            await until(lambda: len(taker.effects) == 350)
            await until(handover.carries)
            await tell(database, *facts[350:])
            await until(lambda: len(taker.effects) == 400)
        assert sorted(taker.effects) == sorted(facts)
        assert taker.inversions() == []

    async def test_follows_the_log_while_its_outbox_rests_and_begins_there_again(
        self, database: Database, kafka: KafkaBus, carried: Carried, worker: Worker, engines: Engines
    ) -> None:
        """Databases share a log: a slot that stood still would keep it, and the relay would take the outbox over."""
        await carried.apply()
        await tell(database, ("a", 1))
        await until(lambda: _count(kafka, 1))
        with engines.empty_database() as beside, closing(psycopg2.connect(beside)) as busy, busy.cursor() as cursor:
            cursor.execute("CREATE TABLE written AS SELECT generate_series(1, 20000)")
            busy.commit()
            point = await database.fetchval("SELECT pg_current_wal_insert_lsn()::text")
            await until(lambda: carried.has_confirmed(point))
        worker.kill()
        await worker.start_again()
        await tell(database, ("a", 2))
        await until(lambda: _count(kafka, 2))


class TestCommands:
    def test_apply_and_status(
        self, worker: Worker, kafka_server: Kafka, engines: Engines, shop: str, tmp_path: Path
    ) -> None:
        with ExitStack() as stack:
            urls = {name: stack.enter_context(engines.database(name)) for name in connecting.SERVICES}
            user = urlsplit(engines.admin_url).username or ""
            settings = {
                **{f"BOXOFFICE_{name.upper()}_DATABASE_URL": url for name, url in urls.items()},
                "BOXOFFICE_BUS_URL": f"{kafka_server.url}/{shop}",
                "BOXOFFICE_CONNECT_URL": worker.connect.url,
                "BOXOFFICE_CDC_USER": user,
            }
            folder = ["--data-dir", str(tmp_path / "data")]
            before = run("connectors", "status", *folder, **settings)
            assert before.returncode == Exit.FINDINGS
            assert "missing" in before.stdout
            try:
                for _ in range(2):
                    applied = run("connectors", "apply", *folder, **settings)
                    assert applied.returncode == Exit.OK, applied.stderr
                after = run("connectors", "status", *folder, **settings)
                assert after.returncode == Exit.OK, after.stdout
                assert after.stdout.count("RUNNING") == len(connecting.SERVICES) + 1
                assert "catalog-events" in after.stdout
                away = run(
                    "connectors", "status", *folder, **{**settings, "BOXOFFICE_CONNECT_URL": "http://127.0.0.1:9"}
                )
                assert away.returncode == Exit.UNREACHABLE
                assert "does not answer" in away.stderr
            finally:
                _remove_all(worker, urls, user, shop)


def _remove_all(worker: Worker, urls: Mapping[str, str], user: str, shop: str) -> None:
    with closing(ConnectApi(worker.connect.url)) as api:
        for reading in connectors.readings(list(urls), shop):
            url = urls[reading.service]
            name, _ = connectors.connector(reading, url, user=user, shop=shop)
            with suppress(ConnectRefusedError):
                api.remove(name)
            with closing(psycopg2.connect(url)) as connection:
                connection.autocommit = True
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline:
                    with connection.cursor() as cursor:
                        try:
                            cursor.execute(DROP_SLOT, (reading.slot,))
                        except psycopg2.errors.ObjectInUse:
                            time.sleep(0.1)
                        else:
                            break


async def _count(kafka: KafkaBus, count: int) -> bool:
    return len([envelope async for envelope in kafka.retained(TOPIC)]) == count
