"""Run all measurements, print a table, write ``artifacts/bench.json``."""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from bench import selling
from bench.finding import search_latency
from bench.house import House, running_house
from bench.over_http import Buyers, new_house, serving
from bench.resting import memory_at_rest
from bench.rounds import Contender, Record, against, interleaved
from boxoffice.runtime.telemetry import configure_logging

ROUNDS = 5
MOST_SECONDS = 330.0
"""No further round begins when this is used up; the whole run stays under six minutes."""
RESULT = Path("artifacts/bench.json")

console = Console()


def main() -> None:
    began = time.monotonic()
    configure_logging(service="bench", level="error", human=True)

    def left() -> float:
        return MOST_SECONDS - (time.monotonic() - began)

    records: list[Record] = []
    with running_house() as house:
        say(f"PostgreSQL and Valkey are up, writing through to {house.folder.parent}; {os.cpu_count()} cores")
        records += uvloop.run(measure(house, left))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([asdict(record) for record in records], indent=2) + "\n")
    show(records)
    say(f"{RESULT} written after {time.monotonic() - began:.0f} s")


async def measure(house: House, left: Callable[[], float]) -> list[Record]:
    return [
        *await resting(house),
        *await finding(house),
        *await reading(house, left),
        *await selling_seats(house, left),
    ]


async def selling_seats(house: House, left: Callable[[], float]) -> list[Record]:
    tool = "pgbench" if shutil.which("pgbench") else "asyncpg, since pgbench is not installed"
    buyers = Buyers()
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(serving("bookings", house, buyers, ready_at="/health/ready"))
        seeds = await stack.enter_async_context(serving("seed", house, buyers, ready_at="/"))
        unit = "holds/s"
        direct = Contender("holds, use case", unit, lambda: selling.use_case(house))
        through = Contender("holds through HTTP, one process", unit, ours.holds)
        update = Contender(f"a plain UPDATE ({tool})", unit, lambda: selling.plain_update(house))
        function = Contender(f"the bare SQL function ({tool})", unit, lambda: selling.bare_function(house))
        lock = Contender("the seed's lock, read, check, write", unit, lambda: selling.seeds_way(house))
        lock_through = Contender("the seed's way through bare HTTP", unit, seeds.holds)
        contenders = [through, lock_through, direct, function, update, lock]
        await interleaved(contenders, rounds=ROUNDS, say=say, left=left)
    return [
        against(through, lock_through), against(through, direct), against(through, update),
        against(direct, update), against(direct, function), against(direct, lock),
    ]  # fmt: skip


async def reading(house: House, left: Callable[[], float]) -> list[Record]:
    path = await new_house(house)
    buyers = Buyers()
    async with serving("tickets", house, buyers, ready_at=path) as ours:
        body = await body_of(ours.port, path)
        async with serving("bare", house, buyers, ready_at="/", body=body) as bare:
            availability = Contender(
                "reads of availability through HTTP, one process", "reads/s", lambda: ours.reads(path)
            )
            least = Contender("a bare ASGI endpoint with the same bytes", "reads/s", lambda: bare.reads(path))
            await interleaved([availability, least], rounds=ROUNDS, say=say, left=left)
    return [against(availability, least)]


async def body_of(port: int, path: str) -> str:
    import httpx

    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{port}{path}")).text


async def finding(house: House) -> list[Record]:
    found = await search_latency(house)
    say(f"{found.concerts:,} concerts indexed in {found.index_seconds:.1f} s")
    pairs = (
        ("median", found.index.p50, found.trigrams.p50),
        ("99th percentile", found.index.p99, found.trigrams.p99),
    )
    return [
        Record(
            name=f"search on {found.concerts} concerts, {which}, against pg_trgm", value=round(ours, 3), unit="ms",
            reference=round(theirs, 3), ratio=round(ours / theirs, 3),
        )
        for which, ours, theirs in pairs
    ]  # fmt: skip


async def resting(house: House) -> list[Record]:
    rest = await memory_at_rest(house.folder)
    say(f"{rest.processes} processes of the shop at rest: {rest.everything:.0f} MB")
    return [
        Record(
            name="memory of the whole shop at rest (PSS), against its engines alone", value=round(rest.everything, 1),
            unit="MB", reference=round(rest.engines, 1), ratio=round(rest.everything / rest.engines, 3),
        )
    ]  # fmt: skip


def say(text: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text}", highlight=False)


def show(records: list[Record]) -> None:
    table = Table("measured", "value", "reference", "ratio", title="Medians")
    for record in records:
        reference = "" if record.reference is None else f"{record.reference:,.5g}"
        ratio = "" if record.ratio is None else f"{record.ratio:.2f}"
        table.add_row(record.name, f"{record.value:,.5g} {record.unit}", reference, ratio)
    console.print(table)
