"""Tickets: what is on sale, availability, the live house, documents; reads of the sale."""

from litestar import Litestar

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.sales.app import build_tickets


def create(settings: Settings, peers: Peers) -> Litestar:
    """Build the process."""
    return build_tickets(settings, peers)
