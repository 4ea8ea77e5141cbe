"""Hot calls over a real socket: the same answers as through ASGI, and everything unusual goes uvicorn's way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import ClassVar

import httpx
import pytest
from litestar import Request, post
from tests.support.servers import served

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime import web
from boxoffice.runtime.hotpaths import Answer, Call, HotApp, HotPath

PATH = "/api/v1/things"
HEAD = b"POST /api/v1/things HTTP/1.1\r\nHost: test\r\n"


class Things:
    """A hot path that notes what it saw, and waits when it is told to."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.may_answer = asyncio.Event()

    async def answer(self, call: Call) -> Answer | None:
        self.seen.append(call.body)
        if call.body.startswith(b"left"):
            return None
        if call.body == b"wait":
            await self.may_answer.wait()
        return Answer.of(201, b"hot " + call.body, media_type="text/plain", cache_control="no-store")

    def begin(self, call: Call) -> Answer | asyncio.Future[bytes] | None:
        """What the body says, without a task."""
        if call.body == b"at once":
            return Answer.of(201, b"hot at once", media_type="text/plain")
        if call.body == b"refused":
            raise GoneAwayError("Too late.")
        if call.body == b"broken":
            raise RuntimeError("nobody expected this")
        if call.body.startswith(b"later"):
            later: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            outcome = {b"later": b"hot later", b"later refused": GoneAwayError("Too late.")}.get(call.body)
            asyncio.get_running_loop().call_later(0.02, settle, later, outcome)
            return later
        return None


def settle(later: "asyncio.Future[bytes]", outcome: bytes | Exception | None) -> None:
    if isinstance(outcome, bytes):
        later.set_result(outcome)
    elif outcome is None:
        later.cancel()
    else:
        later.set_exception(outcome)


class GoneAwayError(DomainError):
    code: ClassVar[str] = "test.gone_away"
    category: ClassVar[Category] = Category.GONE
    title: ClassVar[str] = "It went away"


@post(PATH.removeprefix(web.API), media_type="text/plain", status_code=201)
async def framework(request: Request[None, None, None]) -> str:
    return f"framework {(await request.body()).decode()} {request.url.query} {request.headers.get('x-mark', '-')}"


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def app(things: Things) -> HotApp:
    app = web.make_app(
        "hot-socket",
        routes=[framework],
        verifier=None,
        hot_paths=[HotPath("POST", PATH, things.answer, begin=things.begin)],
    )
    assert isinstance(app, HotApp)
    return app


@pytest.fixture
async def url(app: HotApp) -> AsyncIterator[str]:
    async with served(app) as found:
        yield found


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url) as found:
        yield found


class Raw:
    """A connection that says exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[bytes, bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return head, await asyncio.wait_for(self.reader.readexactly(length), 5)


@asynccontextmanager
async def talking(url: str) -> AsyncIterator[Raw]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def said(body: bytes, *more: bytes) -> bytes:
    return HEAD + b"".join(line + b"\r\n" for line in more) + b"Content-Length: %d\r\n\r\n" % len(body) + body


class TestHotProtocol:
    async def test_answers_as_through_asgi(self, client: httpx.AsyncClient, app: HotApp) -> None:
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        over_socket = await client.post(PATH, content=b"one", headers=trace)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as within:
            through_asgi = await within.post(PATH, content=b"one", headers=trace)
        servers_own = {"date", "server"}
        headers = {name: value for name, value in over_socket.headers.items() if name not in servers_own}
        assert (over_socket.status_code, over_socket.content) == (201, b"hot one")
        assert (headers, over_socket.content) == (dict(through_asgi.headers), through_asgi.content)
        assert headers["x-request-id"] == "0af7651916cd43dd8448eb211c80319c"

    async def test_leaves_a_call_with_its_whole_body_to_the_framework(
        self, client: httpx.AsyncClient, things: Things
    ) -> None:
        body = b"left" + b"x" * 60_000
        answer = await client.post(PATH, content=body, headers={"x-mark": "m"})
        assert answer.text == f"framework {body.decode()}  m"
        assert things.seen == [body]  # asked once
        assert (await client.post(PATH, content=b"two")).text == "hot two"  # the connection goes on

    async def test_takes_a_path_with_a_query_through_asgi(self, client: httpx.AsyncClient, things: Things) -> None:
        assert (await client.post(f"{PATH}?a=1", content=b"one")).text == "hot one"
        assert things.seen == [b"one"]

    async def test_leaves_a_body_larger_than_a_hot_path_takes(self, client: httpx.AsyncClient, things: Things) -> None:
        assert (await client.post(PATH, content=b"x" * 65_537)).status_code == 413
        assert things.seen == []

    async def test_leaves_a_body_without_a_length_to_the_framework(
        self, client: httpx.AsyncClient, things: Things
    ) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"on"
            yield b"e"

        assert (await client.post(PATH, content=pieces())).text == "framework one  -"
        assert things.seen == []

    async def test_waits_for_a_body_in_pieces(self, url: str) -> None:
        async with talking(url) as raw:
            whole = said(b"in pieces")
            for start in range(0, len(whole), 7):
                raw.writer.write(whole[start : start + 7])
                await raw.writer.drain()
                await asyncio.sleep(0.001)
            assert (await raw.answer())[1] == b"hot in pieces"

    async def test_answers_a_pipeline_in_order(self, url: str, things: Things) -> None:
        async with talking(url) as raw:
            raw.writer.write(said(b"wait") + said(b"left") + said(b"last"))
            await asyncio.sleep(0.05)
            things.may_answer.set()
            bodies = [(await raw.answer())[1] for _ in range(3)]
            assert bodies == [b"hot wait", b"framework left  -", b"hot last"]

    async def test_says_continue_to_who_asks(self, url: str) -> None:
        async with talking(url) as raw:
            raw.writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert b"100 Continue" in await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), 5)
            raw.writer.write(b"one")
            assert (await raw.answer())[1].startswith((b"hot one", b"framework one"))

    async def test_closes_when_the_client_says_so(self, url: str) -> None:
        async with talking(url) as raw:
            raw.writer.write(said(b"one", b"Connection: close"))
            head, body = await raw.answer()
            assert (b"connection: close" in head, body) == (True, b"hot one")
            assert await asyncio.wait_for(raw.reader.read(), 5) == b""

    async def test_survives_a_client_that_leaves(self, url: str, client: httpx.AsyncClient, things: Things) -> None:
        async with talking(url) as raw:
            raw.writer.write(said(b"wait"))
            await asyncio.sleep(0.05)
            raw.writer.transport.abort()
            await asyncio.sleep(0.05)
            things.may_answer.set()
            assert (await client.post(PATH, content=b"two")).text == "hot two"

    async def test_ends_what_was_begun_before_the_server_stops(self, app: HotApp, things: Things) -> None:
        async with AsyncExitStack() as server:
            url = await server.enter_async_context(served(app))
            async with talking(url) as raw:
                raw.writer.write(said(b"wait"))
                await asyncio.sleep(0.05)
                stopping = asyncio.create_task(server.aclose())
                await asyncio.sleep(0.3)
                assert not stopping.done()
                things.may_answer.set()
                head, body = await raw.answer()
            await stopping
        assert (b"connection: close" in head, body) == (True, b"hot wait")

    @pytest.mark.parametrize(
        ("said_", "status", "shown"),
        [
            ("at once", 201, "hot at once"), ("refused", 410, "test.gone_away"), ("broken", 500, "request.unexpected"),
            ("later", 200, "hot later"), ("later refused", 410, "test.gone_away"), ("later gone", 500, "request.unexpected"),
        ],
    )  # fmt: skip
    async def test_answers_without_a_task(
        self, client: httpx.AsyncClient, things: Things, said_: str, status: int, shown: str
    ) -> None:
        for _ in range(2):  # and the connection goes on
            answer = await client.post(PATH, content=said_.encode())
            assert (answer.status_code, shown in answer.text) == (status, True)
            assert answer.headers["x-frame-options"] == "DENY"
        assert things.seen == []

    async def test_ends_a_connection_that_is_idle_for_too_long_and_no_other(self, app: HotApp) -> None:
        async with served(app, keep_alive_s=1) as url, talking(url) as raw:
            for _ in range(5):  # longer than the time in all, never idle for so long
                raw.writer.write(said(b"at once"))
                assert (await raw.answer())[1] == b"hot at once"
                await asyncio.sleep(0.4)
            assert await asyncio.wait_for(raw.reader.read(), 3) == b""

    async def test_refuses_what_is_not_http(self, url: str) -> None:
        async with talking(url) as raw:
            raw.writer.write(b"POST /api/v1/things HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc")
            assert b"400" in await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), 5)
