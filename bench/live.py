"""Group ``live``: one change of a house reaches thousands of clients of one process; hopeless holds refused early."""

import asyncio
import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx

from bench import cpu
from bench.holds import CROWD, LAST_SEATS
from bench.house import HOUSE, House
from bench.over_http import Buyers, Served, serving
from bench.rounds import Contender, Findings, Record, Sample, interleaved

CLIENTS = 5_000
SPARE = 500
"""Files that the two processes have open besides."""
STEPS = 12
ROUNDS = 2
LONGEST_S = 90.0
EARLY = re.compile(r'^boxoffice_early_no_total\{[^}]*outcome="refused"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)
ASKED = re.compile(r"^boxoffice_http_request_seconds_count\{[^}]*bookings/reserve[^}]*\} ([0-9.e+]+)$", re.MULTILINE)

Say = Callable[[str], None]
Left = Callable[[], float]


async def live(house: House, say: Say, left: Left) -> Findings:
    """Fan-out from the commit to each client's frame, and the share of a race that the picture refuses."""
    allow_files(CLIENTS + SPARE)
    fanned, raced = fan_out(house, CLIENTS), race_with_early_no(house)
    await interleaved([fanned, raced], rounds=ROUNDS, say=say, left=left)
    memory, share = fanned.middle("kb_per_client") or 0.0, raced.middle("refused_early_share") or 0.0
    say(f"{memory:.1f} kB a client, {share:.1%} of the race refused early")
    keys = {
        "fanout_5000_p99_ms": fanned.middle("p99_ms") or 0.0, "fanout_memory_kb_per_client": memory,
        "fanout_last_client_ms": fanned.middle("last_client_p50_ms") or 0.0, "race_refused_early_share": share,
        "race_refused_early_p99_ms": raced.middle("p99_ms_of_409") or 0.0,
    }  # fmt: skip
    records = [
        Record(name=f"memory of each of {CLIENTS:,} live clients", value=memory, unit="kB", reference=None, ratio=None),
        Record(
            name=f"share of the race for the last {LAST_SEATS} seats that was refused before the database",
            value=round(share, 4), unit="", reference=None, ratio=None,
        ),
    ]  # fmt: skip
    return Findings(contenders=[fanned, raced], records=records, keys=keys)


def fan_out(house: House, clients: int) -> Contender:
    """One seat changes at a time; timed from the commit until each client has the frame."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh(seats=HOUSE)
        settings = {"live_clients": clients + SPARE, "live_clients_per_address": clients + SPARE}
        async with serving("tickets", house, Buyers(), settings=settings) as served:
            at_rest = cpu.memory_mb(served.pid)
            told = await watched(house, served, event_id, clients)
        per_client = (told["memory_mb"] - at_rest) * 1024 / clients
        frames = told["clients"] * told["steps"]
        rate = frames / (told["steps"] * told["last_client_p50_ms"] / 1e3)
        more = {name: float(value) for name, value in told.items() if name not in {"p50_ms", "p99_ms"}}
        return Sample(
            rate=rate, p50_ms=told["p50_ms"], p99_ms=told["p99_ms"], more={**more, "kb_per_client": per_client}
        )

    return Contender(f"one change told to {clients:,} clients of one process", "frames/s", measure, clients)


async def watched(house: House, served: Served, event_id: int, clients: int) -> dict[str, Any]:
    """Run the clients in their own process, on the last core."""
    asked = {
        "clients": clients, "steps": STEPS, "event_id": event_id, "port": served.port, "pid": served.pid,
        "sales_url": house.sales_url, "redis_url": house.redis_url,
    }  # fmt: skip
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "bench.watchers"],
        input=json.dumps(asked).encode(), capture_output=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(f"the clients failed: {run.stderr.decode()[-2000:]}")
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def race_with_early_no(house: House) -> Contender:
    """The race for the last seats through HTTP; what the picture refused is read from the process's own metric."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh(seats=LAST_SEATS)
        async with serving("bookings", house, Buyers()) as served:
            sample = await served.drive(
                "race", wanted=frozenset({"201", "409"}), connections=CROWD, event_id=event_id, seats=LAST_SEATS,
                from_the_gun=True,
            )  # fmt: skip
            share = await refused_early(served)
        return Sample(
            rate=sample.rate, p50_ms=sample.p50_ms, p99_ms=sample.p99_ms,
            more={**sample.more, "refused_early_share": share},
        )  # fmt: skip

    return Contender(f"our holds through HTTP, the last {LAST_SEATS} seats", "attempts/s", measure, CROWD)


async def refused_early(served: Served) -> float:
    """Read the share of all reserve calls that the picture refused off the process's own counters."""
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"http://127.0.0.1:{served.port}/metrics")).text
    asked = sum(map(float, ASKED.findall(told)))
    if not asked:
        raise RuntimeError("the process counted no call of POST /bookings/reserve")
    return sum(map(float, EARLY.findall(told))) / asked


def allow_files(count: int) -> None:
    """Let the processes that are started from here open so many files, where the machine lets us.

    :raises RuntimeError: when it does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise RuntimeError(f"this machine lets a process open {hard} files, {count} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
