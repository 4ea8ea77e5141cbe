"""Group ``orders``: a whole order, hold to tickets, beside pretix's in the same rounds."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from bench import cpu, pretix
from bench.house import House
from bench.over_http import Buyers, load, sample_of, serving
from bench.rounds import Contender, Findings, Sample, against, interleaved, ratio
from boxoffice.simulators.paypal import launch

CONNECTIONS, THEIR_CONNECTIONS = 40, 16
"""pretix has 16 threads: more would only wait and make its p99 worse. With 64 ours sells more, and waits longer."""
SEATS = 60_000
SECONDS, WARM_UP_S = 8.0, 2.0
"""pretix makes some ten orders a second: in a shorter round its p99 would be of forty orders."""
ROUNDS = 3
ORDERED = frozenset({"ordered"})
BUSY = "409"
"""pretix's answer to an order that waited too long for its lock; not an order, so not counted as one."""
STUB = "our whole order: hold, pay, confirm, tickets (stub provider in process)"
TILL = "our whole order, at the PayPal simulator over HTTP"
THEIRS = "pretix's order over its API (provider manual)"

Say = Callable[[str], None]
Left = Callable[[], float]


def ours(house: House, buyers: Buyers, connections: int, *, core: int | None = None) -> Contender:
    """Two seats an order in three calls, to one process of bookings and one of payments."""

    async def measure() -> Sample:
        first, event_id = await house.fresh(events=2, seats=SEATS)
        async with AsyncExitStack() as stack:
            processes = [
                await stack.enter_async_context(serving(kind, house, buyers, core=core))
                for kind in ("bookings", "payments")
            ]
            ports, pids = [one.port for one in processes], [one.pid for one in processes]
            asked = {"seats": SEATS, "provider": "stub", "connections": connections}
            await load({
                "flow": "order", "ports": ports, "tokens": buyers.tokens, "seconds": WARM_UP_S, "event_id": first,
                **asked,
            })  # fmt: skip
            await house.ran("ANALYZE")  # what a shop that has sold before has done long ago
            return await bought(house, buyers, ports, pids, {"event_id": event_id, **asked})

    return Contender(STUB, "orders/s", measure, connections)


def at_the_simulator(house: House, buyers: Buyers, connections: int) -> Contender:
    """The same, with a provider in another process that is asked four times over HTTP, and a buyer who approves."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh(seats=SEATS)
        async with AsyncExitStack() as stack:
            paypal = stack.enter_context(launch.running(house.folder / "paypal"))
            settings = {
                "paypal_api_url": paypal.url, "paypal_client_id": paypal.client_id,
                "paypal_client_secret": paypal.client_secret, "paypal_webhook_id": paypal.webhook_id,
            }  # fmt: skip
            processes = [
                await stack.enter_async_context(serving(kind, house, buyers, core=None, settings=settings))
                for kind in ("bookings", "payments")
            ]
            ports = [*[one.port for one in processes], int(paypal.url.rsplit(":", 1)[1])]
            return await bought(house, buyers, ports, [one.pid for one in processes], {
                "event_id": event_id, "seats": SEATS, "provider": "paypal", "connections": connections,
                "approve": "choice=pay",
            })  # fmt: skip

    return Contender(TILL, "orders/s", measure, connections)


async def bought(house: House, buyers: Buyers, ports: list[int], pids: list[int], asked: dict[str, object]) -> Sample:
    before, theirs = [cpu.of_process(pid) for pid in pids], cpu.of_server(house.postmaster)
    told = await load({"flow": "order", "ports": ports, "seconds": SECONDS, "tokens": buyers.tokens, **asked})
    spent = sum(cpu.of_process(pid).since(was).both for pid, was in zip(pids, before, strict=True))
    database = cpu.of_server(house.postmaster).since(theirs).both
    return sample_of(told, ORDERED, {
        "process_cpu_us": spent / told["done"] * cpu.MICROSECONDS,
        "server_cpu_us": database / told["done"] * cpu.MICROSECONDS,
    })  # fmt: skip


def peers(shop: pretix.Pretix, connections: int) -> Contender:
    """Two positions an order in one call, not yet paid: what follows, payment and tickets, is not counted."""

    async def measure() -> Sample:
        told = await load({
            "flow": "pretix", "ports": [shop.port], "connections": connections, "seconds": SECONDS,
            "tokens": [""], "token": shop.token, "item": shop.item,
        })  # fmt: skip
        busy = told["answers"].pop(BUSY, 0)
        return sample_of(told, ORDERED, {"refused_as_busy": float(busy)})

    return Contender(THEIRS, "orders/s", measure, connections)


async def orders(house: House, say: Say, left: Left) -> Findings:
    """Orders a second, each with a number of connections that suits it."""
    found = Findings()
    buyers = Buyers()
    pretix.install(say)
    async with pretix.serving(house) as shop:
        mine, simulated = ours(house, buyers, CONNECTIONS), at_the_simulator(house, buyers, CONNECTIONS)
        theirs = peers(shop, THEIR_CONNECTIONS)
        crowd = [mine, simulated, theirs]
        await interleaved(crowd, rounds=ROUNDS, say=say, left=left)
    found.contenders += crowd
    found.records += [against(mine, other) for other in crowd[1:]]
    found.keys["order_vs_pretix"] = ratio(mine, theirs)
    found.keys["order_p99_vs_pretix"] = (mine.middle("p99_ms") or 0.0) / (theirs.middle("p99_ms") or 1.0)
    found.keys["order_at_simulator_vs_pretix"] = ratio(simulated, theirs)
    found.notes.append(
        f"pretix {pretix.VERSION} under gunicorn, 2 workers of 8 threads, on the same PostgreSQL and Valkey. Its "
        "background tasks are queued and never run, its order has no seats, is not paid and has no tickets yet; "
        "ours is held, paid, confirmed and has its tickets in the answer. Its provider calls nobody, so the ratio "
        "is with our stub; the simulator's line shows what a provider over HTTP costs us. Orders that pretix "
        f"refused as busy (409): {theirs.middle('refused_as_busy') or 0:.0f} in a round."
    )
    few = ours(house, buyers, THEIR_CONNECTIONS)
    await interleaved([few], rounds=1, say=say, left=left)
    found.contenders.append(few)
    return found
