"""The common ground of every HTTP service: problems, request ids, limits, security headers, health, metrics."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.config.response_cache import ResponseCacheConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.params import HeaderParameter
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime import authn, openapi, problems
from boxoffice.runtime.hotpaths import (
    MAX_BODY_BYTES,
    SLOW_S,
    HotApp,
    HotPath,
    HotPaths,
    HotSocket,
    header,
)
from boxoffice.runtime.telemetry import REQUESTS, log
from boxoffice.runtime.tracing import begin_call, end_call

API = "/api/v1"

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]
"""Opens what the service needs when it starts, closes it when it stops."""

Check = Callable[[], Awaitable[None]]
"""Raises when a part that the service cannot do without is away."""

refuses = openapi.refuses
"""Name the refusals of a handler for OpenAPI: ``@post(…, opt=web.refuses(SeatsTakenError))``."""

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(name="Idempotency-Key", description="Makes a repeated call the same call: send a new UUID."),
]
"""The header that ``runtime/idempotency.py`` works with."""

_log = log(__name__)


class NotImplementedYetError(DomainError):
    """The contract names this call; this version does not have it yet."""

    code: ClassVar[str] = "request.not_implemented"
    category: ClassVar[Category] = Category.NOT_IMPLEMENTED
    title: ClassVar[str] = "This version does not have this yet"


class UpgradeNeededError(DomainError):
    """A WebSocket's address was asked like a page."""

    code: ClassVar[str] = "request.upgrade_needed"
    category: ClassVar[Category] = Category.UPGRADE_NEEDED
    title: ClassVar[str] = "This address is a WebSocket"


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A body on the way in: camelCase, and a field that we do not know is an error."""


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A body on the way out."""


def make_app(
    service: str,
    *,
    routes: Sequence[Any],
    verifier: authn.TokenVerifier | None,
    ready: Mapping[str, Check] | None = None,
    lifespan: Sequence[Lifespan] = (),
    state: Mapping[str, Any] | None = None,
    prefix: str = API,
    root_routes: Sequence[Any] = (),
    dependencies: Mapping[str, Any] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    tags: Sequence[str] | None = None,
    hot_paths: Sequence[HotPath] = (),
    hot_sockets: Sequence[HotSocket] = (),
) -> Litestar:
    """Build one service's application: ``routes`` stand under ``prefix``, ``root_routes`` at the root.

    Handlers may ask for ``caller: authn.Caller`` (401 without a token) or ``maybe_caller: authn.Caller | None``.
    ``hot_paths`` are tried before ``routes`` and given by their whole path (``runtime/hotpaths.py``).
    """
    app = HotApp(
        route_handlers=[
            Router(path=prefix, route_handlers=list(routes), tags=list(tags or [service])),
            *root_routes,
            *operations(service, ready or {}),
        ],
        exception_handlers=problems.handlers(service),
        middleware=[_observe(service)],
        lifespan=list(lifespan),
        state=State({"verifier": verifier, **(state or {})}),
        dependencies={
            "caller": Provide(authn.caller),
            "maybe_caller": Provide(authn.maybe_caller),
            **{name: Provide(value) for name, value in (dependencies or {}).items()},
        },
        request_max_body_size=max_body_bytes,
        openapi_config=OpenAPIConfig(
            title=f"Boxoffice {service}",
            version="1",
            path="/openapi",
            use_handler_docstrings=True,
            servers=[Server(url="/")],
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
        ),
        response_cache_config=ResponseCacheConfig(),
        logging_config=None,
        # Said, because the framework asks the environment otherwise; then its answers would show the program.
        debug=False,
        pdb_on_exception=False,
    )
    openapi.declare(app)
    if hot_paths or hot_sockets:
        app.hot = HotPaths(service, hot_paths, hot_sockets)
    return app


def operations(service: str, ready: Mapping[str, Check]) -> list[Any]:
    """Build /health/live, /health/ready and /metrics."""

    @get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live", "service": service}

    @get("/health/ready", include_in_schema=False)
    async def is_ready() -> Response[dict[str, Any]]:
        parts: dict[str, str] = {}
        for name, check in ready.items():
            try:
                await check()
                parts[name] = "ok"
            except Exception as error:  # noqa: BLE001 - a probe reports whatever is wrong
                parts[name] = f"{type(error).__name__}: {error}"[:200]
        healthy = all(part == "ok" for part in parts.values())
        return Response(
            {"status": "ready" if healthy else "not_ready", "service": service, "parts": parts},
            status_code=200 if healthy else 503,
        )

    @get("/metrics", include_in_schema=False)
    async def metrics() -> Response[bytes]:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [live, is_ready, metrics]


def _observe(service: str) -> Callable[[ASGIApp], ASGIApp]:
    """Begin or continue the trace, time the answer by route."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            span = begin_call(service, scope["method"], header(scope, b"traceparent"))
            started = time.perf_counter()
            status = 0

            async def send_and_note(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, send_and_note)
            finally:
                seconds = time.perf_counter() - started
                route = str(scope.get("path_template") or "unmatched")
                REQUESTS.labels(service, scope["method"], route, str(status)).observe(seconds)
                if span is not None:
                    end_call(span, scope["method"], route, status)
                if seconds > SLOW_S:
                    _log.warning("slow", route=route, seconds=round(seconds, 3))

        return observed

    return wrap
