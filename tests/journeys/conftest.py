"""One shop for the journeys; the tests that share it run in one worker (`xdist_group`)."""

from collections.abc import Iterator

import pytest
from tests.support.shop import Shop, running_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running_shop(tmp_path_factory.mktemp("shop") / "data") as up:
        yield up
