"""Fixtures that every test may use. Unit tests get no sockets; the others get real engines, one set per worker."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_socket
import redis
import structlog
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.engines import Engines, running_engines
from tests.support.kafka import running_kafka
from tests.support.mongodb import collect_what_the_driver_left, running_mongodb
from tests.support.search_engines import SearchEngines
from tests.support.tokens import TokenFactory

from boxoffice.runtime import database
from boxoffice.runtime.engines.kafka import Kafka
from boxoffice.runtime.engines.mongodb import MongoServer

UNIT = Path(__file__).parent / "unit"

settings.register_profile("boxoffice", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("boxoffice")
"""No test fails because the machine stood still for a moment; what else Hypothesis thinks of a CI stays."""

database.IDLE_IN_TRANSACTION_MS = database.STATEMENT_TIMEOUT_MS = 20_000
"""A busy test machine stops whole processes for seconds; in production such a transaction gives its locks back after 2,
and a statement is given up after one.
"""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each group of tests in one worker: xdist 3.8 writes a test's group where pytest 9.2 reads no longer."""
    for item in items:
        named = getattr(item, "_nodeid", item.nodeid)
        if named != item.nodeid:
            item._id = type(item._id).parse(named)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    if UNIT not in request.path.parents:
        yield
        return
    pytest_socket.disable_socket(allow_unix_socket=True)  # the event loop wakes itself through a pair of them
    try:
        yield
    finally:
        pytest_socket.enable_socket()


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Undo what a test configured."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.contextvars.clear_contextvars()
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    with running_engines() as running:
        yield running


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[Kafka]:
    with running_kafka() as server:
        yield server


@pytest.fixture(scope="session")
def search_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngines]:
    engines = SearchEngines(tmp_path_factory.mktemp("search"))
    yield engines
    engines.close()


@pytest.fixture(scope="session")
def mongodb_server() -> Iterator[MongoServer]:
    with running_mongodb() as server:
        yield server


@pytest.fixture
def mongodb_url(mongodb_server: MongoServer) -> Iterator[str]:
    """A database of its own on the server of this worker."""
    yield mongodb_server.url.rpartition("/")[0] + f"/test_{uuid4().hex}"
    collect_what_the_driver_left()


@pytest.fixture
def identity_url(engines: Engines) -> Iterator[str]:
    with engines.database("identity") as url:
        yield url


@pytest.fixture
def catalog_url(engines: Engines) -> Iterator[str]:
    with engines.database("catalog") as url:
        yield url


@pytest.fixture
def sales_url(engines: Engines) -> Iterator[str]:
    with engines.database("sales") as url:
        yield url


@pytest.fixture
def notification_url(engines: Engines) -> Iterator[str]:
    with engines.database("notification") as url:
        yield url


@pytest.fixture
def redis_url(engines: Engines) -> str:
    with redis.Redis.from_url(engines.redis_url) as client:
        client.flushall()
    return engines.redis_url


@pytest.fixture
def tokens() -> TokenFactory:
    return TokenFactory()
