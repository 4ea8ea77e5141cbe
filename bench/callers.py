"""Callers of one way to hold, in a process of their own: ``python -m bench.callers``, what to do as JSON on stdin.

Each caller asks again as soon as it was answered. Prints rates, latencies, everybody's share and processor time as
JSON. The process sits on the last core, where pgbench sits when its turn comes.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import uvloop

from bench import cpu
from bench.holders import HOLDERS, Hold, refused_quickly
from bench.house import first_seat
from bench.rounds import fairness, percentile
from boxoffice.runtime import memory
from boxoffice.runtime.telemetry import configure_logging

WARM_UP_S = 0.6
"""Driven before counting begins: connections are open, statements prepared, batches found their size."""

Pick = Callable[[], "tuple[int, int] | None"]
"""The next (event, seat) to ask for; none when there is nothing left to ask for."""


def main() -> None:
    asked = json.load(sys.stdin)
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {cpu.last_core()})
    configure_logging(service="bench", level="error", human=True)
    json.dump(uvloop.run(drive(asked)), sys.stdout)


async def drive(asked: dict[str, Any]) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        hold: Hold = await stack.enter_async_context(HOLDERS[asked["holder"]](asked))
        memory.settle()  # as a process of the shop does when it is up
        crowd = Crowd(asked, hold)
        return await crowd.run()


class Crowd:
    """So many callers, each with its own counts."""

    def __init__(self, asked: dict[str, Any], hold: Hold) -> None:
        self._asked = asked
        self._hold = hold
        self._pick = picker(asked)
        self._held: list[float] = []
        self._refused: list[float] = []
        self._shares = [0] * asked["callers"]
        self._counting = False
        self._last_held_at = 0.0
        self._all_held = 0

    async def run(self) -> dict[str, Any]:
        asked = self._asked
        race = asked["pick"] == "last"
        self._counting = race  # a race is counted from the gun: its first moments are what it is about
        began = time.perf_counter()
        warm = 0.0 if race else WARM_UP_S
        deadline = began + warm + asked["seconds"]
        tasks = [asyncio.create_task(self._caller(number, deadline)) for number in range(asked["callers"])]
        if warm:
            await asyncio.sleep(warm)
        before, server = cpu.of_process(), cpu.of_server(asked["postmaster"])
        start = time.perf_counter()
        self._counting = True
        await asyncio.wait(tasks, timeout=max(0.0, deadline - time.perf_counter()))
        self._counting = False
        seconds = time.perf_counter() - start
        spent, theirs = cpu.of_process().since(before), cpu.of_server(asked["postmaster"]).since(server)
        await asyncio.gather(*tasks)
        return self._told(seconds, spent, theirs, began)

    async def _caller(self, number: int, deadline: float) -> None:
        clock = time.perf_counter
        while (now := clock()) < deadline:
            wanted = self._pick()
            if wanted is None:
                return
            held = await self._hold(*wanted, number)
            done = clock()
            if held:
                self._last_held_at = done
                self._all_held += 1
            if self._counting:
                (self._held if held else self._refused).append(done - now)
                self._shares[number] += 1

    def _told(self, seconds: float, spent: cpu.Spent, theirs: cpu.Spent, began: float) -> dict[str, Any]:
        held, refused = sorted(self._held), sorted(self._refused)
        everything = sorted([*held, *refused])
        answered = len(everything) or 1
        least, most = fairness(self._shares)
        told = {
            "rate": len(everything) / seconds, "held": float(len(held)), "refused": float(len(refused)),
            "p50_ms": percentile(everything, 0.5) * 1e3, "p99_ms": percentile(everything, 0.99) * 1e3,
            "held_p99_ms": percentile(held, 0.99) * 1e3, "refused_p99_ms": percentile(refused, 0.99) * 1e3,
            "least_share": least, "most_share": most, "all_held": float(self._all_held),
            "sold_out_after_ms": (self._last_held_at - began) * 1e3,
            "caller_cpu_us": spent.both / answered * cpu.MICROSECONDS,
            "server_cpu_us": theirs.both / answered * cpu.MICROSECONDS,
            "server_kernel_us": theirs.system / answered * cpu.MICROSECONDS,
            "memory_mb": cpu.memory_mb(os.getpid()),
            "server_memory_mb": cpu.server_memory_mb(self._asked["postmaster"]),
            "asked_early": float(refused_quickly()),
        }  # fmt: skip
        return {**told, **connection_times()}


def picker(asked: dict[str, Any]) -> Pick:
    """Choose seats: ``each`` once, event after event in their order, or ``mixed`` in none; or ``across`` the events.

    The ``last`` are chosen at random, again and again.
    """
    events: list[int] = asked["events"]
    seats: int = asked["seats"]
    dice = random.Random(4)
    if asked["pick"] == "last":
        first = first_seat(events[0])
        return lambda: (events[0], first + dice.randrange(seats))
    if asked["pick"] == "each":
        plan: Iterator[tuple[int, int]] = ((event, first_seat(event) + n) for event in events for n in range(seats))
    elif asked["pick"] == "mixed":
        order = dice.sample(range(seats), seats)
        plan = ((event, first_seat(event) + n) for event in events for n in order)
    else:
        dice.shuffle(events)
        plan = ((event, first_seat(event) + n) for n in range(seats) for event in events)
    return lambda: next(plan, None)


def connection_times() -> dict[str, float]:
    """How long connections were lent, from the process's own metric: the bucket that 99 of 100 fall into."""
    from boxoffice.runtime.database import CONNECTION

    buckets: dict[float, float] = {}
    total = 0.0
    for sample in next(iter(CONNECTION.collect())).samples:
        if sample.name.endswith("_bucket"):
            buckets[float(sample.labels["le"])] = sample.value
        elif sample.name.endswith("_count"):
            total = sample.value
    if not total:
        return {}
    within = next(bound for bound, count in sorted(buckets.items()) if count >= total * 0.99)
    return {"connection_p99_ms": within * 1e3}


if __name__ == "__main__":
    main()
