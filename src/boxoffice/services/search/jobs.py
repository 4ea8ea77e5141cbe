"""Timers: follow the writer or take its place, and rebuild when the index lacks events or somebody asks for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from boxoffice.contracts.http.catalog import CatalogRefusedError
from boxoffice.runtime.jobs import Job
from boxoffice.runtime.peers import Peers, PeerUnavailableError
from boxoffice.runtime.telemetry import log
from boxoffice.services.search.domain.listing import Change
from boxoffice.services.search.providers.engine import SearchUnavailableError
from boxoffice.services.search.providers.shelf import Shelf
from boxoffice.services.search.usecases.rebuild import rebuild
from boxoffice.services.search.usecases.take_changes import Intake

EVERY_S = 1.0
"""How late a reader follows a rebuild, and how long messages wait when the writer has gone."""

_log = log(__name__)


class Keeper:
    """Looks after the index of one process. ``tasks`` holds the consumer (``consuming``) once this process writes."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        intake: Intake,
        peers: Peers,
        consuming: Callable[[], AbstractAsyncContextManager[None]],
        retained: Callable[[], AsyncIterator[Change]],
        tasks: AsyncExitStack,
    ) -> None:
        self._shelf, self._intake, self._peers, self._tasks = shelf, intake, peers, tasks
        self._consuming, self._retained = consuming, retained
        self._consumes = False

    @property
    def job(self) -> Job:
        """The timer."""
        return Job(name="search.tend", every_seconds=EVERY_S, run=self.tend)

    async def consume(self) -> None:
        """Begin to take messages, once, when this process is the one that writes."""
        if self._shelf.writing and not self._consumes:
            self._consumes = True
            await self._tasks.enter_async_context(self._consuming())

    async def tend(self) -> int:
        """Do what is due; returns 0, since nothing is ever left over."""
        await asyncio.to_thread(self._shelf.refresh)
        await self._intake.look_after()
        await self.consume()
        if self._shelf.writing and (self._shelf.incomplete or self._shelf.wanted):
            try:
                await rebuild(self._shelf, self._intake, peers=self._peers, retained=self._retained())
            except (PeerUnavailableError, CatalogRefusedError, SearchUnavailableError) as error:
                _log.warning("rebuild.waits", reason=error.detail)
        return 0
