"""The WebSocket of /events/{id}/live: plain ASGI, one coroutine a client, which only waits for what the client says."""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from litestar.types import Receive, Scope, Send

from boxoffice.contracts.http.live import Resume
from boxoffice.kernel.errors import DomainError
from boxoffice.runtime import authn, frames, hotpaths, problems
from boxoffice.runtime.hotpaths import HotSocket
from boxoffice.runtime.telemetry import LIVE_CLIENTS, begin_trace
from boxoffice.services.sales.api.houses import MOST_DIGITS, visible_house
from boxoffice.services.sales.api.parts import Parts
from boxoffice.services.sales.domain.refusals import EventNotFoundError, TooManyClientsError
from boxoffice.services.sales.usecases.kept_house import KeptHouse
from boxoffice.services.sales.usecases.watch_house import Watcher

MOST_TEXT: Final = 200
"""Characters of what a client may say; a resume has some 50."""
MOST_ASKS: Final = 100
ASKS_S: Final = 10.0
"""A client may resume so often in so many seconds: it asks once for what it lost, and again if that got lost too."""
HTTP_ANSWER: Final = "websocket.http.response"
"""The ASGI extension by which a handshake is refused with an answer of its own."""
POLICY_VIOLATION, TRY_AGAIN_LATER, NOT_FOUND = 1008, 1013, 4404
"""Codes of RFC 6455 and its registry, and ours for a house that is not to be seen (any more)."""


class LiveSocket:
    """Serves every client of this process."""

    def __init__(
        self, parts: Callable[[], Parts], verifier: authn.TokenVerifier, *, most: int, most_per_address: int
    ) -> None:
        self._parts = parts
        self._verifier = verifier
        self._most = most
        self._most_per_address = most_per_address
        self._addresses: Counter[str] = Counter()
        self._clients = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        begin_trace(hotpaths.header(scope, b"traceparent"))
        await receive()  # websocket.connect
        address = _address(scope)
        try:
            kept = await self._admit(scope, address)
        except DomainError as error:
            await _refuse(scope, send, error)
            return
        self._clients += 1
        self._addresses[address] += 1
        LIVE_CLIENTS.inc()
        try:
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            await self._serve(kept, scope, receive, send)
        finally:
            LIVE_CLIENTS.dec()
            self._clients -= 1
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def _admit(self, scope: Scope, address: str) -> KeptHouse:
        if self._clients >= self._most or self._addresses[address] >= self._most_per_address:
            raise TooManyClientsError("Ask for /availability now and then instead.", retryAfterSeconds=10)
        token = _token(scope)
        caller = None if token is None else await self._verifier.caller(token)
        text = hotpaths.segment(scope["path"])
        if len(text) > MOST_DIGITS or not (text.isascii() and text.isdigit()):
            raise EventNotFoundError("There is no such event.")
        return await visible_house(self._parts().houses, int(text), caller)

    async def _serve(self, kept: KeptHouse, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_text(text: bytes) -> None:
            await send({"type": "websocket.send", "bytes": None, "text": text.decode()})

        async def hide() -> None:
            await send({"type": "websocket.close", "code": NOT_FOUND, "reason": "not public any more"})

        watcher = Watcher(kept, send_text, frames.wire_of(scope), hide=hide if kept.is_public else None)
        version, hash_ = _asked(scope)
        houses = self._parts().houses
        houses.watch(kept, watcher)
        try:
            await watcher.begin(version, hash_)
            await _listen(watcher, receive, send)
        except OSError:
            return  # the client went away while something was sent to it
        finally:
            houses.leave(kept, watcher)


async def _listen(watcher: Watcher, receive: Receive, send: Send) -> None:
    """Take what the client says until it goes."""
    asks: deque[float] = deque(maxlen=MOST_ASKS)
    while True:
        message: Any = await receive()
        if message["type"] != "websocket.receive":
            return
        now = time.monotonic()
        too_many = len(asks) == MOST_ASKS and now - asks[0] < ASKS_S
        asks.append(now)
        said = message.get("text") or ""
        try:
            asked = msgspec.json.decode(said, type=Resume) if len(said) <= MOST_TEXT else None
        except msgspec.MsgspecError:
            asked = None
        if asked is None or too_many:
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": 'say {"resume": version}'})
            return
        await watcher.begin(asked.resume, asked.hash)


async def _refuse(scope: Scope, send: Send, error: DomainError) -> None:
    """Refuse the handshake: with a problem where the server can, else by closing."""
    answer = hotpaths.written(problems.refusal(error, service="tickets"))
    sending: Any = send
    if HTTP_ANSWER in (scope.get("extensions") or {}):
        await sending({"type": f"{HTTP_ANSWER}.start", "status": answer.status, "headers": answer.headers})
        await sending({"type": f"{HTTP_ANSWER}.body", "body": answer.body})
        return
    code = TRY_AGAIN_LATER if isinstance(error, TooManyClientsError) else NOT_FOUND
    await sending({"type": "websocket.close", "code": code, "reason": error.code})


def _token(scope: Scope) -> str | None:
    scheme, _, token = (hotpaths.header(scope, b"authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _address(scope: Scope) -> str:
    """Tell where a client is: the gateway says it (and drops what a client claims), else the connection."""
    said = hotpaths.header(scope, b"x-forwarded-for")
    client = scope.get("client")
    return said.rsplit(",", 1)[-1].strip() if said else str(client[0] if client else "")


def _asked(scope: Scope) -> tuple[int | None, str | None]:
    """Read the version and the hash that a client has already."""
    query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=10)
    version, hash_ = query.get("version", [""])[0], query.get("hash", [None])[0]
    return (int(version) if version.isascii() and version.isdigit() and len(version) <= MOST_DIGITS else None), hash_


def live_socket(
    parts: Callable[[], Parts], verifier: authn.TokenVerifier, *, most: int, most_per_address: int
) -> HotSocket:
    """Serve the live house, to so many clients at once."""
    socket = LiveSocket(parts, verifier, most=most, most_per_address=most_per_address)
    return HotSocket("/api/v1/events/{}/live", socket)
