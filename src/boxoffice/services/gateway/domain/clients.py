"""Who is calling, for rate limits: the address of the connection, or what a proxy that we trust says of it."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IN_PROCESS = "in-process"
IPV6_PREFIX = 64
"""One customer of a provider has at least a /64; counting its single addresses would count nothing."""

Network = IPv4Network | IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """Read a list of networks with commas between.

    :raises ValueError: when one is none.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Iterable[Network]) -> str | None:
    """Tell the client's address; none for a call that the platform makes to itself without saying for whom.

    ``forwarded_for`` is read from its end, as long as the hop that wrote an entry is one of ours.
    """
    known = tuple(trusted)
    if peer != IN_PROCESS and not _is_in(peer, known):
        return peer
    for entry in reversed(forwarded_for):
        address = entry.strip()
        if not _is_address(address):
            break
        if not _is_in(address, known):
            return address
    return None if peer == IN_PROCESS else peer


def bucket(address: str) -> str:
    """Name what counts as one client: an IPv4 address, or the /64 of an IPv6 address."""
    if not _is_address(address):
        return address
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPV6_PREFIX), strict=False).network_address)
    return str(parsed)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, known: Sequence[Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in known)
