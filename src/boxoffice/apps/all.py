"""Every service in one process behind the gateway's address: what ``boxoffice up`` serves.

Services still talk through :class:`Peers` only, so what works here works over a network too.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any, Self

from boxoffice.apps import PROCESSES
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings


class PartFailedError(Exception):
    """A service did not start; the cause is chained."""


class naming:  # noqa: N801 - reads as a phrase where it is used
    """Keep, under the service's name, what was raised while it started."""

    def __init__(self, part: str) -> None:
        self._part = part
        self.failed: PartFailedError | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Keep an error; anything else (a cancellation) goes on."""
        if not isinstance(error, Exception):
            return False
        said = f"The service {self._part} did not start: {type(error).__name__}: {error}"
        self.failed = PartFailedError(said)
        self.failed.__cause__ = error
        return True


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
        failed: PartFailedError | None = None
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._peers.close)
            for name, part in self.parts.items():
                with naming(name) as start:
                    await stack.enter_async_context(part.lifespan())
                if failed := start.failed:
                    break
            else:
                yield
        if failed is not None:  # outside of the lifespans, which would wrap it in groups of exceptions
            raise failed

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
        with naming(name) as start:
            parts[name] = import_module(f"boxoffice.apps.{name}").create(settings, peers)
        if start.failed is not None:
            raise start.failed
        peers.attach(name, parts[name])
    return AllInOne(parts, peers)
