"""Consumers as tasks that nothing ends but their end: what is away is waited for, a failure is said and tried again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from boxoffice.runtime.bus import taking
from boxoffice.runtime.bus.lag import watched
from boxoffice.runtime.bus.seam import Bus, Consumer
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import log

_log = log(__name__)

Consume = Callable[[Consumer], Awaitable[None]]


@asynccontextmanager
async def kept_running(
    bus: Bus, consumers: Sequence[Consumer], consume: Consume, *, away: tuple[type[Exception], ...]
) -> AsyncIterator[None]:
    """Run ``consume`` for each consumer, again and again, while inside; ``away``: its errors while the bus is away."""
    tasks = [asyncio.create_task(_forever(consumer, consume, away), name=consumer.name) for consumer in consumers]
    try:
        async with watched(bus, consumers):
            yield
    finally:
        await end(tasks)


async def _forever(consumer: Consumer, consume: Consume, away: tuple[type[Exception], ...]) -> None:
    while True:
        try:
            await consume(consumer)
        except away as error:
            _log.warning("consumer.waits", consumer=consumer.name, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(taking.RETRY_PAUSE_S)
        except Exception as error:  # noqa: BLE001 - a consumer that stopped for good would be noticed by nobody
            _log.exception("consumer.failed", consumer=consumer.name, error=type(error).__name__)
            await asyncio.sleep(taking.AWAY_PAUSE_S)
