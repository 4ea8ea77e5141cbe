"""One customer, many requests at once: the limit holds, and a repeat is one effect with one answer.

Opens with the control: a limit that is counted and then written is overrun.
"""

import asyncio
from uuid import uuid4

import pytest
from tests.support.sales import EVENT, put_on_sale

from boxoffice.kernel.ids import SeatId, UserId
from boxoffice.runtime.database import Database, DatabaseBusyError, DatabaseUnavailableError
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.sales.domain.refusals import LimitReachedError, SeatsTakenError
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold

LIMIT = 8
BUSY = (DatabaseBusyError, DatabaseUnavailableError)

COUNT = "SELECT count(*) FROM event_seats s JOIN orders o USING (order_id) WHERE o.user_id = $1"
COUNT_THEN_WRITE = """
UPDATE event_seats SET state = 'blocked' WHERE seat_id = $1
"""


class TestControl:
    async def test_a_limit_that_is_counted_first_is_overrun(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, 50)
        blocked = "SELECT count(*) FROM event_seats WHERE state = 'blocked'"

        async def one(seat: SeatId) -> None:
            if await unguarded.fetchval(blocked) < LIMIT:
                await unguarded.fetch(COUNT_THEN_WRITE, seat)

        await asyncio.gather(*(one(seat) for seat in seats))
        assert await unguarded.fetchval(blocked) > LIMIT


class TestLimit:
    async def test_fifty_parallel_holds_get_exactly_the_limit(self, database: Database) -> None:
        seats = await put_on_sale(database, 50, limit_per_customer=LIMIT)
        user = UserId(uuid4())

        async def one(seat: SeatId) -> int:
            for _ in range(40):
                try:
                    await place_hold(database, Wish(user_id=user, event_id=EVENT, seat_ids=(seat,)))
                except LimitReachedError:
                    return 0
                except BUSY:
                    await asyncio.sleep(0.05)
                else:
                    return 1
            raise AssertionError("the database stayed busy")

        assert sum(await asyncio.gather(*(one(seat) for seat in seats))) == LIMIT
        assert await database.fetchval(COUNT, user) == LIMIT


class TestIdempotency:
    @pytest.mark.parametrize("round_", range(3))
    async def test_thirty_two_duplicates_are_one_effect_and_one_answer(self, database: Database, round_: int) -> None:
        seats = await put_on_sale(database, 4, event_id=EVENT)
        user = UserId(uuid4())
        wish = Wish(user_id=user, event_id=EVENT, seat_ids=tuple(seats[:2]))
        call = IdempotentCall.of(principal=user, key=f"key-{round_}", route="POST /bookings/reserve", body=b"{}")

        async def one() -> bytes:
            for _ in range(40):
                try:
                    return await place_hold(database, wish, call)
                except BUSY:
                    await asyncio.sleep(0.05)
            raise AssertionError("the database stayed busy")

        answers = await asyncio.gather(*(one() for _ in range(32)))
        assert len(set(answers)) == 1
        assert await database.fetchval("SELECT count(*) FROM orders") == 1
        assert await database.fetchval("SELECT n FROM customer_limits") == 2

    async def test_without_a_key_duplicates_lose_against_the_first(self, database: Database) -> None:
        seats = await put_on_sale(database, 4)
        user = UserId(uuid4())

        async def one() -> int:
            for _ in range(40):
                try:
                    await place_hold(database, Wish(user_id=user, event_id=EVENT, seat_ids=tuple(seats[:2])))
                except SeatsTakenError:
                    return 0
                except BUSY:
                    await asyncio.sleep(0.05)
                else:
                    return 1
            raise AssertionError("the database stayed busy")

        assert sum(await asyncio.gather(*(one() for _ in range(16)))) == 1
