"""Wheelchair places with their companions' seats, and limited views, as a raw API client meets them."""

import asyncio
import io
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pypdf import PdfReader
from tests.support.sales import EVENT, SIGNER, buy, event_fact, hold, rows_of_ten, run_out
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import EventId, SeatId, UserId, seat_id
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.refusals import CompanionAloneError
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.create_event_seats import create_event_seats
from boxoffice.services.sales.usecases.exchange_tickets import Wish as ExchangeWish
from boxoffice.services.sales.usecases.exchange_tickets import exchange_tickets
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish
from boxoffice.services.sales.usecases.take_event_terms import terms_of

MARKS = ["companion", "wheelchair", "companion", "companion", "wheelchair", None, "companion", None, None, None]
"""The first row: C0 W1 C2 C3 W4 · C6 · · ·; C0 and C2 go with W1, C3 with W4, C6 has none beside it."""


async def put_row_on_sale(database: Database) -> list[SeatId]:
    priced = [
        replace(seat, mark=MARKS[seat.place] if seat.place < 10 else None, notice="Pillar" if seat.place == 7 else None)
        for seat in rows_of_ten(20)
    ]
    await create_event_seats(database, terms_of(event_fact(), 1), priced)
    return [seat_id(EventId(EVENT), place) for place in range(20)]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), body
    return body


async def reserve(apps: Apps, seats: list[SeatId], headers: dict[str, str] | None = None) -> httpx.Response:
    body = {"eventId": EVENT, "ticketIds": seats}
    return await apps.bookings.post("/bookings/reserve", json=body, headers=headers or apps.buyer()[1])


class TestCompanions:
    @pytest.mark.parametrize("chosen", [[1], [0, 1], [1, 2], [0, 1, 2], [3, 4], [0, 1, 2, 3, 4], [6], [5, 6]])
    async def test_go_with_their_wheelchair_place(self, apps: Apps, chosen: list[int]) -> None:
        seats = await put_row_on_sale(apps.database)
        assert (await reserve(apps, [seats[place] for place in chosen])).status_code == 201

    @pytest.mark.parametrize(
        ("chosen", "needed"),
        [([0], [1]), ([2], [1]), ([3], [4]), ([1, 3], [4]), ([2, 4], [1]), ([0, 3], [1, 4]), ([0, 10], [1])],
    )
    async def test_are_never_held_alone_and_the_place_needed_is_named(
        self, apps: Apps, chosen: list[int], needed: list[int]
    ) -> None:
        seats = await put_row_on_sale(apps.database)
        body = problem(
            await reserve(apps, [seats[place] for place in chosen]), 409, "sales.companion_needs_wheelchair_place"
        )
        named = {place["ticketId"] for place in body["wheelchairPlaces"]}
        assert named, "at least one of the places needed"
        assert named <= {seats[place] for place in needed}
        assert await apps.database.fetchval("SELECT count(*) FROM event_seats WHERE state <> 'free'") == 0
        assert await apps.database.fetchval("SELECT count(*) FROM customer_limits WHERE n > 0") == 0

    async def test_in_a_crowd_refuse_only_who_asked_for_one_alone(self, database: Database) -> None:
        seats = await put_row_on_sale(database)
        wanted = [(seats[0],), (seats[3], seats[4]), *((seat,) for seat in seats[10:])]

        async def one(desk: HoldDesk, chosen: tuple[SeatId, ...]) -> str:
            try:
                await desk.place(Wish(user_id=UserId(uuid4()), event_id=EventId(EVENT), seat_ids=chosen))
            except CompanionAloneError:
                return "alone"
            return "held"

        async with HoldDesk.open(database) as desk:
            outcomes = await asyncio.gather(*(one(desk, chosen) for chosen in wanted))
        assert outcomes == ["alone"] + ["held"] * 11

    async def test_of_a_taken_wheelchair_place_are_for_nobody_else(self, apps: Apps) -> None:
        seats = await put_row_on_sale(apps.database)
        await hold(apps.database, [seats[1]])
        problem(await reserve(apps, [seats[0]]), 409, "sales.companion_needs_wheelchair_place")

    async def test_whose_hold_ran_out_do_not_stand_in_the_way(self, apps: Apps) -> None:
        seats = await put_row_on_sale(apps.database)
        stale, _ = await hold(apps.database, seats[0:3])
        await run_out(apps.database, stale)
        assert (await reserve(apps, [seats[1]])).status_code == 201

    async def test_are_cancelled_with_the_place_or_before_it_never_left_behind(self, apps: Apps) -> None:
        seats = await put_row_on_sale(apps.database)
        order, owner, _ = await buy(apps.database, seats[0:3])
        headers = apps.buyer(owner)[1]

        async def cancel(*chosen: SeatId) -> httpx.Response:
            return await apps.bookings.post(
                f"/bookings/{order}/cancel", json={"ticketIds": list(chosen)}, headers=headers
            )

        problem(await cancel(seats[1]), 409, "sales.companion_needs_wheelchair_place")
        problem(await cancel(seats[1], seats[0]), 409, "sales.companion_needs_wheelchair_place")
        assert (await cancel(seats[0])).status_code == 200
        assert (await cancel(seats[1], seats[2])).status_code == 200

    async def test_may_join_by_an_exchange_and_leave_with_the_place_only(self, database: Database) -> None:
        seats = await put_row_on_sale(database)
        order, owner, _ = await buy(database, [seats[1], seats[12]])

        async def swap(give: SeatId, take: SeatId) -> None:
            async with database.transaction() as tx:
                wish = ExchangeWish(order_id=order, user_id=owner, give=(give,), take=(take,))
                await exchange_tickets(tx, wish, signer=SIGNER)

        with pytest.raises(CompanionAloneError):
            await swap(seats[12], seats[3])
        await swap(seats[12], seats[2])
        with pytest.raises(CompanionAloneError):
            await swap(seats[1], seats[4])
        async with database.transaction() as tx:
            await cancel_order(tx, order_id=order, by=Canceller(user_id=owner))


class TestLimitedViews:
    async def test_are_told_in_the_list_the_hold_the_booking_and_on_the_ticket(self, apps: Apps) -> None:
        seats = await put_row_on_sale(apps.database)
        listed = (await apps.tickets.get(f"/tickets/event/{EVENT}")).json()
        assert [seat["ticketId"] for seat in listed if seat["notice"] == "Pillar"] == [seats[7]]
        held = (await reserve(apps, [seats[7], seats[8]])).json()
        assert [seat["notice"] for seat in held["reservedTickets"]] == ["Pillar", None]
        order, owner, _ = await buy(apps.database, [seats[9]])
        await apps.database.fetch(
            "UPDATE event_seat_labels SET notice = 'Behind a pillar' WHERE seat_id = $1", seats[9]
        )
        headers = apps.buyer(owner)[1]
        booking = (await apps.bookings.get(f"/bookings/{order}", headers=headers)).json()
        assert booking["tickets"][0]["notice"] == "Behind a pillar"
        pdf = (await apps.tickets.get(f"/bookings/{order}/tickets.pdf", headers=headers)).content
        assert "Behind a pillar" in " ".join(PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split())

    async def test_are_the_organisers_to_say_at_creation(self, apps: Apps) -> None:
        apps.catalog.events[EVENT] = (event_fact(status="draft"), 1)
        body: dict[str, Any] = {
            "seatMapId": 1, "priceLevels": [{"name": "A", "price": 10}],
            "limitedViews": [{"section": "Stalls", "rows": ["A"], "numbers": ["1"], "notice": "Side view"}],
        }  # fmt: skip
        path = f"/tickets/event/{EVENT}/create"
        wrong = {**body, "limitedViews": [{"section": "Nowhere"}]}
        problem(await apps.tickets.post(path, json=wrong, headers=apps.organiser()), 422, "sales.bad_price_levels")
        made = (await apps.tickets.post(path, json=body, headers=apps.organiser())).json()
        assert [(seat["number"], seat["mark"]) for seat in made if seat["notice"]] == [("1", "limited_view")]
