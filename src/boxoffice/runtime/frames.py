"""WebSocket frames that are written once and sent to thousands: what our server offers beyond ASGI's ``send``.

A broadcast over ASGI wakes a task for every client, and each writes the same frame anew. Here the application gets the
client's :class:`Wire` in ``scope["extensions"]`` and puts bytes on it at once. Without the extension (another server, a
test, a gateway in between) ``send`` does the same, slower.
"""

from typing import Any, Final, Protocol

EXTENSION: Final = "boxoffice.frames"
FIN_TEXT: Final = 0x81
SHORT: Final = 126
"""A payload of so many bytes needs a longer header; the number also announces that header (RFC 6455, section 5.2)."""
MEDIUM: Final = 1 << 16


class Wire(Protocol):
    """One client's connection. Usable between the handshake and the end, and only for whole frames."""

    @property
    def is_free(self) -> bool:
        """Whether the client takes what is sent: its buffer is below the high-water mark, and nobody said goodbye."""

    def write(self, frame: bytes) -> None:
        """Put a frame on the wire, or into its buffer; ask :attr:`is_free` before."""

    def cut(self) -> None:
        """End the connection without a word: for a client that has taken nothing for too long."""


def text_frame(payload: bytes) -> bytes:
    """Write a text message as one unmasked frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < SHORT:
        return bytes((FIN_TEXT, size)) + payload
    if size < MEDIUM:
        return bytes((FIN_TEXT, SHORT)) + size.to_bytes(2, "big") + payload
    return bytes((FIN_TEXT, SHORT + 1)) + size.to_bytes(8, "big") + payload


def wire_of(scope: Any) -> Wire | None:
    """Give the wire of a WebSocket's client, where the server offers it."""
    found: Wire | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found
