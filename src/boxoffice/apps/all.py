"""Every service in one process behind the gateway's address: what ``boxoffice up`` serves.

Services still talk through :class:`Peers` only, so what works here works over a network too.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any

from boxoffice.apps import PROCESSES
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings


class PartFailedError(Exception):
    """A service did not start; the cause is chained."""


class naming:  # noqa: N801 - reads as a phrase where it is used
    """Say which service did not start."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Name the service in what was raised."""
        if isinstance(error, Exception):
            raise PartFailedError(
                f"The service {self._part} did not start: {kind and kind.__name__}: {error}"
            ) from error


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
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._peers.close)
            for name, part in self.parts.items():
                with naming(name):
                    await stack.enter_async_context(part.lifespan())
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
        with naming(name):
            parts[name] = import_module(f"boxoffice.apps.{name}").create(settings, peers)
        peers.attach(name, parts[name])
    return AllInOne(parts, peers)
