"""General admission on the real database: one free list an area, from its creation to the last refund."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from tests.support.sales import (
    EVENT,
    ORGANISATION,
    SIGNER,
    hold_places,
    put_areas_on_sale,
    run_out,
    start_payment,
)
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import OrderId, OrganisationId, SeatId, UserId, seat_id
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall, KeyReusedError
from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.refusals import (
    EventNotFoundError,
    LimitReachedError,
    NotEnoughSeatsError,
    NotOnSaleError,
    SeatsTakenError,
    SeatsUnknownError,
)
from boxoffice.services.sales.store import areas, sale_summaries
from boxoffice.services.sales.usecases.block_seats import block_places, block_seats
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_order import confirm, confirm_free
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.release_order import end_declined, give_back_hold, release_voided

OURS = [OrganisationId(ORGANISATION)]
STATES = "SELECT free::text, blocked::text FROM ga_areas WHERE area = $1"


async def until_held(apps: Apps, places: int) -> tuple[httpx.Response, dict[str, Any]]:
    """Look at the house until it shows so many held places: the picture may be old, not for long."""
    async with asyncio.timeout(30):
        while True:
            answer = await apps.tickets.get(f"/events/{EVENT}/availability")
            if answer.json()["held"] == places:
                return answer, answer.json()
            await asyncio.sleep(0.05)


async def free(database: Database, area: str = "Standing") -> int:
    count: int = await database.fetchval("SELECT n_free FROM ga_areas WHERE area = $1", area)
    return count


def these(*places: int) -> Wish:
    return Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seat_id(EVENT, place) for place in places))


async def bought(database: Database, quantity: int) -> tuple[OrderId, UserId]:
    order_id, owner = await hold_places(database, quantity)
    payment = await start_payment(database, order_id, "capturing")
    async with database.transaction() as tx:
        await confirm(tx, order_id=order_id, payment_id=payment, capture_ref=f"C-{payment}", signer=SIGNER)
    return order_id, owner


class TestHold:
    async def test_answers_with_places_prices_and_time(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 30, "Balcony": 10})
        wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=2, price_level="Balcony")
        answer = msgspec.json.decode(await place_hold(database, wish))
        assert answer["reservedTickets"] == [
            {
                "ticketId": seat_id(EVENT, 30 + place), "section": "Balcony", "row": "", "number": str(place + 1),
                "price": "50.00", "currency": "USD", "priceLevel": "Balcony", "status": "HELD", "mark": None,
                "notice": None,
            }
            for place in range(2)
        ]  # fmt: skip
        assert (answer["total"], answer["expiresInSeconds"]) == ("100.00", 1200)
        assert (await free(database), await free(database, "Balcony")) == (30, 8)

    async def test_refuses_more_than_there_are_and_takes_nothing(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 3})
        await hold_places(database, 2)
        with pytest.raises(NotEnoughSeatsError):
            await hold_places(database, 2)
        assert await free(database) == 1
        assert await database.fetchval("SELECT count(*) FROM customer_limits") == 1

    async def test_without_an_area_takes_the_first_that_has_them(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 3, "Balcony": 4})
        await hold_places(database, 2)
        await hold_places(database, 2)
        assert (await free(database), await free(database, "Balcony")) == (1, 2)

    async def test_of_an_unknown_area_is_refused(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 3})
        with pytest.raises(NotEnoughSeatsError):
            await hold_places(database, 1, area="Moon")

    async def test_takes_places_of_holds_that_ran_out(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 3})
        order_id, _ = await hold_places(database, 2)
        await run_out(database, order_id)
        await hold_places(database, 3)
        assert await free(database) == 0
        assert await database.fetchval("SELECT released_because FROM orders WHERE order_id = $1", order_id) == "expired"
        told = await database.fetch("SELECT type FROM outbox WHERE key = $1 ORDER BY version", str(order_id))
        assert [record["type"] for record in told] == ["sales.order.held", "sales.order.released"]

    async def test_counts_against_the_customers_limit(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 30}, limit_per_customer=4)
        order_id, user = await hold_places(database, 3)
        with pytest.raises(LimitReachedError):
            await hold_places(database, 2, user)
        await run_out(database, order_id)
        await hold_places(database, 4, user)
        assert await free(database) == 26

    async def test_a_repeat_gets_the_same_answer(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 3})
        user = UserId(uuid4())
        wish = Wish(user_id=user, event_id=EVENT, quantity=2)
        call = IdempotentCall.of(principal=user, key="k", route="reserve", body=b"{}")
        first = await place_hold(database, wish, call)
        assert await place_hold(database, wish, call) == first
        with pytest.raises(KeyReusedError):
            await place_hold(database, wish, IdempotentCall.of(principal=user, key="k", route="reserve", body=b"[]"))
        assert await free(database) == 1

    async def test_asks_whether_the_event_is_on_sale(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 3}, status="cancelled")
        await put_areas_on_sale(database, {"Standing": 3}, event_id=8, status="draft")
        with pytest.raises(NotOnSaleError):
            await hold_places(database, 1)
        with pytest.raises(EventNotFoundError):
            await hold_places(database, 1, event_id=8)


class TestNamedPlaces:
    """The seed's clients list an event's tickets and reserve by id; an area's places can be had like that too."""

    async def test_are_held_by_id(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5, "Balcony": 5})
        answer = msgspec.json.decode(await place_hold(database, these(7, 2)))
        assert [(item["section"], item["number"]) for item in answer["reservedTickets"]] == [
            ("Standing", "3"), ("Balcony", "3"),
        ]  # fmt: skip
        assert (await free(database), await free(database, "Balcony")) == (4, 4)

    async def test_that_others_have_are_named_and_nothing_is_taken(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        await place_hold(database, these(1, 3))
        with pytest.raises(SeatsTakenError) as refusal:
            await place_hold(database, these(0, 1, 2))
        assert [seat["number"] for seat in refusal.value.context["taken"]] == ["2"]  # type: ignore[attr-defined]
        assert await free(database) == 3

    async def test_that_do_not_exist_are_named(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        with pytest.raises(SeatsUnknownError) as refusal:
            await place_hold(database, these(4, 5))
        assert refusal.value.context["ticketIds"] == [seat_id(EVENT, 5)]

    async def test_of_a_hold_that_ran_out_are_there(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        order_id, _ = await hold_places(database, 3)
        await run_out(database, order_id)
        await place_hold(database, these(1))
        assert await database.fetchval(STATES, "Standing") == "{[0,1),[2,5)}"


class TestAnOrdersEnd:
    async def test_given_back_its_places_are_free(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        order_id, user = await hold_places(database, 3)
        async with database.transaction() as tx:
            await give_back_hold(tx, order_id=order_id, user_id=user)
        assert await free(database) == 5

    async def test_expired_by_the_sweeper_its_places_are_free(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        order_id, _ = await hold_places(database, 3)
        await run_out(database, order_id)
        assert await expire_holds(database) == 1
        assert await free(database) == 5

    async def test_bought_it_has_a_ticket_for_each_place(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        order_id, _ = await bought(database, 2)
        issued = await database.fetch("SELECT seat_id, price_minor FROM tickets WHERE order_id = $1", order_id)
        assert sorted(record["seat_id"] for record in issued) == [seat_id(EVENT, 0), seat_id(EVENT, 1)]
        assert {record["price_minor"] for record in issued} == {5000}

    async def test_cancelled_in_part_only_that_place_is_free(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        order_id, user = await bought(database, 3)
        async with database.transaction() as tx:
            await cancel_order(tx, order_id=order_id, by=Canceller(user_id=user), chosen=[seat_id(EVENT, 1)])
        assert await database.fetchval(STATES, "Standing") == "{[1,2),[3,5)}"
        assert await database.fetchval("SELECT refunded_minor FROM payments") == 5000
        await hold_places(database, 1)
        assert await database.fetchval("SELECT seat_ids[1] FROM orders WHERE state = 'held'") == seat_id(EVENT, 1)

    async def test_for_free_it_is_confirmed_while_it_lasts(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5}, price=0)
        order_id, user = await hold_places(database, 2)
        async with database.transaction() as tx:
            done = await confirm_free(tx, order_id=order_id, user_id=user, signer=SIGNER)
        assert [ticket.section for ticket in done.tickets] == ["Standing", "Standing"]

    async def test_declined_it_is_held_again_and_then_released(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        order_id, _ = await hold_places(database, 2)
        payment = await start_payment(database, order_id, "capturing")
        async with database.transaction() as tx:
            state = await end_declined(tx, order_id=order_id, payment_id=payment, failure="no")
        assert (state, await free(database)) == (OrderState.HELD, 3)
        payment = await start_payment(database, order_id, "abandoning")
        async with database.transaction() as tx:
            await release_voided(tx, order_id=order_id, payment_id=payment)
        assert await free(database) == 5

    async def test_no_place_is_given_back_twice(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        await hold_places(database, 2)
        free_place = seat_id(EVENT, 4)
        with pytest.raises(Exception, match="ga_free_counted"):
            async with database.transaction() as tx:
                await areas.give_back(tx, [free_place])


class TestBlocking:
    async def block(self, database: Database, quantity: int, *, blocked: bool = True) -> list[str]:
        records = await block_places(
            database, event_id=EVENT, area="Standing", quantity=quantity, organisations=OURS, blocked=blocked
        )
        return [record["number"] for record in records]

    async def test_takes_places_from_the_end_and_gives_them_back(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        assert await self.block(database, 2) == ["4", "5"]
        await hold_places(database, 3)
        with pytest.raises(NotEnoughSeatsError):
            await hold_places(database, 1)
        assert await self.block(database, 1, blocked=False) == ["4"]
        await hold_places(database, 1)

    async def test_of_more_than_are_free_changes_nothing(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        await hold_places(database, 2)
        with pytest.raises(NotEnoughSeatsError):
            await self.block(database, 4)
        assert await free(database) == 3

    async def test_by_id_as_seats_are(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        ids = [seat_id(EVENT, 1), seat_id(EVENT, 2)]
        records = await block_seats(database, seat_ids=ids, organisations=OURS, blocked=True)
        assert [record["state"] for record in records] == ["blocked", "blocked"]
        await block_seats(database, seat_ids=ids, organisations=OURS, blocked=True)
        with pytest.raises(SeatsTakenError):
            await place_hold(database, these(1))
        await block_seats(database, seat_ids=ids[:1], organisations=OURS, blocked=False)
        assert await database.fetchval(STATES, "Standing") == "{[0,2),[3,5)}"

    async def test_of_a_held_place_is_refused(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 5})
        await hold_places(database, 1)
        with pytest.raises(SeatsTakenError):
            await block_seats(
                database, seat_ids=[seat_id(EVENT, 0), seat_id(EVENT, 1)], organisations=OURS, blocked=True
            )
        assert await free(database) == 4


class TestCounts:
    async def test_tell_every_place_once(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 10, "Balcony": 5})
        await bought(database, 2)
        await hold_places(database, 3)
        gone, _ = await hold_places(database, 1)
        await run_out(database, gone)
        await block_places(database, event_id=EVENT, area="Standing", quantity=2, organisations=OURS, blocked=True)
        standing, balcony = await areas.counts(database, EVENT)
        assert (standing.free, standing.held, standing.sold, standing.blocked) == (3, 3, 2, 2)
        assert (balcony.free, balcony.first_place, balcony.capacity) == (5, 10, 5)
        async with database.transaction() as tx:
            counted = await sale_summaries.count(tx, EVENT)
        assert (counted.capacity, counted.free, counted.held, counted.lowest_price_minor) == (13, 8, 3, 5000)


class TestOverHttp:
    async def test_lists_places_with_their_states(self, apps: Apps) -> None:
        await put_areas_on_sale(apps.database, {"Standing": 4})
        first = await apps.tickets.get(f"/tickets/event/{EVENT}")
        await bought(apps.database, 1)
        await hold_places(apps.database, 1)
        again = await apps.tickets.get(f"/tickets/event/{EVENT}", headers={"If-None-Match": first.headers["etag"]})
        assert [(seat["number"], seat["status"]) for seat in again.json()] == [
            ("1", "BOOKED"), ("2", "HELD"), ("3", "AVAILABLE"), ("4", "AVAILABLE"),
        ]  # fmt: skip
        ids = ",".join(str(seat["ticketId"]) for seat in again.json())
        available = await apps.tickets.get("/tickets/available-seats", params={"ticketIds": ids})
        assert [seat["number"] for seat in available.json()] == ["3", "4"]
        reservation = await apps.tickets.get("/tickets/reservation", params={"ticketIds": ids})
        assert reservation.json() == again.json()

    async def test_hides_a_drafts_places(self, apps: Apps) -> None:
        await put_areas_on_sale(apps.database, {"Standing": 4}, status="draft")
        answer = await apps.tickets.get("/tickets/reservation", params={"ticketIds": str(seat_id(EVENT, 0))})
        assert answer.json()["code"] == "sales.seats_unknown"

    async def test_shows_counts_and_a_new_tag_for_every_change(self, apps: Apps) -> None:
        await put_areas_on_sale(apps.database, {"Standing": 4})
        tags = set()
        for places in (0, 1, 2):
            if places:
                await hold_places(apps.database, 1)
            answer, shown = await until_held(apps, places)
            tags.add(answer.headers["etag"])
            assert shown["areas"] == [
                {"name": "Standing", "capacity": 4, "free": 4 - places, "held": places, "sold": 0, "blocked": 0}
            ]
            assert (shown["free"], shown["held"], shown["places"], shown["states"]) == (4 - places, places, 0, "")
        assert len(tags) == 3

    async def test_a_booking_reads_as_one_of_seats(self, apps: Apps) -> None:
        await put_areas_on_sale(apps.database, {"Standing": 4})
        user, headers = apps.buyer()
        held = await apps.bookings.post(
            "/bookings/reserve", json={"eventId": EVENT, "quantity": 2, "priceLevel": "Standing"}, headers=headers
        )
        assert held.status_code == 201, held.text
        order_id = OrderId(held.json()["bookingId"])
        payment = await start_payment(apps.database, order_id, "capturing")
        async with apps.database.transaction() as tx:
            await confirm(tx, order_id=order_id, payment_id=payment, capture_ref="C", signer=SIGNER)
        shown = (await apps.bookings.get(f"/bookings/{order_id}", headers=headers)).json()
        assert [(ticket["section"], ticket["row"], ticket["number"], ticket["price"]) for ticket in shown["tickets"]] == [
            ("Standing", "", "1", "50.00"), ("Standing", "", "2", "50.00"),
        ]  # fmt: skip
        owned = (await apps.tickets.get(f"/tickets/user/{user}", headers=headers)).json()
        assert {SeatId(ticket["ticketId"]) for ticket in owned} == {seat_id(EVENT, 0), seat_id(EVENT, 1)}
