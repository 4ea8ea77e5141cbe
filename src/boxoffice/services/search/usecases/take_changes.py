"""Take changes into the index, in any order and any number of times (invariant I18)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from boxoffice.runtime.telemetry import log
from boxoffice.services.search.domain.listing import Change, Entry, changed
from boxoffice.services.search.providers.engine import SearchEngine, SearchUnavailableError
from boxoffice.services.search.providers.shelf import Shelf

RETRY_S = 1.0
"""A full disk or a damaged index is no fault of the message: it waits instead of being put aside as poison."""

_log = log(__name__)


async def _nobody() -> None:
    """Tell nobody."""


class Intake:
    """The one way into the index of a process; while a rebuild runs, the next generation is told everything too.

    ``changed`` is called whenever something else may be found than before, and after it can be.
    """

    def __init__(self, shelf: Shelf, changed: Callable[[], Awaitable[None]] = _nobody) -> None:
        self._shelf = shelf
        self.changed = changed
        self.lock = asyncio.Lock()

    async def take(self, changes: Sequence[Change]) -> None:
        """Apply changes durably; returns when they can be found, and no answer from before is kept."""
        while True:
            try:
                async with self.lock:
                    await asyncio.to_thread(self._tell_all, changes)
            except SearchUnavailableError as error:
                _log.warning("index.waits", reason=error.detail, cause=str(error.__cause__))
                await asyncio.sleep(RETRY_S)
                await self.look_after(failed=True)
            else:
                await self.changed()  # also after a repeat: who took it first may have died before telling
                return

    async def look_after(self, *, failed: bool = False) -> None:
        """Check an index that failed somebody; open it anew when it failed to write."""
        async with self.lock:
            if failed:
                self._shelf.suspect = True
                await asyncio.to_thread(self._shelf.open)
            await asyncio.to_thread(self._shelf.check)

    def _tell_all(self, changes: Sequence[Change]) -> None:
        for engine in self._shelf.generations():
            apply(engine, changes)


def apply(engine: SearchEngine, changes: Sequence[Change]) -> int:
    """Apply changes to one index in one step; returns how many events they made a difference to."""
    before = engine.entries(sorted({change.event_id for change in changes}))
    after = dict(before)
    for change in changes:
        known = after.get(change.event_id) or Entry(event_id=change.event_id)
        after[change.event_id] = changed(known, change)
    different = [entry for event_id, entry in after.items() if entry != before.get(event_id)]
    if different:
        engine.put(different)
    return len(different)
