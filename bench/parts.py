"""Group ``parts``: what one hold through HTTP costs, by part: Python by sampling, PostgreSQL by its own statistics."""

import asyncio
import json
from collections.abc import Callable, Mapping

import asyncpg

from bench import cpu
from bench.house import SEATS, House
from bench.over_http import Buyers, serving
from bench.rounds import Contender, Findings, Record, Sample
from bench.sampling import EVERY_S

SECONDS = 6.0
STATISTICS = {
    "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all",
    "pg_stat_statements.track_planning": "on",
}  # fmt: skip
"""For this group's server only: counting costs a little."""
STATEMENTS = """
SELECT toplevel, calls, total_exec_time * 1000 AS exec_us, total_plan_time * 1000 AS plan_us, wal_bytes,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 90) AS query
FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time + total_plan_time DESC LIMIT 24
"""

Say = Callable[[str], None]
Left = Callable[[], float]


async def parts(house: House, say: Say, _left: Left) -> Findings:
    """Microseconds of processor time of one hold through HTTP, 64 connections."""
    buyers = Buyers()
    statistics = await asyncpg.connect(house.sales_url)
    await statistics.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    (event_id,) = await house.fresh()
    await statistics.fetchval("SELECT pg_stat_statements_reset()")
    profile = house.folder / "profile.json"
    async with serving("bookings", house, buyers, profile=str(profile)) as ours:
        started = cpu.of_process(ours.pid)
        sample = await ours.drive("reserve", wanted=frozenset({"201"}), seconds=SECONDS, event_id=event_id, seats=SEATS)
        spent = cpu.of_process(ours.pid).since(started)
    holds = await house.held()
    statements = await statistics.fetch(STATEMENTS)
    await statistics.close()
    counts: dict[str, int] = json.loads(await asyncio.to_thread(profile.read_text))
    say(f"{holds:,} holds, {sum(counts.values()):,} samples of the process")
    name = "one hold through HTTP, the process"
    found = Findings(contenders=[Contender("our holds through HTTP, profiled", "holds/s", _never, 64, [sample])])
    found.records += shares(name, counts, spent.both * cpu.MICROSECONDS / holds)
    found.keys["hold_process_cpu_us"] = sample.more["process_cpu_us"]
    found.keys["hold_server_cpu_us"] = sample.more["server_cpu_us"]
    for statement in statements:
        kind = "call" if statement["toplevel"] else "inside"
        found.records.append(
            Record(
                name=f"PostgreSQL, {kind}, {statement['calls'] / holds:.3f} a hold: {statement['query']}",
                value=round((statement["exec_us"] + statement["plan_us"]) / holds, 2), unit="µs/hold",
                reference=None, ratio=None,
            )
        )  # fmt: skip
    found.notes.append(
        f"The process is sampled every {EVERY_S * 1e3:.0f} ms of its own processor time, from its start; a part is the "
        "innermost of our modules or libraries on the stack. PostgreSQL's lines are elapsed time inside it "
        "(pg_stat_statements, planning included): a call contains the statements inside it, and waiting for the disk."
    )
    return found


def shares(name: str, counts: Mapping[str, int], microseconds: float) -> list[Record]:
    """Spread the measured processor time over the parts, by their samples."""
    everything = sum(counts.values()) or 1
    return [
        Record(
            name=f"{name}: {part}", value=round(count / everything * microseconds, 2), unit="µs/hold", reference=None,
            ratio=round(count / everything, 3),
        )
        for part, count in sorted(counts.items(), key=lambda item: -item[1])
    ]  # fmt: skip


async def _never() -> Sample:
    raise NotImplementedError
