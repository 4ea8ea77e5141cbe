"""Notification: mails and other messages to people."""

from litestar import Litestar

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.notification.app import build


def create(settings: Settings, peers: Peers) -> Litestar:
    """Build the process."""
    return build(settings, peers)
