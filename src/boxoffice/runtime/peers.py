"""How a service reaches another: an HTTP client by the other's name, over the network or within the process.

One code path: in one process the same client gets an ASGI transport.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.instances import Instances, SpreadTransport, first_of
from boxoffice.runtime.telemetry import current_trace

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 5.0
IN_PROCESS = "in-process"
"""The client address of a call from within the process; no socket can have it."""


class PeerUnavailableError(DomainError):
    """Another service does not answer."""

    code: ClassVar[str] = "runtime.peer_unavailable"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "A part of the platform does not answer"


class Peers:
    """The other services by name. ``attach`` one that lives in this process, else it is reached at its URL."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = dict(urls)
        self._apps: dict[str, Any] = {}
        self._clients: dict[str, httpx.AsyncClient] = {}

    def attach(self, name: str, app: Any) -> None:
        """Serve a name from an ASGI application of this process."""
        self._apps[name] = app

    def app(self, name: str) -> Any | None:
        """Give the application of this process that serves a name, if there is one."""
        return self._apps.get(name)

    def client(self, name: str) -> httpx.AsyncClient:
        """Give the one client for a service; it lives as long as the process.

        :raises KeyError: when neither an application nor a URL is known for the name.
        """
        if name not in self._clients:
            app = self._apps.get(name)
            self._clients[name] = httpx.AsyncClient(
                base_url=f"http://{name}.internal" if app is not None else first_of(self._urls[name]),
                transport=(
                    SpreadTransport(Instances(self._urls[name]))
                    if app is None
                    else httpx.ASGITransport(app=app, client=(IN_PROCESS, 0))
                ),
                timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                follow_redirects=False,
                trust_env=False,  # a proxy for the world outside knows no service of ours
                event_hooks={"request": [_travel]},
            )
        return self._clients[name]

    async def call(self, name: str, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask another service.

        :raises PeerUnavailableError: when it cannot be reached, times out or answers 5xx.
        """
        try:
            response = await self.client(name).request(method, path, **arguments)
        except (httpx.TransportError, OSError) as error:
            raise PeerUnavailableError(f"The {name} service cannot be reached.", retryAfterSeconds=2) from error
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise PeerUnavailableError(f"The {name} service answered {response.status_code}.", retryAfterSeconds=2)
        return response

    async def jwks(self) -> dict[str, Any]:
        """Read identity's public keys."""
        keys: dict[str, Any] = (await self.call("identity", "GET", "/.well-known/jwks.json")).json()
        return keys

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()


async def _travel(request: httpx.Request) -> None:
    if trace := current_trace():
        request.headers["traceparent"] = trace
