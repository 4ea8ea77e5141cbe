"""How far consumers are behind, as a metric."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from boxoffice.runtime.bus.seam import Bus, Consumer
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import CONSUMER_LAG, log

LOOK_EVERY_S = 15.0
"""As often as metrics are usually scraped."""

_log = log(__name__)


@asynccontextmanager
async def watched(bus: Bus, consumers: Sequence[Consumer]) -> AsyncIterator[None]:
    """Keep the metric while inside. Every process that runs a consumer tells the same figure: that of the bus."""
    task = asyncio.create_task(_watch(bus, consumers), name="consumer-lag")
    try:
        yield
    finally:
        await end([task])


async def _watch(bus: Bus, consumers: Sequence[Consumer]) -> None:
    while True:
        for consumer in consumers:
            for topic in consumer.topics:
                try:
                    behind = await bus.behind(consumer.name, topic)
                except Exception as error:  # noqa: BLE001 - the bus is away: its consumers say so themselves
                    _log.debug("consumer.lag_unknown", consumer=consumer.name, error=f"{type(error).__name__}: {error}")
                else:
                    if behind is not None:
                        CONSUMER_LAG.labels(consumer.name, topic).set(behind)
        await asyncio.sleep(LOOK_EVERY_S)
