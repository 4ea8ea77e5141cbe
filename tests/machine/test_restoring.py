"""A short drill in every run of the tests: one crash, its end and one instant restored and reconciled."""

import pytest
from tests.machine.restoring import KEYS, run, section, wrong


@pytest.mark.xdist_group("restoring")
@pytest.mark.timeout(300)
def test_what_is_restored_is_brought_to_the_providers_books() -> None:
    said: list[str] = []
    found = run(said.append, seed=5, crashes=1, points=1, round_s=6.0, places=1_000)
    story = "\n".join(said)
    assert found["restore_points"] == 2, story
    assert [one for one in wrong(found) if "restore_points" not in one and "rpo" not in one] == [], story
    assert int(str(found["restored_made_again"])) > 0, story
    assert set(KEYS) <= set(found)
    assert str(found["rto_seconds"]) in section(found)
