"""Serving one application on one socket with uvicorn, and stopping it without cutting anybody off."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import uvicorn
import uvloop

from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.signals import AskedToStopError, StopSignals
from boxoffice.runtime import memory
from boxoffice.runtime.frame_protocol import FrameProtocol
from boxoffice.runtime.hot_protocol import HotProtocol

GRACE_S = 20
"""How long requests may finish after we were asked to stop; below the 30 s that process managers usually give."""
KEEP_ALIVE_S = 30
BACKLOG = 2048
MAX_HEADER_BYTES = 16 * 1024
MAX_SOCKET_BYTES = 16 * 1024
"""Of one message from a client over a WebSocket; what it may say takes a few dozen."""
WATCH_S = 0.5

Watch = Callable[[], Exception | None]
"""Tells what broke while serving, if something did."""

Step = Callable[[], Coroutine[Any, Any, None]]
"""Something to be awaited once."""


async def _nothing() -> None:
    """Prepare nothing."""


class _Server(uvicorn.Server):
    """uvicorn without its own idea of signals: ours also covers starting and the children."""

    when_up: Callable[[], None] = staticmethod(lambda: None)

    def finish(self) -> None:
        """Accept no more, finish what was begun, then end."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        memory.settle()
        self.when_up()


def listen(host: str, port: int) -> socket.socket:
    """Bind the address before anything is started, so that a port in use is known at once; port 0 takes a free one.

    :raises CommandError: when somebody listens there, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # binding alone succeeds beside another socket that is bound but does not listen yet
    except OSError as error:
        listener.close()
        raise CommandError(
            f"Port {port} on {host} is not free ({error.strerror}). Stop what listens there, or choose another --port.",
            Exit.PORT_IN_USE,
        ) from error
    return listener


def serve(
    app: Any,
    listener: socket.socket,
    *,
    signals: StopSignals,
    running: Callable[[], AbstractAsyncContextManager[None]],
    watch: Watch = lambda: None,
    prepare: Step = _nothing,
    when_up: Callable[[], None] = lambda: None,
) -> None:
    """Serve until somebody asks to stop or something that we watch breaks.

    ``running`` is the application's lifespan; ``prepare`` is awaited inside it before the first request is answered
    and cancelled when somebody asks to stop meanwhile; ``when_up`` is called once requests are answered.

    :raises Exception: what ``running`` raised while starting, or what ``watch`` reported.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(
                _serve(app, listener, signals=signals, running=running, watch=watch, prepare=prepare, when_up=when_up)
            )
        except asyncio.CancelledError:
            if not signals.asked:
                raise
            raise AskedToStopError from None


async def _serve(
    app: Any,
    listener: socket.socket,
    *,
    signals: StopSignals,
    running: Callable[[], AbstractAsyncContextManager[None]],
    watch: Watch,
    prepare: Step,
    when_up: Callable[[], None],
) -> None:
    server = _Server(
        uvicorn.Config(
            app, loop="none", http=HotProtocol, ws=FrameProtocol, ws_per_message_deflate=False,
            ws_max_size=MAX_SOCKET_BYTES, lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, backlog=BACKLOG, timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=GRACE_S,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
    )  # fmt: skip

    server.when_up = when_up

    starting = asyncio.current_task()
    assert starting
    signals.finish = starting.cancel  # until requests are answered, stopping means to leave off
    if signals.asked:
        return
    async with running():
        # What fails is raised outside: the lifespans would wrap it in groups of exceptions.
        [outcome] = await asyncio.gather(prepare(), return_exceptions=True)
        if outcome is None:
            signals.finish = server.finish
            outcome = await _answer(server, listener, watch)
    if outcome is not None:
        raise outcome


async def _answer(server: _Server, listener: socket.socket, watch: Watch) -> BaseException | None:
    """Answer requests until somebody asks to stop; returns what broke meanwhile, if something did."""
    watching = asyncio.create_task(_watch(server, watch))
    await server.serve(sockets=[listener])
    watching.cancel()
    [broken] = await asyncio.gather(watching, return_exceptions=True)
    return None if isinstance(broken, asyncio.CancelledError) else broken


async def _watch(server: uvicorn.Server, watch: Watch) -> None:
    while True:
        await asyncio.sleep(WATCH_S)
        broken = watch()
        if broken is not None and not server.should_exit:
            server.should_exit = True
            raise broken
