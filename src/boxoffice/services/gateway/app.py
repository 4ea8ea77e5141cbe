"""Composition root of the gateway: settings, limits, services, pages.

``build`` returns a plain ASGI application with a ``lifespan()`` of its own (see ``api/front.py``): enter it beside the
services' in one process, or let the server send its lifespan messages.
"""

import asyncio
import math
import time
from typing import Any

from boxoffice.runtime.limits import Limiter, Rate
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.gateway.api.front import Gateway
from boxoffice.services.gateway.api.pages import OPENAPI_FRESH_S, Pages
from boxoffice.services.gateway.domain.clients import networks
from boxoffice.services.gateway.domain.routes import SERVICES, Limit
from boxoffice.services.gateway.providers.services import Services
from boxoffice.services.gateway.usecases.merge_openapi import merged_openapi

MAILBOX = "mailbox"

__all__ = ["Gateway", "build"]


def build(settings: Settings, peers: Peers) -> Gateway:
    """Build the gateway's application; the mailbox is reached through it in the demo only."""
    names = [*SERVICES, *([MAILBOX] if settings.demo else [])]
    services = Services(peers, {name: getattr(settings, f"{name}_url") for name in names})
    return Gateway(
        services=services,
        pages=Pages(ready=services.ready, openapi=_Document(services)),
        rates=rates(settings),
        trusted=networks(settings.trusted_networks),
        scheme="https" if settings.public_url.startswith("https:") else "http",
        open_limiter=lambda: Limiter.open(settings.redis_url),
    )


def rates(settings: Settings) -> dict[Limit, Rate]:
    """Read the rate limits; one of 0 a second is off and has no entry."""
    wanted = {
        Limit.USUAL: (settings.rate_limit_per_second, settings.rate_limit_burst),
        Limit.AUTH: (settings.auth_rate_limit_per_second, settings.auth_rate_limit_burst),
    }
    return {
        limit: Rate(per_second=per_second, burst=burst)
        for limit, (per_second, burst) in wanted.items()
        if per_second > 0
    }


class _Document:
    """The merged description, kept for a minute: services come and go, and making it anew takes half a second.

    Made in a thread, so that nobody waits behind it; services of this process do not change: once is enough for them.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._merged: dict[str, Any] = {}
        self._fresh_until = 0.0
        self._turn = asyncio.Lock()

    async def __call__(self) -> dict[str, Any]:
        """Merge the documents, or give those merged a moment ago."""
        async with self._turn:
            if time.monotonic() > self._fresh_until:
                self._merged = await asyncio.to_thread(merged_openapi, await self._services.documents())
                fresh_s = math.inf if self._services.all_within() else OPENAPI_FRESH_S
                self._fresh_until = time.monotonic() + fresh_s
        return self._merged
