"""A service of several instances: one that dies or hangs costs no caller an answer that may be asked for twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client import REGISTRY
from tests.support.servers import served

from boxoffice.runtime.embedded.ports import free_port
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.gateway.app import build
from boxoffice.services.gateway.providers.instances import Instances

PATIENCE_S = 30.0


@dataclass
class Desk:
    """One instance: says its name, or hangs."""

    name: str
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        if self.hangs:
            await self.go_on.wait()
        if scope["path"] != "/health/live":
            self.asked.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.name.encode()})


@asynccontextmanager
async def gateway(*desks: Desk, beside: str = "") -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(served(desk)) for desk in desks]
        app = build(Settings(redis_url="", bookings_url=",".join([*urls, *([beside] if beside else [])])), Peers({}))
        await stack.enter_async_context(app.lifespan())
        address = await stack.enter_async_context(served(app))
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=60))
        for desk in desks:
            desk.go_on.set()


class TestInstances:
    async def test_share_the_calls(self) -> None:
        async with gateway(Desk("one"), Desk("two")) as client:
            names = [(await client.get("/api/v1/bookings")).text for _ in range(40)]
        assert set(names) == {"one", "two"}

    async def test_one_that_is_not_there_costs_nobody_an_answer(self) -> None:
        async with gateway(Desk("one"), beside=f"http://127.0.0.1:{free_port()}") as client:
            for _ in range(20):
                assert (await client.get("/api/v1/bookings")).text == "one"
                assert (await client.post("/api/v1/bookings/reserve", json={})).text == "one"

    async def test_one_that_hangs_loses_the_calls_that_may_be_repeated(self) -> None:
        hanging, other = Desk("one", hangs=True), Desk("two")
        async with gateway(hanging, other) as client:
            began = time.monotonic()
            answers = await asyncio.gather(
                *(client.get("/api/v1/bookings") for _ in range(6)),
                *(client.post("/api/v1/bookings/reserve", json={}, headers={"Idempotency-Key": f"k{n}"}) for n in range(4)),
            )  # fmt: skip
            assert {answer.text for answer in answers} == {"two"}
            assert time.monotonic() - began < PATIENCE_S

    async def test_one_that_is_not_there_shows_until_it_is(self) -> None:
        def shown(url: str) -> float | None:
            return REGISTRY.get_sample_value("boxoffice_breaker_open", {"dependency": f"desks {url}"})

        here, gone = "http://127.0.0.1:1", "http://127.0.0.1:2"
        instances, there = Instances("desks", f"{here},{gone}"), {here}

        async def lives(url: httpx.URL) -> bool:
            return str(url) in there

        assert (shown(here), shown(gone)) == (0, 0)
        instances.look_after(lives)
        async with asyncio.timeout(PATIENCE_S):
            while shown(gone) == 0:  # noqa: ASYNC110 - the looking is a task of its own
                await asyncio.sleep(0.01)
            there.add(gone)
            while shown(gone) == 1:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
        assert shown(here) == 0
        await instances.close()

    async def test_a_call_without_a_key_is_never_made_twice(self) -> None:
        desks = Desk("one", hangs=True), Desk("two", hangs=True)
        async with gateway(*desks) as client:
            waiting = asyncio.create_task(client.post("/api/v1/bookings/reserve", json={}))
            await asyncio.sleep(2.5)  # longer than an instance may be silent
            for desk in desks:
                desk.go_on.set()
            assert (await waiting).status_code == 200
        assert len(desks[0].asked + desks[1].asked) == 1

    async def test_one_that_comes_back_gets_calls_again(self) -> None:
        desk, other = Desk("one", hangs=True), Desk("two")
        async with gateway(desk, other) as client:
            assert {(await client.get("/api/v1/bookings")).text for _ in range(10)} == {"two"}
            desk.hangs = False
            desk.go_on.set()
            deadline = time.monotonic() + PATIENCE_S
            while (await client.get("/api/v1/bookings")).text != "one":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


class TestChoosing:
    def test_takes_the_less_busy_of_two(self) -> None:
        instances = Instances("bookings", "http://a:1, http://b:2")
        busy, free = instances.all
        busy.busy = 3
        assert {instances.choose() for _ in range(50)} == {free}
        assert instances.choose(beside=free) is busy
        free.left_out.set()
        assert {instances.choose() for _ in range(50)} == {busy}
        busy.left_out.set()
        assert {instances.choose() for _ in range(50)} == {free}, "of none that lives, any"

    def test_never_leaves_out_the_only_one(self) -> None:
        instances = Instances("bookings", "http://a:1")
        instances.leave_out(instances.all[0])
        assert not instances.all[0].left_out.is_set()
