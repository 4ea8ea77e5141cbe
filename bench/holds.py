"""Group ``holds`` and ``race``: holds without HTTP, alone and in crowds, in plenty and for the last 500 seats."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench import pgbench
from bench.house import SEATS, House
from bench.rounds import Contender, Findings, Sample, against, interleaved, quicker, ratio

CROWD = 64
CROWDS = (1, 16, 256)
"""Beside 64: fewer rounds, since nothing is promised of them but of one."""
SECONDS = 2.0
ROUNDS, FEW_ROUNDS = 3, 2
LAST_SEATS = 500
OURS = "our holds, gathered"
PLAIN = "our reference path, one call a hold"
UNIT = "holds/s"
ATTEMPTS = "attempts/s"
NAMES = {
    "desk": OURS, "plain": PLAIN, "seed": "the seed's way: lock in Redis, read, check, write",
    "event_lock": "an event-wide lock around the same call",
}  # fmt: skip
REFERENCES = {
    pgbench.PLACE_HOLD: "pgbench, our SQL function", pgbench.LEAN_HOLD: "pgbench, the least function, same records",
    pgbench.BARE_UPDATE: "pgbench, a bare UPDATE",
}  # fmt: skip

Say = Callable[[str], None]
Left = Callable[[], float]


async def called(
    house: House, holder: str, *, callers: int, pick: str, events: Sequence[int], seats: int, seconds: float = SECONDS,
    **more: Any,
) -> Sample:  # fmt: skip
    """Let a process of callers hold seats of events that are there; see ``bench/callers.py``."""
    asked = {
        "holder": holder, "callers": callers, "pick": pick, "events": list(events), "seats": seats, "seconds": seconds,
        "sales_url": house.sales_url, "redis_url": house.redis_url, "postmaster": house.postmaster, **more,
    }  # fmt: skip
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "bench.callers"], input=json.dumps(asked).encode(),
        capture_output=True, timeout=90, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(f"the callers failed: {run.stderr.decode()[-2000:]}")
    told: dict[str, float] = json.loads(run.stdout)
    return Sample(rate=told.pop("rate"), p50_ms=told.pop("p50_ms"), p99_ms=told.pop("p99_ms"), more=told)


def spread(house: House, holder: str, clients: int, *, seconds: float = SECONDS) -> Contender:
    """Hold seat after seat of one event: nobody wants the same."""

    async def measure() -> Sample:
        events = await house.fresh()
        return await called(house, holder, callers=clients, pick="each", events=events, seats=SEATS, seconds=seconds)

    return Contender(NAMES[holder], UNIT, measure, clients)


def reference(house: House, script: str, clients: int, *, seconds: float = SECONDS) -> Contender:
    """The same with pgbench."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh()
        return await pgbench.pgbench(house, script, event_id=event_id, clients=clients, seconds=seconds)

    return Contender(REFERENCES[script], UNIT, measure, clients)


def raced(house: House, holder: str, clients: int) -> Contender:
    """Everybody wants one of the last 500 seats, again and again."""

    async def measure() -> Sample:
        events = await house.fresh(seats=LAST_SEATS)
        sample = await called(house, holder, callers=clients, pick="last", events=events, seats=LAST_SEATS)
        if await house.held() != sample.more["all_held"]:
            raise RuntimeError(f"{holder} says {sample.more['all_held']} held, the database {await house.held()}")
        return sample

    return Contender(NAMES[holder], ATTEMPTS, measure, clients)


async def holds(house: House, say: Say, left: Left) -> Findings:
    """Direct holds, no contention. The reference is the quicker of the two functions that leave the same records."""
    await pgbench.prepare(house)
    ours, plain = spread(house, "desk", CROWD), spread(house, "plain", CROWD)
    rivals = [reference(house, script, CROWD) for script in REFERENCES]
    others = [spread(house, "event_lock", CROWD), spread(house, "seed", CROWD)]
    crowd = [ours, *rivals, plain, *others]
    await interleaved(crowd, rounds=ROUNDS, say=say, left=left)
    found = Findings(contenders=list(crowd), records=[against(ours, rival) for rival in crowd[1:]])
    found.keys["hold_direct_vs_pgbench"] = ratio(ours, quicker(rivals[:2]))
    found.keys["hold_direct_vs_bare_update"] = ratio(ours, rivals[2])
    found.keys["hold_direct_connection_p99_ms"] = ours.middle("connection_p99_ms") or 0.0
    for clients in CROWDS:
        mine, one_by_one = spread(house, "desk", clients, seconds=1.5), spread(house, "plain", clients, seconds=1.5)
        few = [mine, one_by_one]
        few += [reference(house, script, clients) for script in (pgbench.PLACE_HOLD, pgbench.BARE_UPDATE)]
        await interleaved(few, rounds=FEW_ROUNDS if clients == 1 else 1, say=say, left=left)
        found.contenders += few
        found.records += [against(mine, rival) for rival in few[1:]]
        if clients == 1:
            found.keys["lone_hold_vs_plain"] = (mine.middle("p50_ms") or 0.0) / (one_by_one.middle("p50_ms") or 1.0)
    return found


async def race(house: House, say: Say, left: Left) -> Findings:
    """Direct holds, all for the last 500 seats."""
    ours, plain = raced(house, "desk", CROWD), raced(house, "plain", CROWD)
    crowd = [ours, plain, raced(house, "event_lock", CROWD), raced(house, "seed", CROWD)]
    await interleaved(crowd, rounds=ROUNDS, say=say, left=left)
    found = Findings(contenders=list(crowd), records=[against(ours, rival) for rival in crowd[1:]])
    found.keys = {
        "race_vs_single_calls": ratio(ours, plain),
        "race_refusal_p99_ms": ours.middle("refused_p99_ms") or 0.0,
        "race_least_share": ours.middle("least_share") or 0.0,
        "race_most_share": ours.middle("most_share") or 0.0,
    }
    for clients in CROWDS:
        few = [raced(house, "desk", clients), raced(house, "plain", clients)]
        await interleaved(few, rounds=1, say=say, left=left)
        found.contenders += few
        found.records.append(against(few[0], few[1]))
    return found
