"""Carry outbox records by Debezium to a consumer while PostgreSQL, Kafka, Connect and the consumer are killed in turn.

``python -m tests.machine.carrying --records 10000 --kills 5 --json artifacts/carrying.json``: how many messages were
missing, took effect twice, or took effect after a later one of their key; and how long a message takes.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
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
from boxoffice.runtime.telemetry import configure_logging

PASSWORD = "of-a-throw-away-server"
PARTS = ("postgres", "kafka", "connect", "consumer")
KEYS = 50
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
        "phantoms": found["phantoms"], "inversions": found["inversions"], "kills_each": kills, "keys": KEYS, "seed": seed,
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
                        tx, topic=TOPIC, key=f"key-{number % KEYS}", type_="fact", version=number, body=Fact(number)
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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.machine.carrying", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5, help="of each part")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    configure_logging(service="machine", level="critical", human=True)
    found = run(records=asked.records, kills=asked.kills, seed=asked.seed)
    print(json.dumps(found, indent=2))
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(found[name] for name in ("missing", "effects_twice", "phantoms", "inversions")))


if __name__ == "__main__":
    sys.exit(main())
