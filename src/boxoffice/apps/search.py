"""Search: finds events in its own index."""

from litestar import Litestar

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.search.app import build


def create(settings: Settings, peers: Peers) -> Litestar:
    """Build the process."""
    return build(settings, peers)
