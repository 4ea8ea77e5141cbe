"""While a service does not answer, its public pages are shown as they were last heard; nothing else is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tests.support.servers import served

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.catalog.api.parts import PRIVATE, PUBLIC
from boxoffice.services.gateway.api import keeping
from boxoffice.services.gateway.app import build

PATIENCE_S = 0.3


@dataclass
class Moody:
    """A service that answers, fails, or says nothing; it counts what it is asked."""

    mood: str = "well"
    keep: str = PUBLIC
    asked: list[str] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        if self.mood == "silent":
            await self.go_on.wait()
        status = {"well": 200, "failing": 503, "gone": 404}.get(self.mood, 200)
        body = f"{scope['path']}?{scope['query_string'].decode()} {len(self.asked)}".encode()
        headers = [(b"cache-control", self.keep.encode()), (b"etag", b'"v1"'), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def gateway(catalog: Moody, *, many: bool) -> AsyncIterator[httpx.AsyncClient]:
    async with served(catalog) as url:
        peers = Peers({})
        if not many:
            peers.attach("catalog", catalog)
        app = build(Settings(redis_url="", catalog_url=url if many else ""), peers)
        async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
            yield client
        catalog.go_on.set()
        await peers.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PATIENCE_S", PATIENCE_S)


BOTH = pytest.mark.parametrize("many", [False, True], ids=["one process", "many processes"])


@BOTH
class TestKeeping:
    @pytest.mark.parametrize("mood", ["failing", "silent"])
    async def test_shows_what_was_heard_last(self, mood: str, *, many: bool) -> None:
        catalog = Moody()
        async with gateway(catalog, many=many) as client:
            heard = await client.get("/api/v1/events/7")
            catalog.mood = mood
            shown = await client.get("/api/v1/events/7")
            assert (shown.status_code, shown.content) == (200, heard.content)
            assert (shown.headers["age"], shown.headers["warning"][:3]) == ("0", "111")
            assert shown.headers["cache-control"] == "public, max-age=1"
            asked = len(catalog.asked)
            assert (await client.get("/api/v1/events/7")).content == heard.content
            assert len(catalog.asked) == asked, "it is left alone for a moment"
            head = await client.head("/api/v1/events/7")
            assert (head.status_code, head.content) == (200, b"")

    async def test_asks_again_after_a_moment(self, monkeypatch: pytest.MonkeyPatch, *, many: bool) -> None:
        monkeypatch.setattr(keeping, "REST_S", 0.0)
        catalog = Moody()
        async with gateway(catalog, many=many) as client:
            await client.get("/api/v1/events/7")
            catalog.mood = "failing"
            assert "age" in (await client.get("/api/v1/events/7")).headers
            catalog.mood = "well"
            again = await client.get("/api/v1/events/7")
            assert (again.text, "age" in again.headers) == ("/api/v1/events/7? 3", False)

    async def test_shows_nothing_that_may_not_be_kept(self, *, many: bool) -> None:
        for keep in (PRIVATE, "no-store", "public, max-age=15"):
            catalog = Moody(keep=keep)
            async with gateway(catalog, many=many) as client:
                await client.get("/api/v1/events/7")
                catalog.mood = "failing"
                assert (await client.get("/api/v1/events/7")).status_code == 503

    async def test_shows_nothing_that_somebody_was_told_under_their_name(self, *, many: bool) -> None:
        catalog = Moody()
        async with gateway(catalog, many=many) as client:
            await client.get("/api/v1/events/7", headers={"Authorization": "Bearer of-somebody"})
            catalog.mood = "failing"
            assert (await client.get("/api/v1/events/7")).status_code == 503

    async def test_keeps_addresses_apart(self, *, many: bool) -> None:
        catalog = Moody()
        async with gateway(catalog, many=many) as client:
            await client.get("/api/v1/events?pageNo=1")
            catalog.mood = "failing"
            assert (await client.get("/api/v1/events?pageNo=2")).status_code == 503
            assert (await client.get("/api/v1/events?pageNo=1")).text.startswith("/api/v1/events?pageNo=1 ")

    async def test_forgets_what_is_gone(self, *, many: bool) -> None:
        catalog = Moody()
        async with gateway(catalog, many=many) as client:
            await client.get("/api/v1/events/7")
            catalog.mood = "gone"
            assert (await client.get("/api/v1/events/7")).status_code == 404
            catalog.mood = "failing"
            assert (await client.get("/api/v1/events/7")).status_code == 503

    async def test_never_answers_a_write(self, *, many: bool) -> None:
        catalog = Moody()
        async with gateway(catalog, many=many) as client:
            await client.get("/api/v1/events")
            catalog.mood = "failing"
            assert (await client.post("/api/v1/events", json={})).status_code == 503


class TestBounds:
    async def test_the_oldest_go_first(self) -> None:
        async def said(scope: Any, body: bytes, *, status: int = 200) -> bytes:
            got = b""

            async def ask(send: Any) -> None:
                headers = [(b"cache-control", PUBLIC.encode())]
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})

            async def send(message: Any) -> None:
                nonlocal got
                got += message.get("body", b"")

            await keeper.through("catalog", scope, ask, send)
            return got

        def scope(number: int) -> Any:
            return {"method": "GET", "path": f"/{number}", "query_string": b"", "headers": []}

        keeper = keeping.Keeper(most_bytes=250)
        for number in range(3):
            await said(scope(number), bytes([65 + number]) * 100)
        assert await said(scope(0), b"failed", status=503) == b"failed"
        assert await said(scope(2), b"failed", status=503) == b"C" * 100
        await said(scope(9), b"x" * (keeping.MOST_BODY_BYTES + 1))
        assert await said(scope(2), b"failed", status=503) == b"C" * 100
