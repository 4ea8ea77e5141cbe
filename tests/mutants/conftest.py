"""One room for each scenario, and its simulator."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.mutants.room import Room
from tests.support.engines import Engines
from tests.support.payments import Simulated, paypal, simulator  # noqa: F401 - fixtures


@pytest.fixture
async def room(engines: Engines, paypal: Simulated, redis_url: str, tmp_path: Path) -> AsyncIterator[Room]:  # noqa: F811 - the fixture
    async with AsyncExitStack() as stack:
        yield Room(engines=engines, paypal=paypal, redis_url=redis_url, folder=tmp_path, stack=stack)
