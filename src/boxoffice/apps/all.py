"""Every service in one process behind the gateway's address: what ``boxoffice up`` serves.

Services still talk through :class:`Peers` only, so what works here works over a network too.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from boxoffice.apps import PROCESSES, starting
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings


class AllInOne:
    """An ASGI application: the gateway's, with every other service beside it in this process."""

    def __init__(self, parts: Mapping[str, Any], peers: Peers) -> None:
        self.parts = parts
        self._peers = peers
        self._gateway = parts["gateway"]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start every service in order while inside, then stop them in reverse.

        :raises PartFailedError: naming the service that did not start.
        """
        async with starting.running(self.parts, self._peers):
            yield

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer through the gateway; the lifespan is ``running``, entered by whoever serves this."""
        await self._gateway(scope, receive, send)


def create(settings: Settings, peers: Peers, *, beside: Mapping[str, Any] | None = None) -> AllInOne:
    """Build every service and make each known to the others under its process's name.

    ``beside`` are applications that are no services, by the name under which the gateway asks for them (the mailbox).
    """
    parts: dict[str, Any] = {}
    for name, app in (beside or {}).items():
        parts[name] = app
        peers.attach(name, app)
    for name in PROCESSES:
        with starting.naming(name) as start:
            parts[name] = import_module(f"boxoffice.apps.{name}").create(settings, peers)
        if start.failed is not None:
            raise start.failed
        peers.attach(name, parts[name])
    return AllInOne(parts, peers)
