"""A short drill in every run of the tests; ``make machine`` does the long one."""

import pytest
from tests.machine.carrying import PARTS, run
from tests.support.kafka import missing_engine

from boxoffice.runtime.embedded.errors import EngineMissingError


@pytest.mark.xdist_group("kafka")
@pytest.mark.timeout(600)
def test_nothing_is_lost_or_done_twice_when_every_part_is_killed() -> None:
    try:
        found = run(records=700, kills=1, seed=11)
    except EngineMissingError as missing:
        missing_engine(missing)
    assert found["outbox_records"] == 700
    assert (found["missing"], found["effects_twice"], found["phantoms"], found["inversions"]) == (0, 0, 0, 0)
    assert found["kills_each"] * len(PARTS) == 4
