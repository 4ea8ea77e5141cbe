"""The front door: each call is traced, limited, read within its body limit, and handed to its service.

A plain ASGI application rather than a Litestar one: it answers nothing by itself but its own few pages, and every
layer here is paid by every call. ``lifespan()`` opens what it needs, and it answers the server's lifespan messages with
it, so it can stand alone or be entered beside the services in one process.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from boxoffice.kernel.errors import DomainError
from boxoffice.runtime import problems
from boxoffice.runtime.limits import Limiter, Rate, Verdict
from boxoffice.runtime.telemetry import REQUESTS, begin_trace, current_trace
from boxoffice.runtime.tracing import begin_call, end_call
from boxoffice.services.gateway.api.answers import SERVICE, apologise, refuse
from boxoffice.services.gateway.api.bodies import read_body, replay
from boxoffice.services.gateway.api.keeping import Keeper
from boxoffice.services.gateway.api.pages import Page, Pages
from boxoffice.services.gateway.domain import routes
from boxoffice.services.gateway.domain.clients import Network, bucket, client_address
from boxoffice.services.gateway.domain.headers import Header, find, find_all, inward
from boxoffice.services.gateway.domain.refusals import MethodNotTakenError, NothingHereError, TooManyRequestsError
from boxoffice.services.gateway.domain.routes import Limit, Route
from boxoffice.services.gateway.providers import within
from boxoffice.services.gateway.providers.services import Services

UNMATCHED = "unmatched"
ALLOWED_ON_PAGES = frozenset({"GET", "HEAD"})
TAKEN = ALLOWED_ON_PAGES | {"POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UPGRADED = 101
Opening = Callable[[], Any]


class Gateway:
    """The ASGI application. ``rates`` has no entry for a limit that is off."""

    def __init__(
        self,
        *,
        services: Services,
        pages: Pages,
        rates: dict[Limit, Rate],
        trusted: tuple[Network, ...],
        scheme: str,
        open_limiter: Callable[[], Any],
    ) -> None:
        self._services = services
        self._pages = pages
        self._rates = rates
        self._trusted = trusted
        self._scheme = scheme
        self._open_limiter = open_limiter
        self._limiter = Limiter()
        self._keeper = Keeper()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the limiter, and close the connections to the services on leaving."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._services.close)
            self._limiter = await stack.enter_async_context(self._open_limiter())
            yield

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer the server: its lifespan messages, a request, or a WebSocket."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        given = (find(scope["headers"], b"traceparent") or b"").decode("latin-1")
        if scope["type"] == "http":
            span = begin_call(SERVICE, scope["method"], given)
            trace = current_trace() or ""
        else:  # a WebSocket is no span: it may last for hours
            span, trace = None, begin_trace(given)
        started, status, route = time.perf_counter(), 0, UNMATCHED

        async def noting(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": self._completed(message["headers"])}
            elif message["type"] == "websocket.accept":
                status = UPGRADED
            await send(message)

        def begun() -> bool:
            return status > 0 or scope["type"] != "http"

        try:
            with problems.last_resort(scope["path"], begun=begun) as unexpected:
                route = await self._serve(scope, receive, noting, trace)
            for sorry in unexpected:
                await apologise(scope, noting, sorry)
        except DomainError as error:
            status = await refuse(scope, noting, error)
        finally:
            seconds = time.perf_counter() - started
            REQUESTS.labels(SERVICE, scope.get("method", "WS"), route, str(status)).observe(seconds)
            if span is not None:
                end_call(span, scope["method"], route, status)

    async def _serve(self, scope: dict[str, Any], receive: Any, send: Any, trace: str) -> str:
        if scope["type"] == "http" and scope["method"] not in TAKEN:
            raise MethodNotTakenError("Use one that the description of the API names.")
        page = self._own_page(scope)
        if page is not None:
            await page(scope, send)
            return str(scope["path"])
        if not routes.is_plain(scope["path"], scope.get("raw_path") or b""):
            raise NothingHereError("Write the path without encoded slashes, dots or control characters.")
        route = routes.find(scope["path"])
        if route is None or not self._services.has(route.service):
            raise NothingHereError("No service has this path.")
        client = self._client(scope)
        await self._limit(route, client)
        headers = inward(scope["headers"], added=self._added(scope, client, trace))
        if scope["type"] == "websocket":
            await self._socket(route, scope, headers, receive, send)
        else:
            await self._request(route, scope, headers, receive, send)
        return route.pattern

    def _own_page(self, scope: dict[str, Any]) -> Page | None:
        if scope["type"] != "http" or scope["method"] not in ALLOWED_ON_PAGES:
            return None
        return self._pages.find(scope["path"])

    async def _request(
        self, route: Route, scope: dict[str, Any], headers: list[Header], receive: Any, send: Any
    ) -> None:
        body = await read_body(scope, receive, limit=route.max_body_bytes)
        if body:
            headers = [*(entry for entry in headers if entry[0] != b"content-length")]
            headers.append((b"content-length", str(len(body)).encode()))
        method, send = _as_get(scope["method"], send)
        app = self._services.within(route.service)

        async def ask(to: Any) -> None:
            if app is not None:
                await within.call(app, within.scope_for(scope, headers, method=method), replay(body, receive), to)
            else:
                await self._services.upstream(route.service).call({**scope, "method": method}, headers, body, to)

        await self._keeper.through(route.service, scope, ask, send)

    async def _socket(
        self, route: Route, scope: dict[str, Any], headers: list[Header], receive: Any, send: Any
    ) -> None:
        app = self._services.within(route.service)
        if app is not None:
            await app(within.scope_for(scope, headers), receive, send)
        else:
            await self._services.upstream(route.service).socket(scope, headers, receive, send)

    def _client(self, scope: dict[str, Any]) -> str | None:
        peer = (scope.get("client") or ("unknown", 0))[0]
        return client_address(peer, find_all(scope["headers"], b"x-forwarded-for"), self._trusted)

    async def _limit(self, route: Route, client: str | None) -> None:
        """Count the call; the platform's own calls, made for nobody in particular, are not counted."""
        rate = self._rates.get(route.limit)
        if rate is None or client is None:
            return
        key = f"{route.limit.value}:{bucket(client)}"
        verdict: Verdict
        if route.limit is Limit.AUTH:
            verdict = await self._limiter.take(key, rate)
        else:
            verdict = self._limiter.take_here(key, rate)
        if not verdict.allowed:
            raise TooManyRequestsError("Slow down.", retryAfterSeconds=int(verdict.wait_s) + 1)

    def _added(self, scope: dict[str, Any], client: str | None, trace: str) -> list[Header]:
        added = [(b"traceparent", trace.encode()), (b"x-forwarded-proto", self._scheme.encode())]
        if client is not None:
            added.append((b"x-forwarded-for", client.encode("latin-1", "replace")))
        if host := find(scope["headers"], b"host"):
            added.append((b"x-forwarded-host", host))
        return added

    def _completed(self, headers: list[Header]) -> list[Header]:
        # Only over HTTPS: a browser that saw this once would never again open the address without it.
        if self._scheme == "https" and find(headers, b"strict-transport-security") is None:
            return [*headers, (b"strict-transport-security", b"max-age=31536000; includeSubDomains")]
        return headers

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        async with self.lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def _as_get(method: str, send: Any) -> tuple[str, Any]:
    """Turn HEAD into GET without its body: every GET has a HEAD (RFC 9110, section 9.3.2), no handler writes one."""
    if method != "HEAD":
        return method, send

    async def without_body(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return "GET", without_body
