"""One house with seats and general admission beside them: created, held, shown and counted together."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.support.sales import EVENT, event_fact
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import seat_id

LEVELS = [
    {"name": "Stalls", "price": "50.00", "seats": [{"section": "Stalls"}]},
    {"name": "Circle", "price": "30.00", "seats": [{"section": "Circle"}]},
    {"name": "Standing", "price": "20.00", "quantity": 6},
]
SEATS = 24
AREA_FROM = 25
"""The hall numbers 25 places, one of which is never sold; the area's come behind them."""


@pytest.fixture
async def house(apps: Apps) -> Apps:
    apps.catalog.events[EVENT] = (event_fact(seat_map_id=1), 1)
    answer = await create(apps, LEVELS)
    assert answer.status_code == 201, answer.text
    assert len(answer.json()) == SEATS + 6
    return apps


async def create(apps: Apps, levels: list[dict[str, Any]]) -> httpx.Response:
    return await apps.tickets.post(
        f"/tickets/event/{EVENT}/create", json={"priceLevels": levels}, headers=apps.organiser()
    )


async def reserve(apps: Apps, **wish: Any) -> httpx.Response:
    body = {"eventId": EVENT, **wish}
    return await apps.bookings.post("/bookings/reserve", json=body, headers=apps.buyer()[1])


def levels_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 201, answer.text
    return [ticket["priceLevel"] for ticket in answer.json()["reservedTickets"]]


async def shows(apps: Apps, *, held: int) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await apps.tickets.get(f"/events/{EVENT}/availability")).json()
            if found["held"] == held:
                return found
            await asyncio.sleep(0.05)


class TestMixedHouse:
    async def test_lists_seats_and_places_with_a_tag_of_both(self, house: Apps) -> None:
        first = await house.tickets.get(f"/tickets/event/{EVENT}")
        places = [ticket for ticket in first.json() if ticket["row"] == ""]
        assert [ticket["ticketId"] for ticket in places] == [seat_id(EVENT, AREA_FROM + n) for n in range(6)]
        assert {(ticket["section"], ticket["priceLevel"]) for ticket in places} == {("Standing", "Standing")}
        await reserve(house, quantity=1, priceLevel="Standing")
        second = await house.tickets.get(f"/tickets/event/{EVENT}")
        await reserve(house, ticketIds=[seat_id(EVENT, 0)])
        third = await house.tickets.get(f"/tickets/event/{EVENT}")
        assert len({one.headers["etag"] for one in (first, second, third)}) == 3

    async def test_shows_both_in_one_picture(self, house: Apps) -> None:
        await reserve(house, quantity=2, priceLevel="Standing")
        await reserve(house, ticketIds=[seat_id(EVENT, 0)])
        found = await shows(house, held=3)
        assert found["free"] == SEATS - 1 + 4
        assert [(area["name"], area["free"], area["held"]) for area in found["areas"]] == [("Standing", 4, 2)]

    async def test_gives_places_to_who_names_the_area_and_seats_to_everybody_else(self, house: Apps) -> None:
        assert levels_of(await reserve(house, quantity=2, priceLevel="Standing")) == ["Standing"] * 2
        assert levels_of(await reserve(house, quantity=1, section="Standing")) == ["Standing"]
        assert set(levels_of(await reserve(house, quantity=2, priceLevel="Circle"))) == {"Circle"}
        assert "Standing" not in levels_of(await reserve(house, quantity=8))
        assert "Standing" not in levels_of(await reserve(house, quantity=8))

    async def test_never_gives_a_place_to_who_wanted_a_seat(self, house: Apps) -> None:
        for quantity in (8, 8, 6):
            await reserve(house, quantity=quantity)
        answer = await reserve(house, quantity=3)
        assert (answer.status_code, answer.json()["code"]) == (409, "sales.not_enough_seats")
        assert levels_of(await reserve(house, quantity=3, priceLevel="Standing")) == ["Standing"] * 3
        refused = await reserve(house, quantity=4, priceLevel="Standing")
        assert (refused.status_code, refused.json()["code"]) == (409, "sales.not_enough_seats")

    @pytest.mark.parametrize(
        "level",
        [
            {"name": "Standing", "price": 1, "quantity": 3, "seats": [{"section": "Stalls"}]},
            {"name": "Stalls", "price": 1, "quantity": 3},
            {"name": "Standing", "price": 1, "quantity": 1_000_000},
        ],
    )
    async def test_refuses_levels_that_cannot_stand_beside_each_other(self, apps: Apps, level: dict[str, Any]) -> None:
        apps.catalog.events[EVENT] = (event_fact(seat_map_id=1), 1)
        answer = await create(apps, [{"name": "Rest", "price": 5}, {**LEVELS[0]}, level])
        assert (answer.status_code, answer.json()["code"]) == (422, "sales.bad_price_levels")
