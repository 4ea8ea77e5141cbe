"""The sale with Valkey emptied every second, and with Valkey dead: ``python -m tests.chaos.without_valkey``.

Buyers with seats of their own go through the whole checkout; what is counted is how many end with tickets.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import redis.asyncio
import uvloop
from redis.exceptions import RedisError
from tests.chaos.__main__ import put_on_sale, say
from tests.chaos.buyers import Crowd, Customer
from tests.chaos.judge import Judge
from tests.chaos.town import Town
from tests.support.checkers.history import Log
from tests.support.checkers.sometimes import Sometimes

BUYERS = 5
SECONDS = 40.0
HOLD_S = 120
"""Nobody's time runs out here: a buyer who is slow on a busy machine is not what is looked at."""


async def flush_every_second(town: Town, over: asyncio.Event) -> None:
    """FLUSHALL until told otherwise."""
    client = redis.asyncio.Redis.from_url(town.direct_valkey())
    while not over.is_set():
        with suppress(RedisError):
            await client.flushall()
        await asyncio.sleep(1)
    await client.aclose()


async def dead(town: Town, over: asyncio.Event) -> None:
    """No Valkey until told otherwise."""
    await town.kill_valkey()
    await over.wait()
    await town.start_valkey()


async def checkout(crowd: Crowd, customer: Customer, seat: int) -> bool:
    """Reserve, pay, come back, confirm, cancel: whether there were tickets."""
    event, url = crowd.event, crowd.url
    held = await crowd.do(
        customer, "reserve", {"seats": [seat]},
        ("POST", "/bookings/reserve", {"userId": customer.user_id, "eventId": event, "ticketIds": [seat]}),
        lambda told: {"booking": told["bookingId"], "hold_s": HOLD_S / 2},
    )  # fmt: skip
    if held is None:
        return False
    booking, back = held["booking"], f"{url}/bookings"
    paying = await crowd.do(
        customer, "pay", {"booking": booking},
        ("POST", "/payments/create", {"bookingId": booking, "provider": "paypal", "returnUrl": back, "cancelUrl": back}),
        lambda told: {"payment": told["paymentId"], "approve_at": told["approvalUrl"]},
    )  # fmt: skip
    if paying is None:
        return False
    await crowd.follow(await crowd.approve(customer, paying))
    done = await crowd.do(
        customer, "confirm", {"booking": booking},
        ("PUT", f"/bookings/confirm/{booking}", {"paymentId": paying["payment"]}),
        lambda told: {"tickets": [ticket["issuedTicketId"] for ticket in told["tickets"]]},
    )  # fmt: skip
    if done is not None:
        crowd.confirmed[booking] = (customer, time.monotonic())
        await crowd.cancel(booking)
    return done is not None


async def phase(town: Town, crowd: Crowd, name: str, breaking: Any, seconds: float) -> dict[str, Any]:
    """Let everybody buy while something is broken."""
    over = asyncio.Event()
    breaks = asyncio.create_task(breaking(town, over))
    await asyncio.sleep(2)
    counted: Counter[str] = Counter()
    until = time.monotonic() + seconds

    async def buy(customer: Customer, seats: list[int]) -> None:
        while time.monotonic() < until:
            counted["ok" if await checkout(crowd, customer, crowd.rng.choice(seats)) else "failed"] += 1

    share = len(crowd.seats) // BUYERS
    await asyncio.gather(
        *(buy(one, crowd.seats[n * share : (n + 1) * share]) for n, one in enumerate(crowd.customers[:BUYERS]))
    )
    over.set()
    await breaks
    total = counted["ok"] + counted["failed"]
    say(f"{name}: {counted['ok']} of {total} checkouts ended with tickets ({counted['ok'] / max(1, total):.2%})")
    return {"checkouts": total, "with_tickets": counted["ok"]}


async def run(seconds: float, folder: Path) -> dict[str, Any]:
    """Both phases, and every checker."""
    town = Town(folder / "town", random.Random(0), small_disk=False)
    try:
        await town.open()
        crowd = Crowd(town.url("gateway"), random.Random(1), Log(folder / "history.jsonl"))
        crowd.event, crowd.seats = await put_on_sale(town)
        await town.look("UPDATE event_terms SET hold_seconds = $1, limit_per_customer = 200", HOLD_S)
        await crowd.open_accounts(BUYERS)
        judge = Judge(town, crowd, Sometimes())
        await judge.open()
        found: dict[str, Any] = {
            "flushed_every_second": await phase(town, crowd, "flushed every second", flush_every_second, seconds),
            "stopped": await phase(town, crowd, "stopped", dead, seconds),
        }
        found["quiet_after_s"] = round(await judge.until_quiet(), 1)
        found["violations"] = (await judge.verdict()).violations
        found["codes"] = dict(crowd.codes.most_common(15))
        await crowd.client.aclose()
        return found
    finally:
        await town.close()


def main() -> int:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.without_valkey", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each phase")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-valkey-"))
    folder.chmod(0o755)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(run(given.seconds, folder))
    print(json.dumps(found, indent=1))
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
