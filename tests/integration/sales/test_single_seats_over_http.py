"""A raw client of the API cannot strand a seat: neither with one request, nor with two that are decided together.

Opens with the control: the same requests strand seats where the event does not mind.
"""

import asyncio
from typing import Any

import httpx
from tests.support import audit
from tests.support.sales import EVENT, put_on_sale
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import SeatId

ROWS, ROW = 12, 10
STRANDED = """
SELECT l.seat_id FROM event_seat_labels l JOIN event_seats s USING (event_id, seat_id)
 WHERE s.state = 'free' AND NOT EXISTS (
   SELECT FROM event_seats n WHERE n.seat_id IN (l.left_id, l.right_id) AND n.state = 'free')
 ORDER BY 1
"""


async def reserve(apps: Apps, seats: list[SeatId]) -> httpx.Response:
    """Ask as somebody new, without the pages that would not offer this."""
    return await apps.bookings.post(
        "/bookings/reserve", json={"eventId": EVENT, "ticketIds": seats}, headers=apps.buyer()[1]
    )


async def stranded(apps: Apps) -> list[int]:
    return [record["seat_id"] for record in await apps.database.fetch(STRANDED)]


async def from_both_sides(apps: Apps, seats: list[SeatId]) -> list[list[httpx.Response]]:
    """In every row at once: two requests, each harmless alone, that together would leave the seat between them."""
    pairs = [seats[row * ROW + first : row * ROW + first + 2] for row in range(ROWS) for first in (3, 6)]
    answers = await asyncio.gather(*(reserve(apps, pair) for pair in pairs))
    return [list(answers[at : at + 2]) for at in range(0, len(answers), 2)]


def code(answer: httpx.Response) -> Any:
    return answer.json().get("code")


class TestControl:
    async def test_without_the_rule_one_request_strands_a_seat(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, ROW)
        assert (await reserve(apps, seats[1:3])).status_code == 201
        assert await stranded(apps) == seats[:1]

    async def test_without_the_rule_two_at_once_strand_the_seat_between_them(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, ROWS * ROW)
        for both in await from_both_sides(apps, seats):
            assert [answer.status_code for answer in both] == [201, 201]
        assert await stranded(apps) == seats[5::ROW]


class TestWithTheRule:
    async def test_one_request_is_refused_and_told_which_seat_it_would_leave(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, ROW, no_single_seats=True)
        refused = await reserve(apps, seats[1:3])
        assert (refused.status_code, code(refused)) == (409, "sales.single_seat_left")
        assert [seat["ticketId"] for seat in refused.json()["single"]] == seats[:1]
        assert (await reserve(apps, seats[:3])).status_code == 201
        assert await stranded(apps) == []
        await audit.assert_clean(apps.database)

    async def test_one_after_the_other_cannot_do_what_one_alone_must_not(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, ROW, no_single_seats=True)
        assert (await reserve(apps, seats[3:5])).status_code == 201
        refused = await reserve(apps, seats[6:8])
        assert (refused.status_code, code(refused)) == (409, "sales.single_seat_left")
        assert await stranded(apps) == []

    async def test_of_two_at_once_exactly_one_is_placed(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, ROWS * ROW, no_single_seats=True)
        for both in await from_both_sides(apps, seats):
            assert sorted(answer.status_code for answer in both) == [201, 409]
            [refused] = (answer for answer in both if answer.status_code == 409)
            assert code(refused) in {"sales.single_seat_left", "sales.seats_taken"}
        assert await stranded(apps) == []
        await audit.assert_clean(apps.database)
