"""A turn of rolling restarts in every run of the tests; ``python -m tests.machine --only rolling`` does twenty."""

import pytest
from tests.machine import rolling
from tests.machine.rolling import run, section, wrong

from boxoffice.apps import PROCESSES


@pytest.mark.xdist_group("machine")
@pytest.mark.timeout(900)
def test_nobody_misses_a_process_that_is_replaced() -> None:
    found = run(print, seed=7, times=1)
    assert set(rolling.KEYS) <= set(found)
    assert found["rolling_restarts"] == len(PROCESSES)
    assert wrong(found) == []
    assert "of them failed | 0 |" in section(found)
