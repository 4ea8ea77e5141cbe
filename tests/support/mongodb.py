"""A server that speaks MongoDB's protocol for tests: started once per test process that asks for it."""

import gc
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from boxoffice.runtime.engines import mongodb

ON_ONE_WORKER = pytest.mark.xdist_group("mongodb")
MONGODB = pytest.param("mongodb", marks=ON_ONE_WORKER)
"""The parameter of a suite that runs on every store."""


def demand_mongodb() -> None:
    """Fail in CI, and skip elsewhere, when there is no such server; nothing is downloaded here."""
    if not mongodb.installed_already():
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("no server that speaks MongoDB's protocol: it was not fetched: run make setup-dev")


@contextmanager
def running_mongodb() -> Iterator[mongodb.MongoServer]:
    """Run a server with its data in a temporary folder."""
    demand_mongodb()
    with tempfile.TemporaryDirectory(prefix="boxoffice-mongodb-") as folder:
        server = mongodb.start_ready(Path(folder) / "server", log=Path(folder) / "mongodb.log")
        try:
            yield server
        finally:
            server.stop()


def collect_what_the_driver_left() -> None:
    """Collect the sockets of connections that a closing client cancelled while they were made.

    The driver (4.x, ``pool_shared._async_create_connection``) closes such a socket on errors but not when it is
    cancelled, as its monitors are; found by the collector in some later test, it would fail that one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
