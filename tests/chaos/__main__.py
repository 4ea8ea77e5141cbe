"""Run chaos: ``python -m tests.chaos --minutes 10 --seed 7``; prints what it does, and at the end what it found.

The seed decides the schedule of faults and the buyers' dice; a failing one is printed, and stored beside the history in
the folder that is printed too. The same command with that seed runs the same schedule again.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx
import uvloop
from tests.chaos.buyers import Crowd
from tests.chaos.judge import Judge
from tests.chaos.nemesis import ENDED_DB, HOLD_S, Nemesis
from tests.chaos.town import Town
from tests.support.checkers.history import Log
from tests.support.checkers.sometimes import Sometimes, least

RATE = 18.0
"""Arrivals a second, whatever is answered (open loop): 70 % browse, the others begin a visit with a reserve."""
BROWSE = 0.7
MOST_AT_ONCE = 400
HOT_SEATS = 200
CUSTOMERS = 40
LIMIT = 60
"""For ten minutes, more for longer: the hold budget of so few customers (three times this, in holds) has to last for a
run; limits are tested elsewhere."""
PART_MINUTES = 5
"""In each such part of a run tickets must have been sold: else its end proves nothing but that doors stay shut."""
SOLD_SHARE = 0.5
"""When more than this of the house is sold, somebody cancels, so that the sale goes on."""
PASSWORD = "long-enough-for-a-town-1"
INSIDE = "BOXOFFICE_CHAOS_INSIDE"
SUMMARY_S = 30.0
OVERTIME_S = 300.0
OVERTIME_LOOK_S = 15.0


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


async def put_on_sale(town: Town, minutes: float = 10.0) -> tuple[int, list[int]]:
    """An organiser's event of 200 seats; the hold is made shorter than what a frozen process sleeps."""
    await asyncio.to_thread(town.make_administrator, "administrator@example.org", PASSWORD)
    async with httpx.AsyncClient(base_url=f"{town.url('gateway')}/api/v1", timeout=60, trust_env=False) as client:

        async def call(method: str, path: str, body: Any = None) -> Any:
            answer = await client.request(method, path, json=body)
            assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:300]}"
            return answer.json() if answer.content else None

        async def login(email: str) -> None:
            told = await call("POST", "/auth/login", {"email": email, "password": PASSWORD})
            client.headers["authorization"] = f"Bearer {told['accessToken']}"

        await login("administrator@example.org")
        category = await call("POST", "/categories", {"name": "Concert"})
        del client.headers["authorization"]
        await call("POST", "/auth/register", {"name": "Org", "email": "org@example.org", "password": PASSWORD})
        await login("org@example.org")
        await call("POST", "/organisations", {"name": "A society"})
        await login("org@example.org")
        venue = await call(
            "POST",
            "/venues",
            {"name": "A hall", "description": "", "location": "1 Some Street", "totalSeats": HOT_SEATS},
        )
        concert = {
            "name": "Town", "description": "On sale under fire", "startTime": "2031-05-01T19:30:00",
            "endTime": "2031-05-01T22:00:00", "availableSeats": HOT_SEATS, "venueId": venue["id"],
            "categoryId": category["id"],
        }  # fmt: skip
        event = (await call("POST", "/events", concert))["id"]
        seats = [
            {"seatId": n, "section": "Stalls", "row": str(n // 20 + 1), "number": str(n % 20 + 1), "price": 40 + n % 7}
            for n in range(HOT_SEATS)
        ]
        made = await call("POST", f"/tickets/event/{event}/create", seats)
        await call("POST", f"/events/{event}/publish")
    deadline = time.monotonic() + 60
    while not await town.look(
        "UPDATE event_terms SET hold_seconds = $2, limit_per_customer = $3"
        " WHERE event_id = $1 AND status = 'published' RETURNING 1",
        event,
        HOLD_S,
        round(LIMIT * max(1.0, minutes / 10)),
    ):
        assert time.monotonic() < deadline, "sales never heard that the event is published"
        await asyncio.sleep(0.2)
    return event, [seat["ticketId"] for seat in made]


async def keep_time(judge: Judge, minutes: float, over: asyncio.Event) -> float:
    """Let the run be over when its time is, and the sometimes-list complete; returns the overtime in seconds.

    What must have happened hangs on chance and on the machine: a few minutes more make a boring run a proof. A run that
    is still boring then is invalid.
    """
    await asyncio.sleep(max(0.0, judge.crowd.began + minutes * 60 - time.monotonic()))
    ended = time.monotonic()
    while time.monotonic() - ended < OVERTIME_S:
        with suppress(*ENDED_DB, httpx.HTTPError, ValueError):
            await judge.count_sometimes()
            missing = judge.seen.missing(minutes)
            if not missing:
                break
            say(f"  overtime, for want of: {', '.join(missing)}")
        await asyncio.sleep(OVERTIME_LOOK_S)
    over.set()
    return time.monotonic() - ended


async def arrivals(crowd: Crowd, over: asyncio.Event) -> None:
    """Let people come, whether or not those before them were answered."""
    tasks: set[asyncio.Task[None]] = set()
    at = time.monotonic()
    while not over.is_set():
        at += crowd.rng.expovariate(RATE)
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        if len(tasks) >= MOST_AT_ONCE:
            crowd.count("turned away by ourselves")
            continue
        task = asyncio.create_task(crowd.browse() if crowd.rng.random() < BROWSE else crowd.visit())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if len(crowd.confirmed) * 1.3 > SOLD_SHARE * len(crowd.seats):
            oldest = min(crowd.confirmed, key=lambda booking: crowd.confirmed[booking][1])
            again = asyncio.create_task(cancelled(crowd, oldest))
            tasks.add(again)
            again.add_done_callback(tasks.discard)
    say(f"  no more arrivals; {len(tasks)} visits go on")
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 45)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def cancelled(crowd: Crowd, booking: str) -> None:
    """Cancel unless its owner just does."""
    if booking in crowd.confirmed:
        await crowd.cancel(booking)


async def report(crowd: Crowd, nemesis: Nemesis) -> None:
    """Print a line now and then."""
    while True:
        await asyncio.sleep(SUMMARY_S)
        done = {
            name: crowd.outcomes[name]
            for name in ("browse ok", "reserve ok", "reserve refused", "confirm ok", "cancel ok")
        }
        unknown = sum(times for name, times in crowd.outcomes.items() if name.endswith("unknown"))
        broken = nemesis.events[-1].act if nemesis.events else "nothing"
        say(f"  {time.monotonic() - crowd.began:5.0f} s  {done}  unknown {unknown}  now: {broken}")


async def run(minutes: float, seed: int, folder: Path, *, small_disk: bool) -> dict[str, Any]:
    """Run one town from the first process to the verdict."""
    rng = random.Random(seed)
    town = Town(folder / "town", random.Random(rng.random()), small_disk=small_disk)
    began = time.monotonic()
    try:
        await town.open()
        say(
            f"the town is up after {time.monotonic() - began:.0f} s: {', '.join(sorted(town.programs))}, postgres, valkey"
        )
        crowd = Crowd(town.url("gateway"), random.Random(rng.random()), Log(folder / "history.jsonl"))
        crowd.event, crowd.seats = await put_on_sale(town, minutes)
        await crowd.open_accounts(CUSTOMERS)
        seen = Sometimes()
        judge = Judge(town, crowd, seen)
        await judge.open()
        crowd.began = time.monotonic()
        nemesis = Nemesis(town, random.Random(rng.random()), seen, crowd.began)
        over = asyncio.Event()
        watching = asyncio.create_task(judge.watch())
        reporting = asyncio.create_task(report(crowd, nemesis))
        _, _, overtime_s = await asyncio.gather(
            arrivals(crowd, over), nemesis.run(over), keep_time(judge, minutes, over)
        )
        reporting.cancel()
        say("healing")
        await nemesis.heal()
        quiet_s = await judge.until_quiet()
        watching.cancel()
        await asyncio.gather(watching, reporting, return_exceptions=True)
        verdict = await judge.verdict()
        await crowd.client.aclose()
        return {
            **result(minutes, seed, crowd, nemesis, judge, verdict.violations, verdict.figures, quiet_s),
            "overtime_s": round(overtime_s, 1),
        }
    finally:
        await town.close()


def result(
    minutes: float, seed: int, crowd: Crowd, nemesis: Nemesis, judge: Judge, violations: list[str],
    figures: dict[str, Any], quiet_s: float,
) -> dict[str, Any]:  # fmt: skip
    """Put together what the run came to."""
    seen = judge.seen
    return {
        "minutes": minutes,
        "seed": seed,
        "violations": violations,
        "sometimes": {name: {"seen": seen.counted[name], "least": wanted} for name, wanted in least(minutes).items()},
        "sometimes_missing": [*seen.missing(minutes), *dull_parts(crowd, minutes)],
        "acts": dict(sorted(nemesis.done.items())),
        "acts_that_failed": dict(nemesis.failed),
        "left_out": nemesis.left_out,
        "clock_skew_s": nemesis.town.skew_s,
        "clock_skew_by": "libfaketime" if nemesis.town.skew_is_real else "a shim of time.time",
        "outcomes": dict(sorted(crowd.outcomes.items())),
        "codes": dict(crowd.codes.most_common(30)),
        "quiet_after_s": round(quiet_s, 1),
        "figures": figures,
        "events": [[event.act, round(event.begin, 1), round(event.end, 1)] for event in nemesis.events],
        "seconds": {second: dict(counted) for second, counted in sorted(crowd.by_second.items())},
    }


def dull_parts(crowd: Crowd, minutes: float) -> list[str]:
    """Name the parts of a run in which nobody got tickets."""
    parts = max(1, int(minutes // PART_MINUTES))
    sold = {int(second // (minutes * 60 / parts)) for second, seen in crowd.by_second.items() if seen["confirm ok"]}
    return [f"tickets sold in part {part + 1} of {parts}" for part in range(parts) if part not in sold]


def private_namespace() -> bool:
    """Begin again in a mount namespace of our own, where that is allowed; tells whether we are in one."""
    if os.environ.get(INSIDE):
        return True
    prefix = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    mounts = ["sh", "-c", "mount -t tmpfs none /mnt"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, *mounts], check=False, capture_output=True).returncode
    ):
        return False
    os.environ[INSIDE] = "yes"
    os.execvp(prefix[0], [*prefix, sys.executable, "-m", "tests.chaos", *sys.argv[1:]])  # noqa: S606 - it replaces us
    return False


def main() -> int:
    """Read the command line, run, print, and end with 1 for a violation, 2 for a boring run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="default: any")
    parser.add_argument("--json", type=Path, default=None, help="where the result goes")
    parser.add_argument("--folder", type=Path, default=None, help="logs and history; default: a temporary one")
    given = parser.parse_args()
    small_disk = private_namespace()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    folder = given.folder or Path(tempfile.mkdtemp(prefix="boxoffice-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as somebody else
    say(f"chaos: {given.minutes:g} minutes, seed {seed}, folder {folder}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(run(given.minutes, seed, folder, small_disk=small_disk))
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    for name in (
        "acts",
        "acts_that_failed",
        "left_out",
        "outcomes",
        "codes",
        "sometimes",
        "figures",
        "quiet_after_s",
        "overtime_s",
    ):
        say(f"{name}: {json.dumps(found[name])}")
    for text in found["violations"]:
        say(f"VIOLATION {text}")
    for text in found["sometimes_missing"]:
        say(f"MISSING {text}")
    bad = bool(found["violations"])
    if bad or found["sometimes_missing"]:
        say(f"run it again: python -m tests.chaos --minutes {given.minutes:g} --seed {seed}")
    elif given.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    say("violations: " + str(len(found["violations"])))
    return 1 if bad else 2 if found["sometimes_missing"] else 0


if __name__ == "__main__":
    sys.exit(main())
