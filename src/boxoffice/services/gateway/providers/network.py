"""A service over the network: calls are passed on over httpx, sockets over websockets, and nothing is kept of them.

A service that fails once is tried once more where that is safe, at another instance where there is one; one that is
away is a refusal at once, never a hang.
"""

import asyncio
import random
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from boxoffice.runtime.telemetry import UPSTREAM, log
from boxoffice.services.gateway.domain.headers import Header, find, find_all, outward
from boxoffice.services.gateway.domain.refusals import ServiceAwayError
from boxoffice.services.gateway.domain.retries import KEYED, RetryBudget, may_repeat
from boxoffice.services.gateway.providers.instances import Instance, Instances

CONNECT_S = 1.0
READ_S = 15.0
"""Longer than any answer takes, payments included (they wait 5 s for the provider at most)."""
CONNECTIONS = 200
"""To one service: a bulkhead, so that a slow one cannot take every connection."""
POOL_S = 1.0
RETRY_PAUSE_S = 0.05
MOST_REASON = 200
"""Characters of an error's own words in the log."""
MAX_SOCKET_MESSAGE = 1024 * 1024
HANDSHAKE = frozenset(
    {
        b"host", b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions",
        b"sec-websocket-protocol", b"content-length",
    }
)  # fmt: skip
"""What belongs to one handshake only; the next one makes its own."""
NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
GOING_AWAY = 1001
UNEXPECTED = 1011
NO_STATUS = 1005

_log = log(__name__)


LIVE = "/health/live"


class LeftOutError(httpx.TransportError):
    """The instance stopped answering while a call waited for it."""

    def __init__(self) -> None:
        super().__init__("the instance does not answer any more")


class Upstream:
    """One service; ``urls`` are the addresses of its instances with commas between."""

    def __init__(self, name: str, urls: str) -> None:
        self.name = name
        self._instances = Instances(name, urls)
        self._budget = RetryBudget()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S, pool=POOL_S),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 4),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._instances.close()
        await self._client.aclose()

    async def call(self, scope: dict[str, Any], headers: list[Header], body: bytes, send: Any) -> None:
        """Pass a call on and its answer back, piece by piece.

        :raises ServiceAwayError: when the service cannot be reached or answers nothing.
        """
        self._instances.look_after(self._lives)
        response, instance = await self._asked(scope, headers, body)
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status_code,
                    "headers": outward(response.headers.raw),
                }
            )
            # Raw: what the service compressed stays compressed.
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except httpx.TransportError as error:
            # Left without its end: the server cuts the client's connection, the only honest end of half an answer.
            _log.warning("upstream.broke_off", upstream=self.name, error=type(error).__name__)
        finally:
            instance.busy -= 1
            await response.aclose()

    async def _asked(
        self, scope: dict[str, Any], headers: list[Header], body: bytes
    ) -> tuple[httpx.Response, Instance]:
        """Ask an instance, and where that is safe another one; gives the answer's head and who is busy with it."""
        self._budget.called()
        first = self._instances.choose()
        repeatable = self._may_repeat(scope["method"], headers, LeftOutError())
        try:
            return await self._send(first, self._request(first, scope, headers, body), leave=repeatable), first
        except (httpx.TransportError, OSError) as error:
            if not self._may_repeat(scope["method"], headers, error) or not self._budget.spend():
                raise self._away(error) from error
            UPSTREAM.labels(self.name, "retried").inc()
            _log.warning("upstream.retried", upstream=self.name, error=type(error).__name__)
        await asyncio.sleep(random.uniform(0, RETRY_PAUSE_S))  # noqa: S311 - spreads retries, hides nothing
        second = self._instances.choose(beside=first)
        try:
            return await self._send(second, self._request(second, scope, headers, body), leave=False), second
        except (httpx.TransportError, OSError) as error:
            raise self._away(error) from error

    def _request(self, instance: Instance, scope: dict[str, Any], headers: list[Header], body: bytes) -> httpx.Request:
        raw = scope.get("raw_path") or scope["path"].encode()
        target = raw + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        return self._client.build_request(
            scope["method"],
            instance.url.copy_with(raw_path=target),
            headers=[(name, value) for name, value in headers if name not in {b"host", b"content-length"}],
            content=body,
        )

    def _may_repeat(self, method: str, headers: list[Header], error: Exception) -> bool:
        """Whether to ask once more; a call with a key was asked for long enough when nobody answered in time."""
        keyed = self.name in KEYED and find(headers, b"idempotency-key") is not None
        return may_repeat(
            method,
            reached=not isinstance(error, NOT_REACHED),
            keyed=keyed and not isinstance(error, httpx.TimeoutException),
        )

    async def _send(self, instance: Instance, request: httpx.Request, *, leave: bool) -> httpx.Response:
        """Wait for the head of an answer; the instance counts as busy until the caller is done with it."""
        instance.busy += 1
        head: httpx.Response | None = None
        try:
            if leave and self._instances.several:
                head = await self._send_or_leave(instance, request)
            else:
                head = await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            self._instances.leave_out(instance)
            raise
        finally:
            if head is None:
                instance.busy -= 1
        return head

    async def _send_or_leave(self, instance: Instance, request: httpx.Request) -> httpx.Response:
        """Wait for the answer for as long as the instance lives."""
        sending = asyncio.ensure_future(self._client.send(request, stream=True))
        leaving = asyncio.ensure_future(instance.left_out.wait())
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise LeftOutError
            return sending.result()
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending})
                if not sending.cancelled() and sending.exception() is None:
                    await sending.result().aclose()

    async def _lives(self, url: httpx.URL) -> bool:
        answer = await self._client.get(url.copy_with(raw_path=LIVE.encode()))
        return answer.is_success

    def _away(self, error: Exception) -> ServiceAwayError:
        UPSTREAM.labels(self.name, "away").inc()
        reason = str(error)[:MOST_REASON]  # a certificate that does not hold is no server that is away
        _log.warning("upstream.away", upstream=self.name, error=type(error).__name__, reason=reason)
        return ServiceAwayError(f"The {self.name} service cannot be reached.", retryAfterSeconds=2)

    async def socket(self, scope: dict[str, Any], headers: list[Header], receive: Any, send: Any) -> None:
        """Pass a WebSocket on, both ways, until one side ends it.

        :raises ServiceAwayError: when the service cannot be reached or refuses the handshake.
        """
        own = self._instances.choose().url
        url = own.copy_with(
            scheme="wss" if own.scheme == "https" else "ws",
            raw_path=scope["path"].encode() + (b"?" + scope["query_string"] if scope["query_string"] else b""),
        )
        passed = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name not in HANDSHAKE]
        protocols = find_all(headers, b"sec-websocket-protocol")
        try:
            upstream = await connect(
                str(url),
                additional_headers=passed,
                subprotocols=protocols or None,  # type: ignore[arg-type] # they are plain strings
                open_timeout=CONNECT_S * 2,
                max_size=MAX_SOCKET_MESSAGE,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise self._away(error) from error
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol, "headers": []})
        async with upstream:
            await _both_ways(upstream, receive, send)


async def _both_ways(upstream: ClientConnection, receive: Any, send: Any) -> None:
    tasks = {
        asyncio.create_task(_to_service(upstream, receive)),
        asyncio.create_task(_to_client(upstream, send)),
    }
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for task in done:
        task.result()


async def _to_service(upstream: ClientConnection, receive: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        words = message.get("text")
        try:
            await upstream.send(words if words is not None else message.get("bytes") or b"")
        except ConnectionClosed:
            return


async def _to_client(upstream: ClientConnection, send: Any) -> None:
    try:
        async for message in upstream:
            kind = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", kind: message})
    except ConnectionClosed:
        pass
    code = upstream.close_code or GOING_AWAY
    usable = UNEXPECTED if code in {NO_STATUS, NO_STATUS + 1} else code
    await send({"type": "websocket.close", "code": usable, "reason": upstream.close_reason or ""})
