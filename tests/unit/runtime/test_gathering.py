"""How many requests a batch may have."""

import pytest

from boxoffice.runtime.gathering import FEW, fair_share


@pytest.mark.parametrize(
    ("there", "lanes", "share"), [(1, 2, FEW), (2 * FEW, 2, FEW), (64, 2, 32), (65, 2, 33), (900, 2, 128), (64, 1, 64)]
)
def test_lanes_share_what_there_is_to_do(there: int, lanes: int, share: int) -> None:
    assert fair_share(there, lanes=lanes, most=128) == share


def test_a_batch_is_never_bigger_than_allowed() -> None:
    assert fair_share(1_000, lanes=1, most=5) == 5
