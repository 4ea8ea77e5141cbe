"""Payments: the provider's redirects and webhooks, captures and refunds."""

from litestar import Litestar

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.sales.app import build_payments


def create(settings: Settings, peers: Peers) -> Litestar:
    """Build the process."""
    return build_payments(settings, peers)
