"""Bookings: holds, orders, cancelling; the writes of the sale."""

from litestar import Litestar

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.sales.app import build_bookings


def create(settings: Settings, peers: Peers) -> Litestar:
    """Build the process."""
    return build_bookings(settings, peers)
