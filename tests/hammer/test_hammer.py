"""The hammer, smaller: every answer of many clients on few seats is checked. The big one runs by ``make evidence``."""

import asyncio

import pytest
from tests.hammer.__main__ import hammer

ATTEMPTS = 30_000
SECONDS = 150.0
"""The attempts are what a worker of a busy machine makes in this time; then it is enough."""
ENOUGH = 3_000


class TestHammer:
    @pytest.mark.timeout(600)
    def test_finds_no_seat_sold_twice_and_no_answer_that_was_a_lie(self, sales_url: str) -> None:
        found = asyncio.run(hammer(sales_url, attempts=ATTEMPTS, processes=2, seconds=SECONDS, seed=1))
        assert found["violations"] == []
        assert found["attempts"] >= ENOUGH
        for outcome in ("reserve ok", "reserve sales.seats_taken", "release ok", "confirm ok", "cancel ok"):
            assert found["outcomes"].get(outcome), f"never saw {outcome}"
