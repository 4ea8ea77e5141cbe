"""Ticket types over HTTP: from the price list to the ticket, what a choice changes, and every refusal with its code."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from tests.support.sales import (
    EVENT,
    SIGNER,
    TYPES,
    choose,
    event_fact,
    hold,
    hold_places,
    put_on_sale,
    run_out,
    sell_as,
    start_payment,
)
from tests.support.sales_apps import Apps

from boxoffice.contracts.messages.catalog import RefundPolicy
from boxoffice.contracts.messages.sales import OrderFact
from boxoffice.kernel.ids import OrderId, PaymentId, SeatId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.ticket_types import TicketType
from boxoffice.services.sales.usecases.audit import audit
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_order import confirm, confirm_free
from boxoffice.services.sales.usecases.exchange_tickets import Wish, exchange_tickets

LEVELS = [
    {"name": "Stalls", "seats": [{"section": "Stalls"}],
     "ticketTypes": [{"name": "Adult", "price": "50.00"}, {"name": "Child", "price": "20.00"}]},
    {"name": "Rest", "price": "30.00"},
]  # fmt: skip


async def ask(apps: Apps, order: OrderId, owner: UserId, types: dict[Any, str]) -> httpx.Response:
    body = {"ticketTypes": {str(seat): name for seat, name in types.items()}}
    return await apps.bookings.patch(f"/bookings/{order}/ticket-types", json=body, headers=apps.buyer(owner)[1])


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    assert found["code"] == code, found
    return found


async def bought(database: Database, order: OrderId) -> PaymentId:
    """Pay a held order, without a provider."""
    payment = await start_payment(database, order, "capturing")
    async with database.transaction() as tx:
        await confirm(tx, order_id=order, payment_id=payment, capture_ref=f"C-{payment}", signer=SIGNER)
    return payment


async def issued(database: Database, order: OrderId) -> list[tuple[Any, ...]]:
    found = await database.fetch(
        "SELECT price_minor, ticket_type FROM tickets WHERE order_id = $1 AND state = 'valid' ORDER BY seat_id", order
    )
    return [tuple(record) for record in found]


class TestPriceList:
    async def test_of_an_event_names_its_types(self, apps: Apps) -> None:
        apps.catalog.events[EVENT] = (event_fact(seat_map_id=1), 1)
        made = await apps.tickets.post(
            f"/tickets/event/{EVENT}/create", json={"priceLevels": LEVELS}, headers=apps.organiser()
        )
        assert made.status_code == 201, made.text
        assert {(seat["priceLevel"], seat["price"]) for seat in made.json()} == {("Stalls", "50.00"), ("Rest", "30.00")}
        listed = await apps.tickets.get(f"/tickets/event/{EVENT}/types")
        assert listed.json() == [
            {"priceLevel": "Stalls", "ticketTypes": [
                {"name": "Adult", "price": "50.00", "currency": "USD"}, {"name": "Child", "price": "20.00", "currency": "USD"},
            ]}
        ]  # fmt: skip
        assert (await apps.tickets.get("/tickets/event/99/types")).status_code == 404

    async def test_of_general_admission_has_types_by_area(self, apps: Apps) -> None:
        apps.catalog.events[EVENT] = (event_fact(capacity=40), 1)
        types = [{"name": "Adult", "price": 50}, {"name": "Student", "price": 35}]
        body = {"priceLevels": [{"name": "Standing", "price": 50, "ticketTypes": types}]}
        made = await apps.tickets.post(f"/tickets/event/{EVENT}/create", json=body, headers=apps.organiser())
        assert made.status_code == 201, made.text
        order, owner = await hold_places(apps.database, 3)
        (first, *_) = await apps.database.fetchval("SELECT seat_ids FROM orders")
        answer = await ask(apps, order, owner, {first: "Student"})
        assert answer.json()["total"] == "135.00"
        await bought(apps.database, order)
        assert await issued(apps.database, order) == [(3500, "Student"), (5000, "Adult"), (5000, "Adult")]

    @pytest.mark.parametrize(
        "level",
        [
            {"name": "Rest"},
            {"name": "Rest", "price": 40, "ticketTypes": [{"name": "Adult", "price": 50}]},
            {"name": "Rest", "ticketTypes": [{"name": "Adult", "price": 50}, {"name": "Adult", "price": 20}]},
        ],
    )
    async def test_that_cannot_be_is_refused(self, apps: Apps, level: dict[str, Any]) -> None:
        apps.catalog.events[EVENT] = (event_fact(seat_map_id=1), 1)
        answer = await apps.tickets.post(
            f"/tickets/event/{EVENT}/create", json={"priceLevels": [level]}, headers=apps.organiser()
        )
        refused(answer, 422, "sales.bad_price_levels")


class TestChoosing:
    async def test_changes_prices_and_total_and_tells_it_once(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:3])
        before = (await apps.bookings.get(f"/bookings/{order}", headers=apps.buyer(owner)[1])).json()
        assert [ticket["ticketType"] for ticket in before["tickets"]] == ["Adult"] * 3
        assert [one["name"] for one in before["tickets"][0]["ticketTypes"]] == ["Adult", "Child", "Infant"]
        first = await ask(apps, order, owner, {seats[1]: "Child"})
        assert first.status_code == 200, first.text
        shown = first.json()
        assert [(one["ticketType"], one["price"]) for one in shown["tickets"]] == [
            ("Adult", "50.00"), ("Child", "20.00"), ("Adult", "50.00"),
        ]  # fmt: skip
        assert (shown["total"], shown["status"]) == ("120.00", "HELD")
        again = await ask(apps, order, owner, {seats[1]: "Child"})
        assert {**again.json(), "expiresInSeconds": 0} == {**shown, "expiresInSeconds": 0}
        told = await apps.database.fetch(
            "SELECT version, body::text FROM outbox WHERE type = 'sales.order.types_chosen'"
        )
        assert [record["version"] for record in told] == [1]
        fact = msgspec.json.decode(told[0]["body"], type=OrderFact)
        assert [(one.ticket_type, one.price) for one in fact.tickets] == [
            ("Adult", "50.00"), ("Child", "20.00"), ("Adult", "50.00"),
        ]  # fmt: skip
        assert (fact.state, fact.total) == ("held", "120.00")

    async def test_of_the_standard_type_changes_nothing(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:2])
        assert (await ask(apps, order, owner, {seats[0]: "Adult", seats[1]: "Adult"})).json()["total"] == "100.00"
        record = await apps.database.fetchrow("SELECT version, ticket_types FROM orders")
        assert record is not None
        assert tuple(record) == (0, None)

    async def test_can_be_taken_back(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:2])
        await ask(apps, order, owner, {seats[0]: "Child", seats[1]: "Infant"})
        assert (await ask(apps, order, owner, {seats[0]: "Adult"})).json()["total"] == "50.00"

    async def test_of_free_types_alone_makes_a_free_order(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:1])
        await ask(apps, order, owner, {seats[0]: "Infant"})
        answer = await apps.bookings.put(f"/bookings/confirm/{order}", json={}, headers=apps.buyer(owner)[1])
        assert (answer.json()["status"], answer.json()["total"]) == ("CONFIRMED", "0.00")
        assert await issued(apps.database, order) == [(0, "Infant")]

    async def test_is_refused_with_a_reason(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, {**TYPES, "Rear": (TicketType(name="Member", price=Money(100, "USD")),)})
        order, owner = await hold(apps.database, seats[:2])
        found = refused(await ask(apps, order, owner, {seats[0]: "Pensioner"}), 422, "sales.ticket_type_not_offered")
        assert found["offered"] == ["Adult", "Child", "Infant"]
        refused(await ask(apps, order, owner, {seats[0]: "Member"}), 422, "sales.ticket_type_not_offered")
        refused(await ask(apps, order, owner, {seats[5]: "Child"}), 404, "sales.ticket_not_found")
        refused(await ask(apps, order, owner, {"9" * 3000: "Child"}), 404, "sales.ticket_not_found")
        refused(await ask(apps, order, owner, {"x": "Child"}), 404, "sales.ticket_not_found")
        await run_out(apps.database, order)
        refused(await ask(apps, order, owner, {seats[0]: "Child"}), 410, "sales.hold_expired")
        assert await apps.database.fetchval("SELECT total_minor FROM orders") == 10_000

    async def test_of_somebody_elses_order_is_as_of_none(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, _ = await hold(apps.database, seats[:1])
        stranger = UserId(uuid4())
        theirs = refused(await ask(apps, order, stranger, {seats[0]: "Child"}), 404, "sales.booking_not_found")
        nobodys = refused(
            await ask(apps, OrderId(uuid4()), stranger, {seats[0]: "Child"}), 404, "sales.booking_not_found"
        )
        assert {**theirs, "traceId": "", "instance": ""} == {**nobodys, "traceId": "", "instance": ""}

    async def test_is_over_once_paying_began(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:1])
        await start_payment(apps.database, order)
        refused(await ask(apps, order, owner, {seats[0]: "Child"}), 409, "sales.wrong_booking_state")

    async def test_needs_an_account(self, apps: Apps) -> None:
        answer = await apps.bookings.patch(f"/bookings/{uuid4()}/ticket-types", json={"ticketTypes": {}})
        assert answer.status_code == 401


class TestTickets:
    async def test_carry_type_and_price_and_whoever_never_chose_is_standard(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        chosen, owner = await hold(apps.database, seats[:2])
        await choose(apps.database, chosen, owner, {seats[0]: "Child"})
        plain, other = await hold(apps.database, seats[2:3])
        for order in (chosen, plain):
            await bought(apps.database, order)
        assert await issued(apps.database, chosen) == [(2000, "Child"), (5000, "Adult")]
        assert await issued(apps.database, plain) == [(5000, None)]
        for user, expected in ((owner, ["Child", "Adult"]), (other, ["Adult"])):
            listed = await apps.tickets.get(f"/tickets/user/{user}", headers=apps.buyer(user)[1])
            assert [ticket["ticketType"] for ticket in listed.json()] == expected
        facts = await apps.database.fetch("SELECT body::text FROM outbox WHERE type = 'sales.order.confirmed'")
        told = [msgspec.json.decode(record["body"], type=OrderFact) for record in facts]
        assert sorted(str(one.ticket_type) for fact in told for one in fact.tickets) == ["Adult", "Adult", "Child"]
        pdf = await apps.tickets.get(f"/bookings/{chosen}/tickets.pdf", headers=apps.buyer(owner)[1])
        assert pdf.content.startswith(b"%PDF")

    async def test_give_back_what_was_paid_for_each(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, refund_policy=RefundPolicy(cancel_until_hours=24, refund_percent=50))
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:3])
        await choose(apps.database, order, owner, {seats[0]: "Child", seats[1]: "Infant"})
        payment = await bought(apps.database, order)
        async with apps.database.transaction() as tx:
            first = await cancel_order(tx, order_id=order, by=Canceller(user_id=owner), chosen=[seats[0], seats[1]])
        assert first.refund == Money(1000, "USD")
        async with apps.database.transaction() as tx:
            await cancel_order(tx, order_id=order, by=Canceller(user_id=owner))
        record = await apps.database.fetchrow("SELECT payment_id, captured_minor, refunded_minor FROM payments")
        assert record is not None
        assert (UUID(int=record["payment_id"].int), record["captured_minor"], record["refunded_minor"]) == (
            payment, 7000, 3500,
        )  # fmt: skip

    async def test_keep_their_type_in_an_exchange_within_the_level(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:2])
        await choose(apps.database, order, owner, {seats[0]: "Child"})
        await bought(apps.database, order)
        done = await self._exchange(apps.database, order, owner, seats[0], seats[9])
        assert [(ticket.ticket_type, ticket.price.minor) for ticket in done.taken] == [("Child", 2000)]
        assert done.refund.minor == 0
        assert await issued(apps.database, order) == [(5000, "Adult"), (2000, "Child")]
        record = await apps.database.fetchrow("SELECT price_minors, ticket_types FROM orders")
        assert record is not None
        assert (list(record["price_minors"]), list(record["ticket_types"])) == ([5000, 2000], ["Adult", "Child"])

    async def test_are_standard_after_an_exchange_into_another_level(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        await apps.database.fetch("UPDATE event_seat_labels SET price_level = 'Rear' WHERE seat_id = $1", seats[9])
        await apps.database.fetch("UPDATE event_seats SET price_minor = 1500 WHERE seat_id = $1", seats[9])
        order, owner = await hold(apps.database, seats[:1])
        await choose(apps.database, order, owner, {seats[0]: "Child"})
        await bought(apps.database, order)
        done = await self._exchange(apps.database, order, owner, seats[0], seats[9])
        assert [(ticket.ticket_type, ticket.price.minor) for ticket in done.taken] == [(None, 1500)]
        assert done.refund.minor == 500

    async def test_of_a_free_order_keep_their_type(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database)
        await sell_as(apps.database, TYPES)
        order, owner = await hold(apps.database, seats[:1])
        await choose(apps.database, order, owner, {seats[0]: "Infant"})
        async with apps.database.transaction() as tx:
            await confirm_free(tx, order_id=order, user_id=owner, signer=SIGNER)
        done = await self._exchange(apps.database, order, owner, seats[0], seats[9])
        assert [(ticket.ticket_type, ticket.price.minor) for ticket in done.taken] == [("Infant", 0)]

    async def _exchange(self, database: Database, order: OrderId, owner: UserId, give: SeatId, take: SeatId) -> Any:
        async with database.transaction() as tx:
            wish = Wish(order_id=order, user_id=owner, give=(give,), take=(take,))
            return await exchange_tickets(tx, wish, signer=SIGNER)


class TestAuditor:
    @pytest.mark.parametrize(
        ("damage", "rule"),
        [
            ("UPDATE orders SET total_minor = total_minor + 1", "total_is_its_prices"),
            ("UPDATE orders SET price_minors = '{4999,2001}'", "seat_price_is_order_price"),
            ("UPDATE orders SET ticket_types = '{Adult,Pensioner}'", "seat_price_is_order_price"),
            ("UPDATE orders SET ticket_types = '{Child,Adult}'", "seat_price_is_order_price"),
        ],
    )
    async def test_catches_an_order_whose_total_is_not_its_tickets_prices(
        self, sales_url: str, damage: str, rule: str
    ) -> None:
        async with Database.open(sales_url, size=2) as database:
            seats = await put_on_sale(database)
            await sell_as(database, TYPES)
            order, owner = await hold(database, seats[:2])
            await choose(database, order, owner, {seats[1]: "Child"})
            assert await audit(database) == []
            await database.fetch(damage)
            assert [finding.name for finding in await audit(database, [EVENT])] == [rule]
