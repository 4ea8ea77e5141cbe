"""The message bus: one seam, on streams of Valkey or Redis (the default) or on Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from redis.asyncio import Redis

from boxoffice.runtime.bus.seam import Bus, BusFullError, Consumer, DeadLetter, LineBus, Lines, dead_letter_topic
from boxoffice.runtime.bus.streams import StreamBus

__all__ = [
    "Bus", "BusFullError", "Consumer", "DeadLetter", "LineBus", "Lines", "StreamBus", "dead_letter_topic", "open_bus",
    "shop_of",
]  # fmt: skip

KAFKA = "kafka"


def shop_of(bus_url: str) -> str:
    """Tell the shop's name on a cluster that it shares; "" where it has its own."""
    return urlsplit(bus_url).path.strip("/")


@asynccontextmanager
async def open_bus(bus_url: str, redis: "Redis") -> AsyncIterator[Bus]:
    """Open the bus that ``BOXOFFICE_BUS_URL`` names, else the streams of ``redis``.

    ``kafka://host:port,host:port``, with ``/name`` after it where several shops share a cluster: topics, groups and
    claims begin with ``name.`` then.
    """
    if not bus_url:
        yield StreamBus(redis)
        return
    from boxoffice.runtime.bus.kafka import KafkaBus, servers_of  # its client is loaded where it is used

    async with KafkaBus(servers_of(bus_url), shop=shop_of(bus_url)) as bus:
        yield bus
