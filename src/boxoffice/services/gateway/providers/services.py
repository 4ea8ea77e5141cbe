"""Reach the services: the application in this process where there is one, else its URL."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from boxoffice.runtime.peers import Peers, PeerUnavailableError
from boxoffice.services.gateway.domain.routes import DESCRIBED, SERVICES
from boxoffice.services.gateway.providers.network import Upstream

READY_S = 2.0
"""A probe that hangs longer is a service that is away."""
DOCUMENT = "/openapi/openapi.json"


class Services:
    """The services by name; a name without an application and without a URL is not served here."""

    def __init__(self, peers: Peers, urls: Mapping[str, str]) -> None:
        self._peers = peers
        self._urls = {name: url for name, url in urls.items() if url}
        self._upstreams: dict[str, Upstream] = {}

    def within(self, name: str) -> Any | None:
        """Give a service's application, when it lives in this process."""
        return self._peers.app(name)

    def has(self, name: str) -> bool:
        """Whether a service can be reached at all from here."""
        return self.within(name) is not None or name in self._urls

    def upstream(self, name: str) -> Upstream:
        """Give the one client of a service at a URL; it lives as long as the process."""
        if name not in self._upstreams:
            self._upstreams[name] = Upstream(name, self._urls[name])
        return self._upstreams[name]

    async def close(self) -> None:
        """Close every connection."""
        for upstream in self._upstreams.values():
            await upstream.close()
        self._upstreams.clear()

    async def ready(self) -> dict[str, str]:
        """Ask every service whether it is ready: ``ok`` or what is wrong, by name."""
        names = [name for name in SERVICES if self.has(name)]
        words = await asyncio.gather(*(self._probe(name) for name in names))
        return dict(zip(names, words, strict=True))

    async def _probe(self, name: str) -> str:
        try:
            async with asyncio.timeout(READY_S):
                answer = await self._peers.call(name, "GET", "/health/ready")
        except PeerUnavailableError as error:
            return error.detail
        except TimeoutError:
            return f"no answer within {READY_S:.0f} s"
        return "ok" if answer.is_success else f"answered {answer.status_code}"

    def all_within(self) -> bool:
        """Whether every service of the API lives in this process."""
        return all(self.within(name) is not None for name in DESCRIBED)

    async def documents(self) -> dict[str, dict[str, Any]]:
        """Read the OpenAPI document of every service that answers."""
        found: dict[str, dict[str, Any]] = {}
        for name in DESCRIBED:
            if self.has(name) and (document := await self._document(name)) is not None:
                found[name] = document
        return found

    async def _document(self, name: str) -> dict[str, Any] | None:
        app = self.within(name)
        if app is not None:
            return await asyncio.to_thread(description, app)
        try:
            answer = await self._peers.call(name, "GET", DOCUMENT)
        except PeerUnavailableError:
            return None
        fetched: dict[str, Any] | None = answer.json() if answer.is_success else None
        return fetched


def description(app: Any) -> dict[str, Any]:
    """Read the OpenAPI document of an application of this process as plain JSON (default values may be structs)."""
    document: dict[str, Any] = msgspec.to_builtins(app.openapi_schema.to_schema())
    return document
