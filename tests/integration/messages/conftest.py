"""The bus, on both of its engines; tests that start Kafka run in one worker."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from redis.asyncio import Redis
from tests.support.connect import Worker
from tests.support.engines import Engines

from boxoffice.runtime.bus import Bus, StreamBus, streams, taking
from boxoffice.runtime.bus.kafka import KafkaBus
from boxoffice.runtime.database import Database
from boxoffice.runtime.engines.kafka import Kafka

KAFKA = pytest.param("kafka", marks=pytest.mark.xdist_group("kafka"))
_shops = count(1)


@pytest.fixture
async def database(sales_url: str) -> AsyncIterator[Database]:
    async with Database.open(sales_url) as opened:
        yield opened


@pytest.fixture
def shop() -> str:
    """A name of its own on the shared cluster."""
    return f"shop{next(_shops)}"


@asynccontextmanager
async def client(url: str, **options: Any) -> AsyncIterator[Redis]:
    redis = Redis.from_url(url, **options)
    try:
        yield redis
    finally:
        await redis.aclose()


@pytest.fixture(params=["RESP2", "RESP3", KAFKA])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if request.param == "kafka":
        server, shop = request.getfixturevalue("kafka_server"), request.getfixturevalue("shop")
        async with KafkaBus(server.servers, shop=shop) as opened:
            yield opened
        return
    url = request.getfixturevalue("redis_url")
    async with client(url, protocol=2 if request.param == "RESP2" else 3) as redis:
        yield StreamBus(redis)


@pytest.fixture
async def kafka(kafka_server: Kafka, shop: str) -> AsyncIterator[KafkaBus]:
    async with KafkaBus(kafka_server.servers, shop=shop) as opened:
        yield opened


@pytest.fixture(scope="session")
def worker(kafka_server: Kafka, engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("connect")
    running = Worker(kafka_server, folder, unquote(urlsplit(engines.admin_url).password or ""))
    try:
        yield running
    finally:
        running.connect.process.kill()


@pytest.fixture
async def stream_bus(redis_url: str) -> AsyncIterator[StreamBus]:
    async with client(redis_url) as redis:
        yield StreamBus(redis)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "RETRY_PAUSE_S", 0.01)
    monkeypatch.setattr(taking, "AWAY_PAUSE_S", 0.05)
    monkeypatch.setattr(streams, "STANDBY_S", 0.05)
