"""A short drill in every run of the tests; ``make machine`` does the long one."""

import json

import pytest
from tests.evidence.__main__ import EVIDENCE
from tests.machine.__main__ import page
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


def test_the_page_says_what_the_figures_say() -> None:
    written = EVIDENCE / "machine.json"
    assert (EVIDENCE / "machine.md").read_text() == page(json.loads(written.read_text()))
