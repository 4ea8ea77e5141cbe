"""Serving one application on one socket with uvicorn, and stopping it without cutting anybody off."""

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import uvicorn
import uvloop

from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.signals import StopSignals

GRACE_S = 20
"""How long requests may finish after we were asked to stop; below the 30 s that process managers usually give."""
KEEP_ALIVE_S = 30
BACKLOG = 2048
MAX_HEADER_BYTES = 16 * 1024
WATCH_S = 0.5

Watch = Callable[[], Exception | None]
"""Tells what broke while serving, if something did."""


class _Server(uvicorn.Server):
    """uvicorn without its own idea of signals: ours also covers starting and the children."""

    up: asyncio.Event

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self.up.set()


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
    when_up: Callable[[], Any] | None = None,
) -> None:
    """Serve until somebody asks to stop or something that we watch breaks.

    ``running`` is the application's lifespan; ``when_up`` is awaited beside serving, once requests are answered.

    :raises Exception: what ``running`` raised while starting, or what ``watch`` reported.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, listener, signals=signals, running=running, watch=watch, when_up=when_up))


async def _serve(
    app: Any,
    listener: socket.socket,
    *,
    signals: StopSignals,
    running: Callable[[], AbstractAsyncContextManager[None]],
    watch: Watch,
    when_up: Callable[[], Any] | None,
) -> None:
    server = _Server(
        uvicorn.Config(
            app, loop="none", http="httptools", ws="websockets-sansio", lifespan="off", log_config=None,
            access_log=False, server_header=False, proxy_headers=False, backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=GRACE_S,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
    )  # fmt: skip

    server.up = asyncio.Event()

    def finish() -> None:
        server.should_exit = True

    signals.finish = finish
    if signals.asked:
        return
    async with running():
        beside = [asyncio.create_task(_watch(server, watch)), asyncio.create_task(_when_up(server, when_up))]
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in beside:
                task.cancel()
            ended = await asyncio.gather(*beside, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


async def _watch(server: uvicorn.Server, watch: Watch) -> None:
    while True:
        await asyncio.sleep(WATCH_S)
        broken = watch()
        if broken is not None and not server.should_exit:
            server.should_exit = True
            raise broken


async def _when_up(server: _Server, when_up: Callable[[], Any] | None) -> None:
    await server.up.wait()
    if when_up is None:
        return
    task = asyncio.ensure_future(when_up())
    done, _ = await asyncio.wait([task])
    if any(one.exception() for one in done):
        server.should_exit = True
    await task
