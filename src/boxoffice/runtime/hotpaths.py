"""Hot paths: the few calls that a crowd makes are answered before the framework's routing and middleware begin.

A hot path answers, refuses with a :class:`DomainError`, or gives back none; then the framework's handler of the same
route answers, which is also what OpenAPI describes. So a hot path may know the usual case only, and everything else
keeps one home. Trace, security headers, request id, problems and metrics are the same on both ways.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from litestar import Litestar, Response
from litestar.types import ASGIApp, Receive, Scope, Send

from boxoffice.kernel.errors import DomainError
from boxoffice.runtime import problems
from boxoffice.runtime.telemetry import REQUESTS, begin_trace, log, trace_id
from boxoffice.runtime.tracing import Span, begin_call, end_call

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]

SECURITY_HEADERS: Mapping[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"strict-origin-when-cross-origin",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
}
SLOW_S = 1.0
HOLE = "{}"
OK = 200
BEARER = "Bearer "
MAX_BODY_BYTES = 64 * 1024
"""No call of the API needs more."""
MOST_DIGITS = len(str(MAX_BODY_BYTES))

_log = log(__name__)


class Head(msgspec.Struct, frozen=True, gc=False):
    """Status and headers of an answer, but for its length and the request's id; the same head serves many answers.

    ``block`` is both as they go on the wire.
    """

    status: int
    headers: Headers
    block: bytes

    @classmethod
    def of(cls, status: int, *, media_type: str = "application/json", **headers: str) -> "Head":
        """Make a head; ``cache_control="no-store"`` becomes the header of that name."""
        named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        return cls.made(status, [(b"content-type", media_type.encode()), *named])

    @classmethod
    def made(cls, status: int, headers: Headers) -> "Head":
        """Make a head of headers in lower case; those that every answer has are added."""
        whole = [*headers, *SECURITY_HEADERS.items()]
        return cls(status, whole, b"".join(name + b": " + value + b"\r\n" for name, value in whole))


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a hot path says."""

    head: Head
    body: bytes

    @classmethod
    def of(cls, status: int, body: bytes, *, media_type: str = "application/json", **headers: str) -> "Answer":
        """Make an answer with a head of its own."""
        return cls(Head.of(status, media_type=media_type, **headers), body)

    @property
    def status(self) -> int:
        """The status."""
        return self.head.status

    @property
    def headers(self) -> Headers:
        """The headers, but for the request's id."""
        return [*self.head.headers, (b"content-length", str(len(self.body)).encode())]


class Call(msgspec.Struct, frozen=True, gc=False):
    """What a hot path sees of a request; ``headers`` with names in lower case."""

    path: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""

    def header(self, name: bytes) -> str | None:
        """Read a header."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def bearer(self) -> str | None:
        """Read the token that came as ``Authorization: Bearer …``, spelt so."""
        given = self.header(b"authorization")
        return given[len(BEARER) :].strip() if given is not None and given.startswith(BEARER) else None


Handle = Callable[[Call], Awaitable[Answer | None]]
"""Answers a call, or leaves it to the framework."""
Begin = Callable[[Call], "Answer | asyncio.Future[bytes] | None"]
"""Answers a call at once, or begins to: then the body comes in the future. None: something must be looked up first."""


class HotPath:
    """One call: its method and its whole path, where ``{}`` may stand for the last segment or the one before it."""

    def __init__(
        self, method: str, path: str, handle: Handle | None = None, *, route: str = "",
        begin: Begin = lambda _call: None, written: Callable[[bytes], Answer] | None = None,
    ) -> None:  # fmt: skip
        """Describe the call: ``begin`` is for the socket, where ``written`` makes the answer of the body that comes.

        Without a ``handle`` only what ``begin`` answers at once is answered.
        """
        self.method = method
        self.path = path
        self.handle = handle or self._at_once
        self.begin = begin
        self.written = written or partial(Answer.of, OK)
        self.has_body = method in {"POST", "PUT", "PATCH"}
        self.route = route or path
        """The framework's template of the same path, for metrics."""

    async def _at_once(self, call: Call) -> Answer | None:
        begun = self.begin(call)
        return begun if isinstance(begun, Answer) else None


class HotSocket:
    """A WebSocket that is served without the framework; the path as in :class:`HotPath`."""

    def __init__(self, path: str, handle: ASGIApp) -> None:
        self.path = path
        self.handle = handle


class HotPaths:
    """The hot paths of one application."""

    def __init__(self, service: str, paths: Sequence[HotPath], sockets: Sequence[HotSocket]) -> None:
        self._service = service
        self._paths = {(path.method, path.path): path for path in paths}
        self._sockets = {socket.path: socket.handle for socket in sockets}
        self._counters: dict[tuple[str, int], Any] = {}

    def find(self, method: str, path: str) -> HotPath | None:
        """Give the hot path of a call, if it is one."""
        return (
            self._paths.get((method, path))
            or self._paths.get((method, with_hole(path)))
            or self._paths.get((method, with_last_hole(path)))
        )

    def socket(self, path: str) -> ASGIApp | None:
        """Give what serves a WebSocket, if we do."""
        return self._sockets.get(path) or self._sockets.get(with_hole(path))

    async def answered(self, hot: HotPath, call: Call) -> Answer | None:
        """Answer a call, whatever happens; none leaves it to the framework."""
        started = time.perf_counter()
        span = begin_call(self._service, hot.method, call.header(b"traceparent"))
        answer: Answer | None
        try:
            answer = await hot.handle(call)
        except DomainError as error:
            answer = written(problems.refusal(error, service=self._service))
        except Exception as error:  # noqa: BLE001 - the last resort of a request, as in problems.handlers
            answer = written(problems.surprise(call.path, error))
        if answer is not None:
            self._count(hot, answer.status, time.perf_counter() - started, span)
        return answer

    def begin(self, hot: HotPath, call: Call, tell: Callable[[Answer], None]) -> bool:
        """Begin to answer a call without a task for it; ``tell`` gets the answer. False: ``answered`` must do it."""
        started = time.perf_counter()
        span = begin_call(self._service, hot.method, call.header(b"traceparent"))
        try:
            begun = hot.begin(call)
        except DomainError as error:
            begun = written(problems.refusal(error, service=self._service))
        except Exception as error:  # noqa: BLE001 - as in answered
            begun = written(problems.surprise(call.path, error))
        if begun is None:
            return False
        if isinstance(begun, Answer):
            self._count(hot, begun.status, time.perf_counter() - started, span)
            tell(begun)
        else:  # called back in this call's context
            begun.add_done_callback(partial(self._end, hot, call.path, tell, started, span))
        return True

    def _end(
        self, hot: HotPath, path: str, tell: Callable[[Answer], None], started: float, span: Span | None,
        done: "asyncio.Future[bytes]",
    ) -> None:  # fmt: skip
        try:
            answer = hot.written(done.result())
        except DomainError as error:
            answer = written(problems.refusal(error, service=self._service))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as in answered
            answer = written(problems.surprise(path, error))
        self._count(hot, answer.status, time.perf_counter() - started, span)
        tell(answer)

    async def answer(self, hot: HotPath, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer a call as ASGI; when it is left to the framework, give the ``receive`` to go on with."""
        body = b""
        if hot.has_body:
            if announced_length(scope["headers"]) is None:
                return receive
            body = await read_body(receive)
        answer = await self.answered(hot, Call(scope["path"], list(scope["headers"]), body))
        if answer is None:
            return replay(body, receive) if hot.has_body else receive
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [*answer.headers, (b"x-request-id", trace_id().encode())],
            }
        )
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        return None

    def _count(self, hot: HotPath, status: int, seconds: float, span: Span | None) -> None:
        counter = self._counters.get((hot.route, status))
        if counter is None:
            counter = REQUESTS.labels(self._service, hot.method, hot.route, str(status))
            self._counters[hot.route, status] = counter
        counter.observe(seconds)
        if span is not None:
            end_call(span, hot.method, hot.route, status)
        if seconds > SLOW_S:
            _log.warning("slow", route=hot.route, seconds=round(seconds, 3))


class HotApp(Litestar):
    """A Litestar application with hot paths before it."""

    hot: HotPaths | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer the server."""
        hot = self.hot
        if hot is not None:
            if scope["type"] == "http":
                path = hot.find(scope["method"], scope["path"])
                if path is not None and (receive := await hot.answer(path, scope, receive, send)) is None:
                    return
            elif scope["type"] == "websocket" and (socket := hot.socket(scope["path"])) is not None:
                await socket(scope, receive, send)
                return
        await self.framework(scope, receive, send)

    async def framework(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer the server without a look at the hot paths.

        What nobody serves is refused before any middleware; in a trace and with every answer's headers all the same.
        """
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        begin_trace(header(scope, b"traceparent"))

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in SECURITY_HEADERS.items() if name not in present]
                message["headers"] = [*message["headers"], *added, (b"x-request-id", trace_id().encode())]
            await send(message)

        await super().__call__(scope, receive, send_with_headers)


def announced_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Read how long a body will be; none when that is not said, nothing, or more than a hot path takes."""
    for name, value in headers:
        if name == b"content-length":
            length = int(value) if value.isdigit() and len(value) <= MOST_DIGITS else 0
            return length if 0 < length <= MAX_BODY_BYTES else None
    return None


def reader(shape: type[T]) -> Callable[[bytes], T | None]:
    """Make what reads bodies of a shape; none for a body that is not: the framework's handler says what is wrong."""
    decode = msgspec.json.Decoder(shape).decode

    def read(body: bytes) -> T | None:
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    return read


async def read_body(receive: Receive) -> bytes:
    """Read a body to its end."""
    message = await receive()
    body: bytes = message.get("body", b"")  # type: ignore[assignment] # an ASGI message is an untyped mapping
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")  # type: ignore[operator] # as above
    return body


def replay(body: bytes, receive: Receive) -> Receive:
    """Give a ``receive`` that hands out a body that was read already, then what the server says."""
    given = False

    async def receive_again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def with_hole(path: str) -> str:
    """Put ``{}`` in the place of a path's last segment but one."""
    before, _, last = path.rpartition("/")
    return f"{before.rpartition('/')[0]}/{HOLE}/{last}"


def with_last_hole(path: str) -> str:
    """Put ``{}`` in the place of a path's last segment."""
    return f"{path.rpartition('/')[0]}/{HOLE}"


def segment(path: str) -> str:
    """Give a path's last segment but one: what stands where the ``{}`` is."""
    return path.rsplit("/", 2)[1]


def header(scope: Scope, name: bytes) -> str | None:
    """Read a header of a call."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def written(response: Response[bytes]) -> Answer:
    """Turn a problem into an answer of a hot path."""
    headers = [(name.lower().encode(), str(value).encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-type", str(response.media_type).encode()))
    return Answer(Head.made(response.status_code or problems.SERVER_ERROR, headers), response.content)
