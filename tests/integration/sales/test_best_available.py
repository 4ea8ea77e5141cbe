"""Best available through the real database: chosen and claimed in one transaction, those who wait together in order."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from tests.support.sales import EVENT, event_fact, hold, put_areas_on_sale, put_on_sale, rows_of_ten

from boxoffice.kernel.ids import EventId, UserId, seat_id
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.sales.domain.refusals import EventNotFoundError, LimitReachedError, NotEnoughSeatsError
from boxoffice.services.sales.usecases.create_event_seats import create_event_seats
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.hold_best_available import BestDesk
from boxoffice.services.sales.usecases.place_hold import Wish
from boxoffice.services.sales.usecases.take_event_terms import terms_of


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[BestDesk]:
    opened = BestDesk(database)
    yield opened
    await opened.close()


def wish(quantity: int, user_id: UserId | None = None, **wanted: Any) -> Wish:
    return Wish(user_id=user_id or UserId(uuid4()), event_id=EVENT, quantity=quantity, **wanted)


async def best(desk: BestDesk, quantity: int, **wanted: Any) -> tuple[list[int], str]:
    answer = msgspec.json.decode(await desk.place(wish(quantity, **wanted)))
    return [item["ticketId"] for item in answer["reservedTickets"]], answer["arrangement"]


class TestOneRequest:
    async def test_takes_the_seats_nearest_to_the_focus_and_says_how_they_lie(
        self, database: Database, desk: BestDesk
    ) -> None:
        seats = await put_on_sale(database, 20)
        assert await best(desk, 4) == (seats[3:7], "together")
        assert await best(desk, 4) == (seats[13:17], "together")
        assert await best(desk, 4, together=False) == ([*seats[1:3], *seats[11:13]], "two_rows")

    async def test_leaves_no_single_seat_where_the_event_minds(self, database: Database, desk: BestDesk) -> None:
        seats = await put_on_sale(database, 10, no_single_seats=True)
        await hold(database, seats[6:])
        assert await best(desk, 2) == (seats[4:6], "together")
        assert await best(desk, 3) == (seats[1:4], "together_leaving_one")

    async def test_is_refused_when_side_by_side_was_demanded_and_cannot_be(
        self, database: Database, desk: BestDesk
    ) -> None:
        seats = await put_on_sale(database, 10)
        for number in range(0, 10, 2):
            await hold(database, [seats[number]])
        with pytest.raises(NotEnoughSeatsError):
            await best(desk, 2, together=True)
        assert await best(desk, 2) == ([seats[3], seats[5]], "split")

    async def test_keeps_to_price_level_and_section(self, database: Database, desk: BestDesk) -> None:
        await put_on_sale(database)
        for wanted in ({"price_level": "Half"}, {"section": "Balcony"}):
            with pytest.raises(NotEnoughSeatsError):
                await best(desk, 1, **wanted)
        assert len((await best(desk, 2, price_level="Full", section="Stalls"))[0]) == 2

    async def test_of_an_event_that_is_not_there_is_refused(self, desk: BestDesk) -> None:
        with pytest.raises(EventNotFoundError):
            await desk.place(Wish(user_id=UserId(uuid4()), event_id=EventId(99), quantity=1))

    async def test_is_refused_by_the_limit_before_anything_else(self, database: Database, desk: BestDesk) -> None:
        await put_on_sale(database, 1, limit_per_customer=2)
        with pytest.raises(LimitReachedError):
            await best(desk, 3)

    async def test_a_repeat_gets_the_same_bytes_even_when_nothing_is_left(
        self, database: Database, desk: BestDesk
    ) -> None:
        await put_on_sale(database, 2)
        user = UserId(uuid4())
        call = IdempotentCall.of(principal=user, key="k", route="reserve", body=b"{}")
        first = await desk.place(wish(2, user), call)
        assert await desk.place(wish(2, user), call) == first
        assert await database.fetchval("SELECT count(*) FROM orders") == 1

    async def test_offers_a_wheelchair_place_and_its_companions_seat_to_nobody_who_did_not_choose_it(
        self, database: Database, desk: BestDesk
    ) -> None:
        marks = {3: "wheelchair", 4: "companion"}
        priced = [replace(seat, mark=marks.get(seat.place)) for seat in rows_of_ten(10)]
        await create_event_seats(database, terms_of(event_fact(no_single_seats=True), 1), priced)
        taken: list[int] = []
        for quantity in (5, 3):
            seats, arrangement = await best(desk, quantity)
            assert arrangement == "together"
            taken += [seat & 1048575 for seat in seats]
        assert sorted(taken) == [0, 1, 2, 5, 6, 7, 8, 9]
        with pytest.raises(NotEnoughSeatsError):
            await best(desk, 1)
        await hold(database, [seat_id(EVENT, 3), seat_id(EVENT, 4)])

    async def test_a_wheelchair_place_is_no_neighbour_that_could_be_left_alone(
        self, database: Database, desk: BestDesk
    ) -> None:
        priced = [replace(seat, mark="wheelchair" if seat.place == 4 else None) for seat in rows_of_ten(5)]
        await create_event_seats(database, terms_of(event_fact(no_single_seats=True), 1), priced)
        assert await best(desk, 4) == ([seat_id(EVENT, place) for place in range(4)], "together")

    async def test_offers_places_that_have_no_rows_one_by_one(self, database: Database, desk: BestDesk) -> None:
        priced = [replace(seat, row="") for seat in rows_of_ten(4)]
        await create_event_seats(database, terms_of(event_fact(), 1), priced)
        assert (await best(desk, 2))[1] == "split"
        with pytest.raises(NotEnoughSeatsError):
            await best(desk, 2, together=True)


class TestGeneralAdmission:
    async def test_goes_by_its_own_list_and_takes_a_section_for_the_area(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Front": 3, "Rear": 3})
        async with HoldDesk.open(database) as opened:
            answer = msgspec.json.decode(await opened.place(wish(2, section="Rear")))
            assert {(item["section"], item["number"]) for item in answer["reservedTickets"]} == {
                ("Rear", "1"),
                ("Rear", "2"),
            }
            assert "arrangement" not in answer
            for wanted in ({"section": "Rear", "price_level": "Front"}, {"section": "Balcony"}):
                with pytest.raises(NotEnoughSeatsError):
                    await opened.place(wish(1, **wanted))


class TestManyRequests:
    async def test_that_wait_are_decided_in_their_order(self, database: Database, desk: BestDesk) -> None:
        seats = await put_on_sale(database, 10, no_single_seats=True)
        answers = await asyncio.gather(*(best(desk, number) for number in (2, 2, 2, 2, 2)))
        assert sorted(seat for taken, _ in answers for seat in taken) == seats
        assert answers[0] == (seats[4:6], "together")

    async def test_sell_a_house_to_the_last_seat_and_not_one_more(self, database: Database, desk: BestDesk) -> None:
        await put_on_sale(database, 60, no_single_seats=True)

        async def one(number: int) -> int:
            try:
                return len((await best(desk, 1 + number % 3))[0])
            except NotEnoughSeatsError:
                return 0

        held = sum(await asyncio.gather(*(one(number) for number in range(90))))
        assert held == 60
        assert await database.fetchval("SELECT count(*) FROM event_seats WHERE state = 'held'") == 60

    async def test_of_one_customer_never_pass_the_limit(self, database: Database, desk: BestDesk) -> None:
        await put_on_sale(database, 60, limit_per_customer=4)
        user = UserId(uuid4())

        async def one() -> int:
            try:
                return len((await best(desk, 1, user_id=user))[0])
            except LimitReachedError:
                return 0

        assert sum(await asyncio.gather(*(one() for _ in range(20)))) == 4
