"""Run the hammer: ``python -m tests.hammer --attempts 1000000 --json artifacts/hammer.json``."""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.hammer.smith import Done, Work, work
from tests.support.checkers import bank, fence, register, tickets
from tests.support.engines import running_engines
from tests.support.sales import put_on_sale

from boxoffice.runtime.database import Database
from boxoffice.services.sales.usecases.audit import audit

EVENT = 7
SEATS = 50
CLIENTS = 200
HOLD_S = 1
LIMIT = 8
SNAPSHOT_EVERY_S = 1.0
Beside = Callable[[Database], Coroutine[Any, Any, None]]
TICKETS = "SELECT ticket_id::text AS ticket, order_id::text AS booking, seat_id, state <> 'void' AS live FROM tickets"


async def hammer(
    url: str, *, attempts: int, processes: int, seconds: float, seed: int, beside: Beside | None = None
) -> dict[str, Any]:
    """Put the event on sale, let the processes work, and check what they were told; ``beside`` is for controls."""
    async with Database.open(url, size=2, statement_timeout_ms=0) as database:
        seats = await put_on_sale(database, SEATS, event_id=EVENT, limit_per_customer=LIMIT)
        await database.fetch("UPDATE event_terms SET hold_seconds = $1", HOLD_S)
        async with database.connection() as connection:
            await connection.execute(fence.WATCH)
        began = time.monotonic()
        snapshots: list[bank.Snapshot] = []
        watching = asyncio.create_task(look(database, snapshots, began))
        breaking = [asyncio.create_task(beside(database))] if beside is not None else []
        jobs = [
            Work(
                url,
                EVENT,
                [int(seat) for seat in seats],
                CLIENTS // processes,
                attempts // processes,
                seed + n,
                seconds,
            )
            for n in range(processes)
        ]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            done: list[Done] = await asyncio.gather(
                *(asyncio.get_running_loop().run_in_executor(pool, work, job) for job in jobs)
            )
        took = time.monotonic() - began
        for task in (watching, *breaking):
            task.cancel()
        await asyncio.gather(watching, *breaking, return_exceptions=True)
        return await judge(database, done, snapshots, seed=seed, took=took, processes=processes)


async def look(database: Database, snapshots: list[bank.Snapshot], began: float) -> None:
    """Sum up money and tickets now and then."""
    while True:
        row = await database.fetchrow(bank.SNAPSHOT)
        assert row is not None
        at = time.monotonic() - began
        snapshots.append(bank.Snapshot(at, row["captured"], row["refunded"], row["live"], row["kept"]))
        await asyncio.sleep(SNAPSHOT_EVERY_S)


async def judge(
    database: Database, done: list[Done], snapshots: list[bank.Snapshot], *, seed: int, took: float, processes: int
) -> dict[str, Any]:
    """Ask every checker that has something to say here."""
    operations = [one for part in done for one in part.operations]
    outcomes: Counter[str] = sum((part.outcomes for part in done), Counter())
    rows = await database.fetch(TICKETS)
    final = [tickets.FinalTicket(row["ticket"], row["booking"], row["seat_id"], live=row["live"]) for row in rows]
    bookings = {row["id"] for row in await database.fetch("SELECT order_id::text AS id FROM orders")}
    looks = [fence.Seen(row["seat_id"], row["fence"], row["owner"]) for row in await database.fetch(fence.WATCHED)]
    violations = [f"register: {text}" for text in register.violations(operations)]
    violations += [f"set: {text}" for text in tickets.violations(operations, final, bookings)]
    violations += [f"bank: {text}" for text in bank.unbalanced(snapshots)]
    violations += [f"fence: {text}" for text in fence.violations(looks, complete=True)]
    violations += [f"audit: {f.invariant} {f.name}: {f.records[0]}" for f in await audit(database)]
    violations += [f"unexpected: {text}" for part in done for text in part.unexpected]
    attempts = sum(part.attempts for part in done)
    return {
        "attempts": attempts, "violations": violations, "seed": seed, "seconds": round(took, 1),
        "attempts_per_second": round(attempts / took), "processes": processes, "clients": CLIENTS, "seats": SEATS,
        "outcomes": dict(outcomes.most_common()), "operations_checked": len(operations), "seat_changes": len(looks),
        "snapshots": len(snapshots), "tickets": len(final), "bookings": len(bookings),
    }  # fmt: skip


def run(*, attempts: int, processes: int, seconds: float, seed: int) -> dict[str, Any]:
    """Run it on engines of its own."""
    with running_engines() as engines, engines.database("sales") as url:
        return asyncio.run(hammer(url, attempts=attempts, processes=processes, seconds=seconds, seed=seed))


def main() -> int:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.hammer", description=__doc__)
    parser.add_argument("--attempts", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=900.0, help="give up after so long")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    print(f"hammer: {given.attempts} attempts, {given.processes} processes, seed {seed}", flush=True)
    found = run(attempts=given.attempts, processes=given.processes, seconds=given.seconds, seed=seed)
    print(json.dumps({name: value for name, value in found.items() if name != "violations"}, indent=1))
    for text in found["violations"][:20]:
        print(f"VIOLATION {text}")
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    if found["violations"]:
        print(f"run it again: python -m tests.hammer --attempts {given.attempts} --seed {seed}")
    print(f"violations: {len(found['violations'])}")
    return 1 if found["violations"] or found["attempts"] < given.attempts else 0


if __name__ == "__main__":
    sys.exit(main())
