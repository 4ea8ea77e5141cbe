"""uvicorn's HTTP protocol with a short way for hot paths: the call is answered from the socket, without ASGI between.

For a small call ASGI costs more than the call: a scope, an event, two coroutines, three messages, each header checked
again. Here the parser's headers and body go to :meth:`HotPaths.answered` and its answer back in one write. Everything
unusual (a body of unknown length, a call in a pipeline, a call that a hot path leaves) goes uvicorn's own way.
"""

import asyncio
from functools import partial
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from boxoffice.runtime.hotpaths import (
    Answer,
    Call,
    HotApp,
    HotPath,
    HotPaths,
    announced_length,
)
from boxoffice.runtime.telemetry import trace_id


class _Nobody:
    """Nobody waits for a hot call's body."""

    def set(self) -> None:
        """Wake nobody."""


class HotCycle:
    """One hot call, with what uvicorn's protocol looks at in a call of its own."""

    __slots__ = ("body", "disconnected", "hot", "keep_alive", "more_body", "path", "response_complete")
    message_event = _Nobody()

    def __init__(self, hot: HotPath, path: str, *, keep_alive: bool) -> None:
        self.hot = hot
        self.path = path
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.response_complete = False
        self.disconnected = False


class HotProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, but for the hot paths of a :class:`HotApp`."""

    cycle: Any

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Serve one connection."""
        self._idle_since: float | None = None
        super().__init__(*arguments, **named)
        self._hot: HotPaths | None = self.app.hot if isinstance(self.app, HotApp) and not self.root_path else None

    def on_message_begin(self) -> None:
        """Begin a call; its scope is made when somebody needs it."""
        if self._hot is None:
            super().on_message_begin()
            return
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Choose the way."""
        if self._hot is None:
            super().on_headers_complete()
            return
        path = self.url.decode("latin-1")
        hot = self._hot_path(path)
        if hot is None:
            self._make_scope()
            super().on_headers_complete()
            return
        self.cycle = HotCycle(hot, path, keep_alive=self.parser.should_keep_alive())

    def _hot_path(self, path: str) -> HotPath | None:
        assert self._hot
        hot = self._hot.find(self.parser.get_method().decode("ascii"), path)
        is_plain = (
            hot is not None
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.limit_concurrency is None
            and self.parser.get_http_version() == "1.1"
            and (not hot.has_body or announced_length(self.headers) is not None)
        )
        return hot if is_plain else None

    def on_message_complete(self) -> None:
        """Answer a hot call that has come whole."""
        cycle = self.cycle
        if not isinstance(cycle, HotCycle):
            super().on_message_complete()
        elif cycle.more_body:
            cycle.more_body = False
            self._begin(cycle, Call(cycle.path, self.headers, bytes(cycle.body)))

    def _begin(self, cycle: HotCycle, call: Call) -> None:
        assert self._hot
        if not self.flow.write_paused and self._hot.begin(cycle.hot, call, partial(self._tell, cycle)):
            return
        task = self.loop.create_task(self._answer(cycle, call))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(self, cycle: HotCycle, call: Call) -> None:
        assert self._hot
        answer = await self._hot.answered(cycle.hot, call)
        if answer is None:
            await self._leave(cycle, call)
            return
        if self.flow.write_paused:
            await self.flow.drain()
        self._tell(cycle, answer)

    def _tell(self, cycle: HotCycle, answer: Answer) -> None:
        """Write an answer; to a client that reads slowly it is one small answer more in the buffer."""
        if cycle.disconnected or self.transport.is_closing():
            return
        self.transport.write(self._written(answer, keep_alive=cycle.keep_alive))
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _written(self, answer: Answer, *, keep_alive: bool) -> bytes:
        head, body = answer.head, answer.body
        content = [STATUS_LINE[head.status]]
        for name, value in self.server_state.default_headers:
            content += (name, b": ", value, b"\r\n")
        content += (
            head.block,
            b"content-length: ",
            str(len(body)).encode(),
            b"\r\nx-request-id: ",
            trace_id().encode(),
        )
        content += (b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n", body)
        return b"".join(content)

    def on_response_complete(self) -> None:
        """Go on with the next call of a pipeline, or wait for one, as uvicorn does; with one timer, not one a call."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Note that the client speaks; the timer looks at it when it ends."""
        self._idle_since = None

    def _wait(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was idle for too long; of one that was not, look again when that would be."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None or self.transport.get_protocol() is not self:
            return  # what is being answered begins a new wait when it is; a WebSocket is not ours any more
        rest = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._wait(rest)
        elif not self.transport.is_closing():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait too."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    async def _leave(self, cycle: HotCycle, call: Call) -> None:
        """Hand a call to the framework as if it had gone uvicorn's way from the start."""
        rest = RequestResponseCycle(
            scope=self._scope(cycle.hot.method, call), transport=self.transport, flow=self.flow, logger=self.logger,
            access_logger=self.access_logger, access_log=self.access_log,
            default_headers=self.server_state.default_headers, message_event=asyncio.Event(),
            expect_100_continue=False, keep_alive=cycle.keep_alive, on_response=self.on_response_complete,
        )  # fmt: skip
        rest.disconnected, rest.body, rest.more_body = cycle.disconnected, cycle.body, False
        rest.message_event.set()
        if self.cycle is cycle:
            self.cycle = rest
        assert isinstance(self.app, HotApp)
        await rest.run_asgi(self.app.framework)

    def _scope(self, method: str, call: Call) -> Any:
        url = httptools.parse_url(call.path.encode("latin-1"))
        return {
            "type": "http", "asgi": {"version": self.asgi_version, "spec_version": "2.3"}, "http_version": "1.1",
            "server": self.server, "client": self.client, "scheme": self.scheme, "root_path": self.root_path,
            "headers": call.headers, "state": self.app_state.copy(), "method": method,
            "path": unquote(url.path.decode("ascii")), "raw_path": url.path, "query_string": url.query or b"",
        }  # fmt: skip

    def _make_scope(self) -> None:
        """Do what ``on_message_begin`` left undone."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
