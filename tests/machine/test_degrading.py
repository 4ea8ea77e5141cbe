"""Two rows of the table of degradations in every run of the tests; ``python -m tests.machine`` goes through it all."""

import pytest
from tests.machine import degrading
from tests.machine.degrading import TABLE, run, section, wrong
from tests.support.kafka import missing_engine
from tests.support.search_engines import demand

from boxoffice.runtime.embedded.errors import EngineMissingError

ROWS = ("OpenSearch", "Kafka + Redis + OpenSearch together")


@pytest.mark.xdist_group("machine")
@pytest.mark.timeout(900)
def test_people_buy_and_search_while_engines_are_stopped() -> None:
    demand("opensearch")
    rows = [row for row in TABLE if row.name in ROWS]
    try:
        found = run(print, rows, seed=7, ways=("stopped",), broken_s=5.0)
    except EngineMissingError as missing:
        missing_engine(missing)
    assert set(degrading.KEYS) <= set(found)
    assert found["degradations_total"] == len(ROWS)
    assert found["audit_clean"]
    timed = [text for text in wrong(found) if "p99" in text]  # how fast is no matter of a machine that runs all tests
    assert wrong(found) == timed
    assert all(name in section(found) for name in ("opensearch", ROWS[1]))
