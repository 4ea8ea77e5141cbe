"""Carry outbox records by Debezium to a consumer while PostgreSQL, Kafka, Connect and the consumer are killed in turn.

How many messages were missing, took effect twice, or took effect after a later one of their key; and how long a
message takes. ``python -m tests.machine --only carrying``.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
from tests.machine.consumer import TOPIC

from boxoffice.kernel.errors import DomainError
from boxoffice.runtime import connectors, migrations, outbox
from boxoffice.runtime.bus.kafka import KafkaBus
from boxoffice.runtime.connectors import ConnectApi
from boxoffice.runtime.database import Database
from boxoffice.runtime.embedded import postgres
from boxoffice.runtime.engines import connect, kafka
from boxoffice.runtime.handover import Handover
from boxoffice.runtime.relay import Relay

PASSWORD = "of-a-throw-away-server"
KEYS = ("outbox_records", "missing", "effects_twice", "inversions")
TITLE = "Messages by Debezium, while every part of the way is killed"
SECTION = """
{outbox_records:,} facts are told in transactions of their own, in {keys} keys, at a steady pace. Debezium on Kafka Connect reads the outbox, Kafka keeps the
messages, a consumer in a process of its own takes each in one transaction with its inbox; the relay stands by and takes over where Debezium is away.
PostgreSQL, Kafka, Connect and the consumer are killed with `kill -9`, {kills_each} times each, in an order that the seed draws, and started again at once.

| what | figure |
| --- | ---: |
| messages missing at the end | {missing} |
| effects that happened twice | {effects_twice} |
| effects of messages that were never committed | {phantoms} |
| effects that came after a later one of their key | {inversions} |
| times that it changed hands between Debezium and the relay | {handovers} |
| from the fact's transaction to its effect, nothing killed: p50, p99 | {delay_p50_ms} ms, {delay_p99_ms} ms |
| the same while parts are killed: p50, p99 | {delay_killed_p50_ms} ms, {delay_killed_p99_ms} ms |
"""
PARTS = ("postgres", "kafka", "connect", "consumer")
STREAMS = 50
"""Keys of messages."""
RELEASE = {"outbox_records": 10_000, "kills_each": 5}
REST_S = 9.0
"""Between two kills: about as long as Connect takes to come back, so that sometimes it carries and sometimes not."""
LAST_S = 180.0
"""For what is under way when the last part was killed."""
EFFECTS = """
CREATE TABLE effects (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message_id uuid NOT NULL, key text NOT NULL, version int NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp())
"""
FOUND = """
SELECT (SELECT count(*) FROM outbox WHERE topic = $1) AS told,
  (SELECT count(*) FROM outbox o WHERE topic = $1 AND NOT EXISTS (
    SELECT FROM effects e WHERE e.message_id = o.message_id)) AS missing,
  (SELECT count(*) - count(DISTINCT message_id) FROM effects) AS twice,
  (SELECT count(*) FROM effects e WHERE NOT EXISTS (
    SELECT FROM outbox o WHERE o.message_id = e.message_id)) AS phantoms,
  (SELECT count(*) FROM (SELECT version < max(version) OVER (PARTITION BY key ORDER BY seq) AS late FROM effects) v
    WHERE late) AS inversions
"""
DELAYS = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM e.at - o.created_at)) AS s
FROM effects e JOIN outbox o USING (message_id) WHERE o.created_at BETWEEN $1 AND $2
"""


class Fact(msgspec.Struct):
    number: int


class Machine:
    """The parts, each of which can be killed and started again where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.consumer: subprocess.Popen[bytes] | None = None
        self.postgres = postgres.start_ready(folder / "pg", password=PASSWORD, log=folder / "postgres.log")
        self.url = urlunsplit(urlsplit(self.postgres.admin_url)._replace(path="/sales"))
        self.kafka = kafka.start_ready(folder / "kafka", log=folder / "kafka.log")
        self.connect = self._start_connect(None)
        self.connect.wait_ready()

    def _start_connect(self, port: int | None) -> connect.Connect:
        return connect.start(
            self._folder / "connect", servers=self.kafka.servers, log=self._folder / "connect.log", port=port,
            secrets={"CDC_PASSWORD": PASSWORD},
        )  # fmt: skip

    def start_consumer(self) -> None:
        command = [sys.executable, "-m", "tests.machine.consumer", self.kafka.servers, self.url]
        with (self._folder / "consumer.log").open("ab") as log:
            self.consumer = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, part: str) -> None:
        """Kill -9 a part and begin to start it again, at the same place. From the main thread."""
        if part == "consumer":
            assert self.consumer is not None
            self.consumer.kill()
            self.consumer.wait()
            self.start_consumer()
        elif part == "postgres":
            self.postgres.process.kill()
            self.postgres = postgres.start(
                self._folder / "pg", password=PASSWORD, log=self._folder / "postgres.log", port=self.postgres.port
            )
        elif part == "kafka":
            self.kafka.process.kill()
            self.kafka = kafka.start(self._folder / "kafka", log=self._folder / "kafka.log", port=self.kafka.port)
        else:
            self.connect.process.kill()
            self.connect = self._start_connect(self.connect.port)

    def stop(self) -> None:
        if self.consumer is not None:
            self.consumer.kill()
            self.consumer.wait()
        for part in (self.connect, self.kafka, self.postgres):
            part.process.kill()


async def drill(machine: Machine, *, records: int, kills: int, seed: int) -> dict[str, Any]:
    dice = random.Random(seed)
    plan = [part for part in PARTS for _ in range(kills)]
    dice.shuffle(plan)
    database = await asyncpg.connect(machine.postgres.admin_url)
    await database.execute("CREATE DATABASE sales")
    await database.close()
    await asyncio.to_thread(migrations.migrate, "sales", machine.url)
    async with Database.open(machine.url, size=4) as shop, KafkaBus(machine.kafka.servers) as bus:
        await shop.fetch(EFFECTS)
        await shop.fetch(connectors.MAKE_PUBLICATION)
        await bus.make({TOPIC})
        name, configuration = connectors.outbox_connector("sales", machine.url, user="postgres")
        with closing(ConnectApi(machine.connect.url)) as api:
            await asyncio.to_thread(api.apply, name, configuration)
        handover = Handover(shop, connectors.outbox_slot("sales"))
        hands = Hands(handover)
        machine.start_consumer()
        relay = Relay(service="sales", database=shop, bus=bus, handover=handover)
        async with relay.running(), asyncio.timeout(1_800):
            await hands.until_connect()
            say("Debezium carries; calm messages for the delay")
            calm = await told(shop, 400, every_s=0.05)
            await all_taken(shop)
            pace = len(plan) * (REST_S + 4) / max(1, records - 400)
            writer = asyncio.create_task(told(shop, records - 400, every_s=pace, first=400))
            for number, part in enumerate(plan, 1):
                await asyncio.sleep(dice.uniform(0.5, 1.5) * REST_S)
                say(f"kill {number} of {len(plan)}: {part}; {hands.said()}")
                machine.kill(part)
                await hands.look()
            stormy = await writer
            say("everything is told; waiting for the last effects")
            await all_taken(shop)
        found = dict(await once(shop, FOUND, TOPIC))
        p50, p99 = (await once(shop, DELAYS, *calm))["s"]
        storm_p50, storm_p99 = (await once(shop, DELAYS, *stormy))["s"]
    return {
        "outbox_records": found["told"], "missing": found["missing"], "effects_twice": found["twice"],
        "phantoms": found["phantoms"], "inversions": found["inversions"], "kills_each": kills, "keys": STREAMS,
        "delay_p50_ms": round(p50 * 1e3), "delay_p99_ms": round(p99 * 1e3),
        "delay_killed_p50_ms": round(storm_p50 * 1e3), "delay_killed_p99_ms": round(storm_p99 * 1e3),
        "handovers": hands.count,
    }  # fmt: skip


class Hands:
    """Who carries, and how often that changed."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._connect = False
        self.count = 0

    async def look(self) -> bool:
        with suppress(DomainError, OSError, asyncpg.PostgresError):
            carries = await self._handover.carries()
            self.count += carries is not self._connect
            self._connect = carries
        return self._connect

    async def until_connect(self) -> None:
        await until(self.look, seconds=LAST_S)

    def said(self) -> str:
        return "Debezium carries" if self._connect else "the relay carries"


async def told(shop: Database, number_of: int, *, every_s: float, first: int = 0) -> tuple[Any, Any]:
    """Tell facts one by one, again where the database was away; returns when that began and ended, by its clock."""
    began = (await once(shop, "SELECT clock_timestamp() AS at"))["at"]
    for number in range(first, first + number_of):
        due = time.monotonic() + every_s
        while True:
            try:
                async with shop.transaction() as tx:
                    await outbox.append(
                        tx, topic=TOPIC, key=f"key-{number % STREAMS}", type_="fact", version=number, body=Fact(number)
                    )
                break
            except asyncpg.UniqueViolationError:
                break  # the answer was lost, the fact was not
            except (DomainError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.2)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return began, (await once(shop, "SELECT clock_timestamp() AS at"))["at"]


async def all_taken(shop: Database) -> None:
    """Wait until nothing is missing; give up after a while, and let the figures say so."""

    async def is_taken() -> bool:
        return not (await once(shop, FOUND, TOPIC))["missing"]

    await until(is_taken, seconds=LAST_S)


async def until(true: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
    """Wait until something is true, or for so long."""
    deadline = time.monotonic() + seconds
    for _ in count():
        if await true() or time.monotonic() > deadline:
            return
        await asyncio.sleep(0.3)


async def once(shop: Database, sql: str, *values: Any) -> Any:
    """Ask the database, for as long as it is away."""
    while True:
        try:
            return await shop.fetchrow(sql, *values)
        except (DomainError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.2)


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def run(*, records: int, kills: int, seed: int) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boxoffice-machine-")))
        machine = Machine(folder)
        stack.callback(machine.stop)
        return asyncio.run(drill(machine, records=records, kills=kills, seed=seed))


def measure(say: Callable[[str], None], *, seed: int) -> dict[str, object]:
    """Carry a release's number of records while each part is killed a release's number of times."""
    say(f"{RELEASE['outbox_records']:,} records, each part killed {RELEASE['kills_each']} times")
    return run(records=RELEASE["outbox_records"], kills=RELEASE["kills_each"], seed=seed)


def section(found: Mapping[str, object]) -> str:
    """Write what was carried, what was killed and what came of it."""
    return SECTION.format(**found)


def wrong(found: Mapping[str, object]) -> list[str]:
    """Say what was lost, done twice or out of order."""
    return [
        f"`{name}` is {found[name]}" for name in ("missing", "effects_twice", "phantoms", "inversions") if found[name]
    ]
