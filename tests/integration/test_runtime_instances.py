"""Several processes of one service: the less busy is asked, one that is away is passed over, nothing is asked twice (I21)."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.support.servers import served
from tests.support.shop import free_port

from boxoffice.runtime.instances import Instances, SpreadTransport


def counting(seen: list[str], name: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.append(f"{name} {scope['method']}")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": name.encode()})

    return app


class TestInstances:
    def test_asks_the_less_busy_one(self) -> None:
        both = Instances("http://a.example, http://b.example")
        first = both.choose()
        with both.asking(first):
            assert {both.choose().url for _ in range(10)} == {one.url for one in (both.choose(besides=first),)}

    def test_passes_over_one_that_is_away_until_none_is_left(self) -> None:
        both = Instances("http://a.example,http://b.example")
        first = both.choose()
        both.failed(first)
        other = both.choose()
        assert other is not first
        both.failed(other)
        assert both.choose() is first

    def test_a_lone_one_is_asked_whatever_happened(self) -> None:
        lone = Instances("http://a.example")
        one = lone.choose()
        lone.failed(one)
        assert lone.choose(besides=one) is one


class TestSpreadTransport:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_asks_another_when_one_cannot_be_reached(self, method: str) -> None:
        seen: list[str] = []
        async with served(counting(seen, "a")) as address:
            transport = SpreadTransport(Instances(f"http://127.0.0.1:{free_port()},{address}"))
            async with httpx.AsyncClient(transport=transport, base_url=address) as client:
                answers = await asyncio.gather(*(client.request(method, "/", content=b"x") for _ in range(8)))
        assert [answer.text for answer in answers] == ["a"] * 8
        assert seen == [f"a {method}"] * 8

    async def test_says_so_when_none_can_be_reached(self) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        transport = SpreadTransport(Instances(f"{nowhere},{nowhere}"))
        async with httpx.AsyncClient(transport=transport, base_url=nowhere) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("/")
