"""Setting seats aside against holding them: each seat is one's or the other's, never both's.

Opens with the control: setting aside that looks first and writes later takes seats that are being bought.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from tests.support.audit import assert_clean
from tests.support.sales import EVENT, ORGANISATION, hold, put_on_sale, set_aside

from boxoffice.kernel.ids import OrganisationId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.allocation import BadAllocationError, WrongAllocationStateError
from boxoffice.services.sales.domain.refusals import SeatsTakenError
from boxoffice.services.sales.usecases.audit import audit
from boxoffice.services.sales.usecases.change_allocation import change_allocation
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.open_allocation import open_allocation
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.release_allocation import release_allocation
from boxoffice.services.sales.usecases.set_seats_aside import patiently

PLACES = 40
OWNERS = [OrganisationId(ORGANISATION)]
FREE = "SELECT array_agg(seat_id) FROM event_seats WHERE event_id = $1 AND seat_id = ANY ($2) AND state = 'free'"
WRITE = "UPDATE event_seats SET allocation_id = $2, closed_until = 'infinity' WHERE seat_id = ANY ($1::bigint[])"
BOTH = """
SELECT count(*) FROM event_seats s JOIN orders o USING (order_id)
 WHERE s.closed_until > clock_timestamp() AND o.allocation_id IS DISTINCT FROM s.allocation_id
"""


def wish(seats: Sequence[SeatId], allocation: int | None = None) -> Wish:
    return Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats), allocation_id=allocation)


class TestControl:
    async def test_looking_first_and_writing_later_takes_what_is_being_bought(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, PLACES, no_single_seats=False)
        allocation = await set_aside(unguarded, seats[30:31])
        free = await unguarded.fetchval(FREE, EVENT, seats[:4])
        await hold(unguarded, seats[:2])  # between the two
        await unguarded.fetch(WRITE, free, allocation)
        assert await unguarded.fetchval(BOTH) == 2
        assert "closed_seat_is_its_allocations" in {finding.name for finding in await audit(unguarded)}


class TestSettingAsideAgainstHolding:
    @pytest.mark.parametrize("through", ["one by one", "a desk"])
    @pytest.mark.parametrize("seed", range(4))
    async def test_gives_each_seat_to_one_of_them(self, database: Database, seed: int, through: str) -> None:
        places = 5 * PLACES  # so many that both succeed, so few that they meet: they ask for 230 seats
        seats = await put_on_sale(database, places, no_single_seats=False)
        rnd = random.Random(seed)
        told: Counter[str] = Counter()

        async def buy_some(desk: HoldDesk) -> None:
            first = rnd.randrange(places - 2)
            wanted = wish(seats[first : first + 2])
            try:
                await (desk.place(wanted) if through == "a desk" else place_hold(database, wanted))
                told["held"] += 1
            except SeatsTakenError:
                told["taken"] += 1

        async def set_some_aside() -> None:
            first = rnd.randrange(places - 3)
            try:
                await set_aside(database, seats[first : first + 3])
                told["aside"] += 1
            except Exception as refusal:  # noqa: BLE001 - counted by name below
                told[type(refusal).__name__] += 1

        async with HoldDesk.open(database) as desk:
            for _ in range(6):
                await asyncio.gather(*(buy_some(desk) if rnd.random() < 0.6 else set_some_aside() for _ in range(16)))
        assert await database.fetchval(BOTH) == 0
        assert told["held"] >= 3, told
        assert told["aside"] >= 2, told
        assert told["taken"] + told["SeatsTakenError"] >= 2, told
        assert set(told) <= {"held", "taken", "aside", "SeatsTakenError", "SeatsSetAsideError"}, told

    async def test_a_seat_that_a_hold_has_locked_is_not_waited_for_and_not_taken(self, database: Database) -> None:
        seats = await put_on_sale(database, PLACES, no_single_seats=False)
        sql = "SELECT place_hold($1, $2, $3, NULL, NULL, false, $4, NULL, NULL, NULL, NULL, $5, NULL)"
        async with database.transaction() as buyer:
            await buyer.fetchval(sql, uuid4(), EVENT, seats[:2], uuid4(), uuid4())
            with pytest.raises(SeatsTakenError) as refused:
                await set_aside(database, seats[1:3])
            assert refused.value.contested
        with pytest.raises(SeatsTakenError) as refused:
            await set_aside(database, seats[1:3])
        assert not refused.value.contested


class TestMovesAgainstHolding:
    async def test_a_later_release_time_never_closes_a_seat_that_was_sold_at_the_earlier_one(
        self, database: Database
    ) -> None:
        seats = await put_on_sale(database, PLACES, no_single_seats=False)
        allocation = await set_aside(database, seats[:10], release_at=datetime.now(UTC) + timedelta(seconds=1))
        rnd, told = random.Random(1), Counter[str]()

        async def later() -> None:
            async with database.transaction() as tx:
                await change_allocation(
                    tx, EVENT, allocation, organisations=OWNERS, name=None, keeps_release=False,
                    release_at=datetime.now(UTC) + timedelta(seconds=0.03),
                )  # fmt: skip

        async def postpone_until_it_is_open() -> None:
            while not told["open"]:
                try:
                    await patiently(later)
                    told["postponed"] += 1
                except (SeatsTakenError, BadAllocationError):
                    told["contested"] += 1
                except WrongAllocationStateError:
                    told["open"] += 1
                await asyncio.sleep(rnd.uniform(0.01, 0.05))

        async def buy_until_all_are_gone() -> None:
            while told["held"] < 10:
                for seat in seats[:10]:
                    try:
                        await place_hold(database, wish([seat]))
                        told["held"] += 1
                    except SeatsTakenError:
                        told["taken"] += 1
                    assert await database.fetchval(BOTH) == 0

        async with asyncio.timeout(30):
            await asyncio.gather(postpone_until_it_is_open(), buy_until_all_are_gone())
        assert told["postponed"] >= 1, told

    async def test_opening_and_releasing_while_its_seats_are_bought(self, database: Database) -> None:
        seats = await put_on_sale(database, PLACES, no_single_seats=False)
        first = await set_aside(database, seats[:20])
        second = await set_aside(database, seats[20:])

        async def open_first() -> None:
            async with database.transaction() as tx:
                await open_allocation(tx, EVENT, first, organisations=OWNERS)

        async def release_second() -> None:
            async with database.transaction() as tx:
                await release_allocation(tx, EVENT, second, organisations=OWNERS)

        buyers = [
            place_hold(database, wish([seat], first if place < 20 else second)) for place, seat in enumerate(seats)
        ]
        outcomes = await asyncio.gather(
            patiently(open_first), patiently(release_second), *buyers, return_exceptions=True
        )
        assert all(isinstance(outcome, bytes) for outcome in outcomes[2:]), outcomes
        assert outcomes[:2] == [None, None]
        assert await database.fetchval("SELECT count(*) FROM event_seats WHERE closed_until > clock_timestamp()") == 0
        await assert_clean(database)
