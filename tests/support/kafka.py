"""A real Kafka for tests: one node, started once per test process that asks for it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from boxoffice.runtime.embedded.errors import EngineMissingError
from boxoffice.runtime.engines import kafka


def missing_engine(missing: EngineMissingError) -> NoReturn:
    """Skip a test whose engine is not there; in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(str(missing))
    pytest.skip(str(missing))


@contextmanager
def running_kafka() -> Iterator[kafka.Kafka]:
    """Run a node with its data in a temporary folder; without Java or Kafka tests are skipped, in CI they fail."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-kafka-") as folder:
        try:
            server = kafka.start_ready(Path(folder) / "data", log=Path(folder) / "kafka.log")
        except EngineMissingError as missing:
            missing_engine(missing)
        try:
            yield server
        finally:
            server.stop()
