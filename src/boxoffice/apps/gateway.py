"""Gateway: the one address for all."""

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.gateway.api.front import Gateway
from boxoffice.services.gateway.app import build


def create(settings: Settings, peers: Peers) -> Gateway:
    """Build the process."""
    return build(settings, peers)
