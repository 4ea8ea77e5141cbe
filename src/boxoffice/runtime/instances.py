"""Several processes of one service: which of them to ask next, and which to leave alone for a while (invariant I21).

A service's address may name several with commas between. Of two chosen at random the less busy one is asked; one that
cannot be reached is passed over for some seconds, so a restart costs one call a second try and nobody an error.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

AWAY_S = 2.0
"""How long one that could not be reached is passed over: a process starts in about that time."""
NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors after which it is certain that nothing was asked: what failed so may be asked of another, whatever it is."""
HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing: they may be asked of another even when the first may have heard them."""


def first_of(addresses: str) -> str:
    """Give the first of several addresses."""
    return addresses.split(",", maxsplit=1)[0].strip()


@dataclass(slots=True)
class Instance:
    """One process: its address, how many calls it has open, and until when it is passed over (monotonic)."""

    url: httpx.URL
    busy: int = 0
    away_until: float = 0.0


class Instances:
    """The processes of one service."""

    def __init__(self, addresses: str) -> None:
        self._all = [Instance(httpx.URL(address.strip())) for address in addresses.split(",") if address.strip()]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    def choose(self, *, besides: Instance | None = None) -> Instance:
        """Choose one: not ``besides`` where there is another, not one that is away where one is there."""
        others = [one for one in self._all if one is not besides] or self._all
        now = time.monotonic()
        there = [one for one in others if one.away_until <= now]
        if not there:
            return min(others, key=lambda one: one.away_until)
        pair = random.sample(there, min(2, len(there)))
        return min(pair, key=lambda one: one.busy)

    def failed(self, instance: Instance) -> None:
        """Pass one over for a while."""
        instance.away_until = time.monotonic() + AWAY_S

    @contextmanager
    def asking(self, instance: Instance) -> Iterator[httpx.URL]:
        """Count a call to one while inside; its address."""
        instance.busy += 1
        try:
            yield instance.url
        finally:
            instance.busy -= 1


class SpreadTransport(httpx.AsyncBaseTransport):
    """Spreads the calls of one client over instances; what reached none, or changes nothing, is asked again."""

    def __init__(self, instances: Instances) -> None:
        self._instances = instances
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask one of the instances.

        :raises httpx.TransportError: when it does not answer, or two cannot be reached.
        """
        first = self._instances.choose()
        try:
            return await self._ask(first, request)
        except httpx.TransportError as error:
            harmless = isinstance(error, NOT_REACHED) or request.method in HARMLESS
            if len(self._instances) == 1 or not harmless:
                raise
        return await self._ask(self._instances.choose(besides=first), request)

    async def _ask(self, instance: Instance, request: httpx.Request) -> httpx.Response:
        with self._instances.asking(instance) as url:
            request.url = request.url.copy_with(scheme=url.scheme, host=url.host, port=url.port)
            request.headers["host"] = url.netloc.decode()
            try:
                return await self._network.handle_async_request(request)
            except httpx.TransportError:
                self._instances.failed(instance)
                raise

    async def aclose(self) -> None:
        """Close every connection."""
        await self._network.aclose()
