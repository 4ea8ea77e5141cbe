"""How long a search server may take, and who asks it while it does not answer: nobody but one question now and then.

Without this every search would wait for a server that hangs, each in a thread of its own, before it is answered from
elsewhere. The embedded index is a library of this process: it is asked without any of it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from boxoffice.runtime.telemetry import BREAKER_OPEN, log
from boxoffice.services.search.providers.engine import SearchEngine, SearchUnavailableError
from boxoffice.services.search.providers.shelf import Shelf

REST_S: Final = 1.0
"""After a failure the server is left alone for so long; then one question that nobody waits for tries it."""
RETRY_AFTER_S: Final = 2

T = TypeVar("T")
_log = log(__name__)


class Patience:
    """Asks the index of a shelf for at most ``seconds``; none: for as long as it takes."""

    def __init__(self, shelf: Shelf, seconds: float | None) -> None:
        self._shelf = shelf
        self._seconds = seconds
        self._away = False
        self._tried_at = float("-inf")
        self._trying: asyncio.Task[None] | None = None
        self._shown = BREAKER_OPEN.labels("search index")

    @property
    def limited(self) -> bool:
        """Whether there is somebody else to ask when it takes too long."""
        return self._seconds is not None

    @property
    def away(self) -> bool:
        """Whether the index did not answer when it was last asked."""
        return self._away

    async def ask(self, question: Callable[[SearchEngine], T]) -> T:
        """Ask the index; while it is away, refuse at once.

        :raises SearchUnavailableError: when it cannot be read, or not in time.
        """
        if self._seconds is None:
            return await self._shelf.ask(question)
        if self._away:
            self._try_again()
            raise SearchUnavailableError("The index does not answer.", retryAfterSeconds=RETRY_AFTER_S)
        return await self._asked(question, self._seconds)

    async def _asked(self, question: Callable[[SearchEngine], T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                found = await self._shelf.ask(question)
        except TimeoutError as error:
            self._lost()
            raise SearchUnavailableError("The index takes too long.", retryAfterSeconds=RETRY_AFTER_S) from error
        except SearchUnavailableError:
            self._lost()
            raise
        if self._away:
            self._away = False
            self._shown.set(0)
            _log.warning("index.back")
        return found

    def _lost(self) -> None:
        if not self._away:
            self._shown.set(1)
            _log.warning("index.left_alone", for_s=REST_S)
        self._away, self._tried_at = True, time.monotonic()

    def _try_again(self) -> None:
        """Try the server beside the searches, one question at a time."""
        if self._trying is None and time.monotonic() - self._tried_at >= REST_S:
            self._trying = asyncio.create_task(self._tried(), name="search-patience")

    async def _tried(self) -> None:
        try:
            await self._asked(lambda engine: engine.count(), self._seconds or REST_S)
        except SearchUnavailableError:
            pass
        finally:
            self._trying = None
