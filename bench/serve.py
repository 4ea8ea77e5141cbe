"""One server process for the measurements: ``python -m bench.serve`` with what to serve as JSON on standard input."""

import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import asyncpg
import uvicorn
from redis.asyncio import Redis

from bench.holders import CONNECTIONS, locked_hold
from bench.sampling import sampled
from bench.stub import Stub
from boxoffice.runtime import memory
from boxoffice.runtime.frame_protocol import FrameProtocol
from boxoffice.runtime.hot_protocol import HotProtocol
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.runtime.telemetry import configure_logging
from boxoffice.services.sales.app import build_bookings, build_payments, build_tickets

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def main() -> None:
    asked = json.load(sys.stdin)
    if asked["core"] is not None:
        with suppress(AttributeError, OSError):
            os.sched_setaffinity(0, {asked["core"]})
    settings = Settings(
        sales_database_url=asked["sales_url"], redis_url=asked["redis_url"], log_level="info",
        public_url="http://127.0.0.1", **asked.get("settings", {}),
    )  # fmt: skip
    configure_logging(service=asked["kind"], level="info")  # as the shop does
    stub = {Stub.name: Stub()}
    peers = _peers(asked["jwks"])
    kinds: dict[str, Callable[[], Any]] = {
        "bookings": lambda: build_bookings(settings, peers, providers=stub),
        "payments": lambda: build_payments(settings, peers, providers=stub),
        "sale": lambda: OneProcess(
            build_bookings(settings, peers, providers=stub), build_payments(settings, peers, providers=stub)
        ),
        "tickets": lambda: build_tickets(settings, peers),
        "seed": lambda: SeedsServer(settings),
        "bare": lambda: BareServer(asked["body"].encode()),
    }
    with ExitStack() as stack:
        if asked.get("profile"):
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it has shut down
            stack.enter_context(sampled(Path(asked["profile"])))
        config = uvicorn.Config(
            kinds[asked["kind"]](), host="127.0.0.1", port=asked["port"], loop="uvloop", http=HotProtocol,
            proxy_headers=False, log_config=None, access_log=False, ws=FrameProtocol, ws_per_message_deflate=False,
        )  # fmt: skip
        Server(config).run()


class Server(uvicorn.Server):
    """A server as the shop's: what it has when it is up is kept out of the collector's way."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        memory.settle()


def _peers(jwks: dict[str, Any]) -> Peers:
    peers = Peers({})
    peers.attach("identity", BareServer(json.dumps(jwks).encode()))
    return peers


class OneProcess:
    """Bookings and payments behind one port, as in the process that ``make run`` starts."""

    def __init__(self, bookings: Any, payments: Any) -> None:
        self._bookings = bookings
        self._payments = payments

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with self._bookings.lifespan(), self._payments.lifespan():
                await live_on(receive, send)
            return
        app = self._payments if scope["path"].startswith("/api/v1/payments") else self._bookings
        await app(scope, receive, send)


class BareServer:
    """The least that an ASGI server can do: the same bytes for everybody, whatever is sent."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live_on(receive, send)
            return
        if scope["method"] == "POST":
            await receive()
        await answer(send, 200, self._body)


class SeedsServer:
    """The seed's way behind the least HTTP: no token, no validation, no headers of ours."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hold: Callable[[int, int], Awaitable[bool]] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            pool = await asyncpg.create_pool(self._settings.sales_database_url, min_size=2, max_size=CONNECTIONS)
            redis = Redis.from_url(self._settings.redis_url)
            self._hold = locked_hold(pool, redis)
            await live_on(receive, send)
            await redis.aclose()
            await pool.close()
            return
        assert self._hold
        asked = json.loads((await receive())["body"] or b"{}")
        if not asked:
            await answer(send, 200, b"{}")
        elif await self._hold(asked["eventId"], asked["ticketIds"][0]):
            await answer(send, 201, json.dumps({"reservedTickets": asked["ticketIds"]}).encode())
        else:
            await answer(send, 409, b"{}")


async def live_on(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    main()
