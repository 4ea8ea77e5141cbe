"""The simulator's HTTP server: uvicorn, with one more way to answer: not at all, by cutting the connection."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from litestar.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CUT = "boxoffice.cut"
DRAIN_S = 2


class CuttingProtocol(HttpToolsProtocol):
    """Hands every request the means to cut its connection."""

    def on_message_begin(self) -> None:
        """Begin a request, with our extension in its scope."""
        super().on_message_begin()
        scope = cast("dict[str, Any]", self.scope)
        scope.setdefault("extensions", {})[CUT] = self._cut

    def _cut(self) -> None:
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is not None:
            transport.abort()


def cut(scope: Scope) -> None:
    """Cut the connection of a request, as a network does that loses the reply."""
    extensions = cast("dict[str, Any]", scope.get("extensions") or {})
    act: Callable[[], None] | None = extensions.get(CUT)
    if act is not None:
        act()


def serve(app: Any, *, host: str, port: int) -> None:
    """Serve until TERM or INT."""
    uvicorn.run(
        app, host=host, port=port, http=CuttingProtocol, ws="none", log_config=None, access_log=False,
        server_header=False, timeout_graceful_shutdown=DRAIN_S,
    )  # fmt: skip
