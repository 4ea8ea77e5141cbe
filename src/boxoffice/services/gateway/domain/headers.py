"""Which headers pass: none that belong to one connection only, none by which a client would speak for the gateway."""

from collections.abc import Iterable, Sequence

Header = tuple[bytes, bytes]

HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"trailers", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""RFC 9110, section 7.6.1, and what older proxies send."""
SPOKEN_FOR = frozenset({b"x-user-id", b"x-user-roles", b"x-real-ip", b"forwarded", b"x-client-ip", b"x-original-url"})
"""Who a caller is, and from where, is said by the gateway and by tokens, never by a header from outside."""


def inward(headers: Iterable[Header], *, added: Sequence[Header]) -> list[Header]:
    """Give the headers for a service: without those of the connection and those that only the gateway may set."""
    kept = list(headers)
    named = _named_by_connection(kept)
    new = {name for name, _ in added}
    return [
        *((name, value) for name, value in kept if _passes(name, named) and not _claims(name) and name not in new),
        *added,
    ]


def outward(headers: Iterable[Header]) -> list[Header]:
    """Give the headers for the client: without those of the connection to the service."""
    kept = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(kept)
    return [(name, value) for name, value in kept if _passes(name, named)]


def find(headers: Iterable[Header], name: bytes) -> bytes | None:
    """Give the first value of a header."""
    return next((value for key, value in headers if key == name), None)


def find_all(headers: Iterable[Header], name: bytes) -> list[str]:
    """Give the entries of a header that is a list, over all the lines it came in."""
    lines = [value.decode("latin-1") for key, value in headers if key == name]
    return [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]


def _named_by_connection(headers: Sequence[Header]) -> frozenset[bytes]:
    return frozenset(name.lower().encode() for name in find_all(headers, b"connection"))


def _passes(name: bytes, named: frozenset[bytes]) -> bool:
    return name not in HOP_BY_HOP and name not in named


def _claims(name: bytes) -> bool:
    return name in SPOKEN_FOR or name.startswith(b"x-forwarded-")
