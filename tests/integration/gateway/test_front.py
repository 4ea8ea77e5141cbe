"""The front door: bodies, paths, headers, limits, services that are away; in one process and over the network."""

import asyncio
import html
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tests.support.servers import served
from websockets.asyncio.client import connect

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.runtime.telemetry import configure_logging
from boxoffice.services.gateway.api.answers import refuse
from boxoffice.services.gateway.app import build
from boxoffice.services.gateway.domain.refusals import ServiceAwayError

MIB = 1024 * 1024


@dataclass
class Echo:
    """A service that says what it saw."""

    seen: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        found = {
            "method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode(),
            "headers": {name.decode(): value.decode() for name, value in scope["headers"]}, "size": len(body),
        }  # fmt: skip
        self.seen.append(found)
        raw = json.dumps(found).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
            (b"x-own", b"1"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": raw})

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        await send({"type": "websocket.send", "text": scope["path"]})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "end":
                await send({"type": "websocket.close", "code": 4001, "reason": "as asked"})
                return
            await send({"type": "websocket.send", "text": f"heard {message['text']}"})


@asynccontextmanager
async def gateway(echo: Echo, *, many: bool, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway on a socket, with the echo as catalog, tickets and storefront beside it or behind it."""
    names = ("catalog", "tickets", "storefront")
    async with served(echo) if many else _nothing() as url:
        urls = {f"{name}_url": url for name in names} if many else {}
        peers = Peers({name: url for name in names if url})
        if not many:
            for name in names:
                peers.attach(name, echo)
        app = build(Settings(**{"redis_url": "", **urls, **settings}), peers)
        async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
            yield client
        await peers.close()


@asynccontextmanager
async def _nothing() -> AsyncIterator[str]:
    yield ""


BOTH = pytest.mark.parametrize("many", [False, True], ids=["one process", "many processes"])


@BOTH
class TestPassingOn:
    async def test_reaches_the_service_with_path_query_and_body(self, *, many: bool) -> None:
        async with gateway(Echo(), many=many) as client:
            found = (await client.post("/api/v1/events?x=1&x=%C3%A9", content=b"abc")).json()
        assert (found["method"], found["path"], found["query"], found["size"]) == (
            "POST",
            "/api/v1/events",
            "x=1&x=%C3%A9",
            3,
        )

    async def test_says_itself_who_calls(self, *, many: bool) -> None:
        lies = {
            "X-User-Id": "1", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil.example", "Forwarded": "for=6.6.6.6",
            "X-Real-IP": "6.6.6.6", "Authorization": "Bearer t", "Connection": "X-Drop", "X-Drop": "1",
        }  # fmt: skip
        async with gateway(Echo(), many=many) as client:
            answer = await client.get("/api/v1/events", headers=lies)
            host = client.base_url.netloc.decode()
        headers = answer.json()["headers"]
        assert not {"x-user-id", "forwarded", "x-real-ip", "x-drop"} & set(headers)
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["x-forwarded-host"] == host
        assert headers["authorization"] == "Bearer t"
        assert answer.headers["x-own"] == "1"

    async def test_carries_the_trace(self, *, many: bool) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        async with gateway(Echo(), many=many) as client:
            headers = (await client.get("/api/v1/events", headers={"traceparent": trace})).json()["headers"]
            fresh = (await client.get("/api/v1/events")).json()["headers"]
        assert headers["traceparent"].split("-")[1] == trace.split("-")[1]
        assert headers["traceparent"] != trace
        assert len(fresh["traceparent"]) == len(trace)

    async def test_answers_head_without_a_body(self, *, many: bool) -> None:
        async with gateway(Echo(), many=many) as client:
            answer = await client.head("/api/v1/events")
        assert (answer.status_code, answer.content) == (200, b"")

    async def test_passes_sockets_both_ways(self, *, many: bool) -> None:
        async with gateway(Echo(), many=many) as client:
            address = str(client.base_url).replace("http", "ws").rstrip("/")
            async with connect(f"{address}/api/v1/events/7/live", proxy=None) as socket:
                assert await socket.recv() == "/api/v1/events/7/live"
                await socket.send("hello")
                assert await socket.recv() == "heard hello"
                await socket.send("end")
                await asyncio.wait_for(socket.wait_closed(), 5)
                assert (socket.close_code, socket.close_reason) == (4001, "as asked")


@BOTH
class TestBodies:
    async def test_of_10_mb_is_refused_before_a_service_sees_it(self, *, many: bool) -> None:
        echo = Echo()
        async with gateway(echo, many=many) as client:
            answer = await client.post("/api/v1/events", content=b"x" * 10 * MIB)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["code"], answer.json()["limitBytes"]) == ("request.too_large", 65_536)
        assert echo.seen == []

    async def test_is_counted_while_it_streams(self, *, many: bool) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(160):
                yield b"x" * 65_536

        echo = Echo()
        async with gateway(echo, many=many) as client:
            answer = await client.post("/api/v1/events", content=pieces())
        assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
        assert echo.seen == []

    async def test_up_to_the_limit_passes_whole(self, *, many: bool) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield b"x" * 1024

        async with gateway(Echo(), many=many) as client:
            assert (await client.post("/api/v1/events", content=b"x" * 65_536)).json()["size"] == 65_536
            assert (await client.post("/api/v1/events", content=b"x" * 65_537)).status_code == 413
            assert (await client.post("/api/v1/events", content=pieces())).json()["size"] == 65_536

    async def test_may_be_larger_where_a_house_is_described(self, *, many: bool) -> None:
        async with gateway(Echo(), many=many) as client:
            assert (await client.post("/api/v1/venues/1/seat-maps", content=b"x" * MIB)).json()["size"] == MIB
            assert (await client.post("/api/v1/venues/1/seat-maps", content=b"x" * (MIB + 1))).status_code == 413


class TestRefusals:
    @pytest.mark.parametrize(
        "path", ["/api", "/api/v1/nothing", "/api/v1/users/me", "/api/v1/events%2F7", "/api/v1//events"]
    )
    async def test_below_the_api_are_problems(self, path: str) -> None:
        async with gateway(Echo(), many=False) as client:
            answer = await client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "request.not_found"
        assert answer.json()["traceId"] == answer.headers["x-request-id"]

    @pytest.mark.parametrize("path", ["/", "/docs", "/api/v1/events"])
    @pytest.mark.parametrize("method", ["TRACE", "PROPFIND"])
    async def test_of_methods_that_no_address_takes_come_before_any_service(self, method: str, path: str) -> None:
        echo = Echo()
        async with gateway(echo, many=False) as client:
            answer = await client.request(method, path, headers={"X-Canary": "said back"})
        assert (answer.status_code, answer.json()["code"]) == (501, "gateway.method_not_taken")
        assert "said back" not in answer.text
        assert echo.seen == []

    async def test_elsewhere_are_the_storefronts(self) -> None:
        async with gateway(Echo(), many=False) as client:
            assert (await client.get("/anything")).json()["path"] == "/anything"

    async def test_a_service_that_is_away_is_said_so_at_once(self) -> None:
        app = build(Settings(catalog_url="http://127.0.0.1:9", storefront_url="http://127.0.0.1:9"), Peers({}))
        async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address) as client:
            program = await client.post("/api/v1/events", json={})
            person = await client.get("/", headers={"Accept": "text/html"})
        assert (program.status_code, program.json()["code"]) == (503, "gateway.service_away")
        assert program.headers["retry-after"] == "2"
        assert person.status_code == 503
        assert person.headers["content-type"].startswith("text/html")

    @pytest.mark.usefixtures("logging_as_it_was")
    async def test_a_service_that_cannot_be_trusted_is_told_apart_in_the_log(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging(service="gateway")
        async with served(Echo()) as plain:
            app = build(Settings(catalog_url=plain.replace("http:", "https:")), Peers({}))
            async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address) as client:
                assert (await client.post("/api/v1/events", json={})).status_code == 503
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        (line,) = [line for line in lines if line["event"] == "upstream.away"]
        assert (line["level"], line["upstream"], line["error"]) == ("warning", "catalog", "ConnectError")
        assert "SSL" in line["reason"]

    async def test_on_a_page_for_people_keep_their_words_as_text(self) -> None:
        """Whatever a refusal quotes, today or later, a browser reads as words."""
        nasty = '<script>alert(1)</script><img src=x onerror=alert(2)>&"'
        error = type("NastyError", (ServiceAwayError,), {"title": nasty})(nasty)
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept", b"text/html")]}
        assert await refuse(scope, send, error) == 503
        page = sent[1]["body"].decode()
        assert page.count(html.escape(nasty)) == 3, "as the title, as the heading, and below it"
        assert "<script" not in page
        assert "<img" not in page

    @pytest.mark.parametrize(("method", "status", "calls"), [("GET", 200, 2), ("POST", 503, 1), ("DELETE", 503, 1)])
    async def test_a_lost_answer_is_asked_for_again_where_that_is_safe(
        self, method: str, status: int, calls: int
    ) -> None:
        async with losing_answers(once=b"") as (url, seen):
            app = build(Settings(catalog_url=url), Peers({}))
            async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address) as client:
                answer = await client.request(method, "/api/v1/events")
        assert (answer.status_code, len(seen)) == (status, calls)

    async def test_half_an_answer_is_never_passed_off_as_a_whole_one(self) -> None:
        async with losing_answers(once=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") as (url, _):
            app = build(Settings(catalog_url=url), Peers({}))
            async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get("/api/v1/events")


class Broken:
    """A service in this process that fails before it answers, or in the middle of it."""

    def __init__(self, *, midway: bool = False) -> None:
        self.midway = midway

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        if self.midway:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("nobody expected this")


@asynccontextmanager
async def breaking(service: Broken) -> AsyncIterator[httpx.AsyncClient]:
    peers = Peers({})
    for name in ("catalog", "storefront"):
        peers.attach(name, service)
    app = build(Settings(public_url="https://tickets.example.org"), peers)
    async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address) as client:
        yield client


def unexpected(said: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "unexpected"]


@pytest.mark.usefixtures("logging_as_it_was")
class TestSurprises:
    async def test_are_problems_with_a_trace_id_and_are_logged(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging(service="gateway")
        async with breaking(Broken()) as client:
            answer = await client.post("/api/v1/events", json={})
            after = await client.get("/health/live")
        assert (answer.status_code, answer.json()["code"]) == (500, "request.unexpected")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "strict-transport-security" in answer.headers
        assert "nobody" not in answer.text
        (line,) = unexpected(capsys.readouterr().err)
        assert line["traceId"] == answer.json()["traceId"] == answer.headers["x-request-id"]
        assert (line["path"], line["level"]) == ("/api/v1/events", "error")
        assert line["exception"].endswith("RuntimeError: nobody expected this")
        assert after.status_code == 200

    async def test_are_a_page_for_people(self) -> None:
        async with breaking(Broken()) as client:
            answer = await client.get("/", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
        assert answer.headers["x-request-id"] in answer.text
        assert "nobody" not in answer.text

    async def test_in_the_middle_of_an_answer_are_logged_and_end_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging(service="gateway")
        async with breaking(Broken(midway=True)) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/api/v1/events")
            assert (await client.get("/health/live")).status_code == 200
        assert len(unexpected(capsys.readouterr().err)) == 1

    async def test_in_the_middle_of_an_answer_go_on_to_the_server(self) -> None:
        peers = Peers({})
        peers.attach("catalog", Broken(midway=True))
        transport = httpx.ASGITransport(build(Settings(), peers))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            with pytest.raises(RuntimeError, match="nobody expected this"):
                await client.get("/api/v1/events")


@asynccontextmanager
async def losing_answers(*, once: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that takes its first call, says ``once`` and hangs up; the later calls it answers."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(once if len(seen) == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


class TestLimits:
    async def test_narrow_on_the_auth_paths_and_shared_over_valkey(self, redis_url: str) -> None:
        echo, peers = Echo(), Peers({})
        peers.attach("identity", echo)
        settings = Settings(redis_url=redis_url, auth_rate_limit_per_second=1, auth_rate_limit_burst=5)
        first, second = build(settings, peers), build(settings, peers)
        statuses = []
        async with (
            first.lifespan(), second.lifespan(), served(first) as one, served(second) as two,
            httpx.AsyncClient() as client,
        ):  # fmt: skip
            for number in range(10):
                answer = await client.post(f"{one if number % 2 else two}/api/v1/auth/login", content=b"{}")
                statuses.append(answer.status_code)
        assert 5 <= statuses.count(200) <= 7  # the burst, and what a second or two gave back
        assert (answer.status_code, answer.json()["code"]) == (429, "gateway.too_many_requests")
        assert int(answer.headers["retry-after"]) >= 1

    async def test_hold_without_valkey(self) -> None:
        settings = {"redis_url": "redis://127.0.0.1:9/0", "auth_rate_limit_per_second": 1, "auth_rate_limit_burst": 3}
        peers = Peers({})
        peers.attach("identity", Echo())
        app = build(Settings(**settings), peers)
        async with app.lifespan(), served(app) as address, httpx.AsyncClient(base_url=address) as client:
            statuses = [(await client.post("/api/v1/auth/login", content=b"{}")).status_code for _ in range(8)]
        assert 3 <= statuses.count(200) <= 5
        assert set(statuses) == {200, 429}

    async def test_are_wide_elsewhere_and_can_be_off(self) -> None:
        async with gateway(Echo(), many=False, rate_limit_per_second=1, rate_limit_burst=3) as client:
            statuses = [(await client.get("/api/v1/events")).status_code for _ in range(6)]
        assert statuses[:3] == [200] * 3
        assert 429 in statuses
        async with gateway(Echo(), many=False, rate_limit_per_second=0) as client:
            assert {(await client.get("/api/v1/events")).status_code for _ in range(50)} == {200}

    async def test_count_the_client_that_a_trusted_proxy_names(self) -> None:
        settings = {"rate_limit_per_second": 1, "rate_limit_burst": 2, "trusted_networks": "127.0.0.0/8"}
        async with gateway(Echo(), many=False, **settings) as client:
            for visitor in ("203.0.113.1", "203.0.113.2", "203.0.113.3"):
                for _ in range(2):
                    answer = await client.get("/api/v1/events", headers={"X-Forwarded-For": visitor})
                    assert answer.status_code == 200
                    assert answer.json()["headers"]["x-forwarded-for"] == visitor

    async def test_do_not_count_what_the_platform_asks_for_itself(self) -> None:
        peers = Peers({})
        peers.attach("catalog", Echo())
        app = build(Settings(rate_limit_per_second=1, rate_limit_burst=1), peers)
        peers.attach("gateway", app)
        async with app.lifespan():
            own = [(await peers.call("gateway", "GET", "/api/v1/events")).status_code for _ in range(5)]
            visitor = {"X-Forwarded-For": "203.0.113.9"}
            theirs = [
                (await peers.call("gateway", "GET", "/api/v1/events", headers=visitor)).status_code for _ in range(3)
            ]
        await peers.close()
        assert own == [200] * 5
        assert theirs == [200, 429, 429]
