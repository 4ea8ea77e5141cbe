"""Ship a process's log records to the archive, from a thread of its own with a loop of its own.

Whoever logs only puts a line into a bounded queue. While the archive is away the queue keeps the newest lines, and what
falls out at its other end is counted; a batch is repeated under the same ids, so nothing is kept twice.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.archive import LogStore, open_log_store, record
from boxoffice.runtime.archive.record import LogRecord
from boxoffice.runtime.log_lines import LineHandler
from boxoffice.runtime.settings import Settings
from boxoffice.runtime.telemetry import LOG_RECORDS, log

MOST_WAITING = 10_000
"""Lines, some 5 MB: a busy process's last minute."""
BATCH = 500
LOOK_S = 0.2
"""How late a record may be in the archive while all is well; looking costs nothing."""
PAUSE_S = 2.0
"""Between two tries while the archive is away."""
FORGET_EVERY_S = 3_600.0
STOP_S = 5.0
"""How long a process that ends waits for its last records to be kept."""

_log = log(__name__)


class Shipper(LineHandler):
    """A handler that never blocks and never raises; ``telemetry`` gives it the formatter of JSON lines."""

    def __init__(
        self,
        url: str,
        *,
        days: int,
        service: str,
        open_store: Callable[[str], AbstractAsyncContextManager[LogStore]] = open_log_store,
    ) -> None:
        super().__init__()
        self._url = url
        self._open_store = open_store
        self._days = days
        self._service = service
        self._waiting: deque[str] = deque(maxlen=MOST_WAITING)
        self._hand: list[LogRecord] = []
        self._asked = threading.Event()
        self._away = False
        self._forget_at = 0.0
        self._thread = threading.Thread(target=self._work, name="log archive", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def stop(self) -> None:
        """Ship what there is, within five seconds; what is left then was dropped."""
        self._asked.set()
        self._thread.join(STOP_S)
        if left := len(self._waiting) + len(self._hand):
            LOG_RECORDS.labels("dropped").inc(left)

    def take(self, line: str) -> None:
        """Take a line into the queue."""
        if threading.current_thread() is self._thread:  # what the archive says of itself would never end
            return
        self.acquire()
        try:
            if len(self._waiting) == MOST_WAITING:
                LOG_RECORDS.labels("dropped").inc()
            self._waiting.append(line)
        finally:
            self.release()

    def _work(self) -> None:
        asyncio.run(self._ship())

    async def _ship(self) -> None:
        """Ship until asked to stop; whatever goes wrong, come back for more after a pause."""
        while not (self._asked.is_set() and self._away):
            try:
                async with self._open_store(self._url) as store:
                    await store.prepare(days=self._days)
                    self._say_back()
                    await self._carry(store)
            except Exception as error:  # noqa: BLE001 - the archive must outlive whatever its server does
                self._say_away(error)
                await self._rest()
            else:
                return

    async def _carry(self, store: LogStore) -> None:
        while True:
            self._take()
            if self._hand:
                await self._keep(store)
            elif self._asked.is_set():
                return
            else:
                await self._forget(store)
                await asyncio.sleep(LOOK_S)

    def _take(self) -> None:
        """Take lines into our hand; a batch that could not be kept is there still."""
        while not self._hand and self._waiting:
            lines = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._hand = [record.read(line, service=self._service) for line in lines]

    async def _keep(self, store: LogStore) -> None:
        try:
            await store.add(self._hand)
        except DomainError:
            raise
        except Exception as error:  # noqa: BLE001 - one record that a store refuses must not cost its neighbours
            if len(self._hand) > 1:
                await self._keep_each(store)
                return
            LOG_RECORDS.labels("refused").inc()
            _log.warning("log_archive.refused", error=type(error).__name__)
        else:
            LOG_RECORDS.labels("archived").inc(len(self._hand))
        self._hand = []

    async def _keep_each(self, store: LogStore) -> None:
        together, self._hand = self._hand, []
        for position, one in enumerate(together):
            self._hand = [one]
            try:
                await self._keep(store)
            except DomainError:
                self._hand = together[position:]
                raise

    async def _forget(self, store: LogStore) -> None:
        if time.monotonic() >= self._forget_at:
            gone = await store.forget(days=self._days)
            self._forget_at = time.monotonic() + (0.0 if gone else FORGET_EVERY_S)

    def _say_away(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            foreseen = isinstance(error, OSError) or (
                isinstance(error, DomainError) and error.category is Category.UNAVAILABLE
            )
            _log.warning("log_archive.away", error=type(error).__name__, exc_info=None if foreseen else error)

    def _say_back(self) -> None:
        if self._away:
            self._away = False
            _log.info("log_archive.back")

    async def _rest(self) -> None:
        await asyncio.to_thread(self._asked.wait, PAUSE_S)


@contextmanager
def archiving(settings: Settings, *, service: str) -> Iterator[Shipper | None]:
    """Ship what the handler is given while inside, and the rest of it on leaving; none without an archive."""
    if not settings.log_archive_url:
        yield None
        return
    shipper = Shipper(settings.log_archive_url, days=settings.log_archive_days, service=service)
    shipper.start()
    try:
        yield shipper
    finally:
        shipper.stop()
