"""The hammer, smaller: every answer of many clients on few seats is checked. The big one runs by ``make evidence``.

Opens with the control: a job that frees seats which somebody holds, as a sweeper without a look at the clock would, is
found by what the clients were told.
"""

import asyncio

import pytest
from tests.hammer.__main__ import hammer

from boxoffice.runtime.database import Database

ATTEMPTS = 30_000
SECONDS = 150.0
"""The attempts are what a worker of a busy machine makes in this time; then it is enough."""
ENOUGH = 3_000
FREE_WHAT_IS_HELD = """
UPDATE event_seats SET state = 'free', order_id = NULL, hold_expires_at = NULL
WHERE (event_id, seat_id) IN (SELECT event_id, seat_id FROM event_seats WHERE state = 'held' LIMIT 5 FOR UPDATE SKIP LOCKED)
"""


async def thief(database: Database) -> None:
    while True:
        await database.fetch(FREE_WHAT_IS_HELD)
        await asyncio.sleep(0.05)


class TestControl:
    @pytest.mark.timeout(600)
    def test_is_told_of_seats_that_were_given_away_while_somebody_held_them(self, sales_url: str) -> None:
        found = asyncio.run(hammer(sales_url, attempts=ATTEMPTS, processes=2, seconds=SECONDS, seed=1, beside=thief))
        assert any(text.startswith("register: ") for text in found["violations"])


class TestHammer:
    @pytest.mark.timeout(600)
    def test_finds_no_seat_sold_twice_and_no_answer_that_was_a_lie(self, sales_url: str) -> None:
        found = asyncio.run(hammer(sales_url, attempts=ATTEMPTS, processes=2, seconds=SECONDS, seed=1))
        assert found["violations"] == []
        assert found["attempts"] >= ENOUGH
        for outcome in ("reserve ok", "reserve sales.seats_taken", "release ok", "confirm ok", "cancel ok"):
            assert found["outcomes"].get(outcome), f"never saw {outcome}"
