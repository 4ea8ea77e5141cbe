"""uvicorn's WebSocket protocol with a :class:`boxoffice.runtime.frames.Wire` for the application.

Frames are the same for everybody only while none is compressed: serve it with ``ws_per_message_deflate=False``. A
compressor would cost every client some 40 kB and every frame its own run besides.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from boxoffice.runtime.frames import EXTENSION


class ClientWire:
    """One client's connection; the methods are those of ``Wire``."""

    __slots__ = ("_protocol", "_transport")

    def __init__(self, protocol: "FrameProtocol") -> None:
        self._protocol = protocol
        self._transport: asyncio.Transport = protocol.transport

    @property
    def is_free(self) -> bool:
        """Whether the client takes what is sent."""
        protocol = self._protocol
        return protocol.writable.is_set() and protocol.handshake_complete and not protocol.close_sent

    def write(self, frame: bytes) -> None:
        """Put a frame on the wire, or into its buffer."""
        if not self._transport.is_closing():
            self._transport.write(frame)

    def cut(self) -> None:
        """End the connection without a word."""
        self._transport.abort()


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own protocol, which also hands out the wire."""

    async def run_asgi(self) -> None:
        """Serve one client."""
        extensions: dict[str, Any] = self.scope["extensions"]
        if not self.config.ws_per_message_deflate:
            extensions[EXTENSION] = ClientWire(self)
        await super().run_asgi()
