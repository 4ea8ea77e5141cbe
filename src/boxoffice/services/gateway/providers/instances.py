"""The instances of one service: which one a call goes to, and which are left out because they do not answer.

The less busy of two takes a call (Mitzenmacher, "The power of two choices", 2001). Where there are several, each is
asked twice a second whether it lives; one that is not heard in time takes no calls until it is heard again, and calls
that wait for it learn of it: an instance that hangs would else keep them for as long as we wait for any answer.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import httpx

from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import BREAKER_OPEN, log

LOOK_EVERY_S: Final = 0.5
LOOK_S: Final = 1.0
"""How long an instance may take to say that it lives; two busy processes on one core take a tenth of it."""

_log = log(__name__)
Lives = Callable[[httpx.URL], Awaitable[bool]]


@dataclass(eq=False, slots=True)
class Instance:
    """One process at one address. ``left_out`` is set while it does not answer: calls that wait for it are told."""

    url: httpx.URL
    busy: int = 0
    left_out: asyncio.Event = field(default_factory=asyncio.Event)


class Instances:
    """All instances of a service, by their addresses with commas between."""

    def __init__(self, name: str, urls: str) -> None:
        self._name = name
        self.all: Sequence[Instance] = [Instance(httpx.URL(url.strip())) for url in urls.split(",")]
        self._looking: asyncio.Task[None] | None = None
        for one in self.all if self.several else ():
            self._show(one)

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.all) > 1

    def choose(self, *, beside: Instance | None = None) -> Instance:
        """Choose who takes a call, ``beside`` one that failed if there is another; of none that lives, any."""
        if not self.several:
            return self.all[0]
        others = [one for one in self.all if one is not beside]
        alive = [one for one in others if not one.left_out.is_set()] or others
        pair = random.sample(alive, min(2, len(alive)))
        return min(pair, key=lambda one: one.busy)

    def leave_out(self, instance: Instance) -> None:
        """Send an instance no calls until it is heard again; the only one is tried again and again."""
        if self.several and not instance.left_out.is_set():
            _log.warning("upstream.left_out", upstream=self._name, instance=str(instance.url))
            instance.left_out.set()
            self._show(instance)

    def look_after(self, lives: Lives) -> None:
        """Begin to look after them, once; one alone needs no looking after."""
        if self.several and self._looking is None:
            self._looking = asyncio.create_task(self._look_for_ever(lives), name=f"instances-{self._name}")

    async def close(self) -> None:
        """Stop looking after them."""
        if self._looking is not None:
            await end([self._looking])
            self._looking = None

    async def _look_for_ever(self, lives: Lives) -> None:
        while True:
            await asyncio.gather(*(self._look(one, lives) for one in self.all))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, instance: Instance, lives: Lives) -> None:
        heard = False
        with suppress(httpx.TransportError, OSError, TimeoutError):
            async with asyncio.timeout(LOOK_S):
                heard = await lives(instance.url)
        if not heard:
            self.leave_out(instance)
        elif instance.left_out.is_set():
            _log.warning("upstream.back", upstream=self._name, instance=str(instance.url))
            instance.left_out.clear()
            self._show(instance)

    def _show(self, instance: Instance) -> None:
        BREAKER_OPEN.labels(f"{self._name} {instance.url}").set(instance.left_out.is_set())
