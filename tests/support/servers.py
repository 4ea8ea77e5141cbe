"""An ASGI application on a real socket, in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from boxoffice.runtime.frame_protocol import FrameProtocol
from boxoffice.runtime.hot_protocol import HotProtocol


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def served(
    app: Any, *, lifespan: str = "off", send_buffer: int | None = None, keep_alive_s: int = 5
) -> AsyncIterator[str]:
    """Serve an application at a free port; its address. ``send_buffer``: bytes the kernel keeps for a slow client."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # else answers wait for acknowledgements: 40 ms each
    if send_buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    listener.bind(("127.0.0.1", 0))
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan=lifespan,
            http=HotProtocol,
            ws=FrameProtocol,
            ws_per_message_deflate=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive_s,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
