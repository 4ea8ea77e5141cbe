"""One shop for the journeys, and one of many processes; the tests that share one run in one worker (`xdist_group`)."""

import os
from collections.abc import Iterator

import pytest
from tests.support.full import RUNNING, FullShop, running_full
from tests.support.kafka import missing_engine
from tests.support.shop import Shop, running_shop

from boxoffice.runtime.embedded.errors import EngineMissingError
from boxoffice.runtime.engines import prometheus, search_servers
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.java import java
from boxoffice.runtime.engines.locks import lock


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running_shop(tmp_path_factory.mktemp("shop") / "data") as up:
        yield up


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullShop]:
    """The full machine, with all that it can have; where something cannot be had, a named skip, in CI a failure."""
    if RUNNING not in os.environ:
        try:
            java(search_servers.JAVA_AT_LEAST)
            for name in ("kafka", "connect", "zipkin"):
                fetched(lock(name))
            search_servers.home("opensearch")
            prometheus.program()
        except EngineMissingError as missing:
            missing_engine(missing)
    with running_full(tmp_path_factory.mktemp("full") / "data") as up:
        yield up
