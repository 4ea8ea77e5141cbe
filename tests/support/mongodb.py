"""A server that speaks MongoDB's protocol for tests: started once per test process that asks for it."""

import os
import tempfile
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
