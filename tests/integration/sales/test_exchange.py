"""Exchanging tickets over HTTP: what changes, what does not, and every refusal with its code."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from tests.support.sales import EVENT, ORGANISATION, SIGNER, buy, event_fact, hold, rows_of_ten, run_out
from tests.support.sales_apps import Apps

from boxoffice.contracts.messages.catalog import RefundPolicy
from boxoffice.contracts.messages.sales import OrderFact
from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId, seat_id
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Database
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_order import confirm_free
from boxoffice.services.sales.usecases.create_event_seats import create_event_seats
from boxoffice.services.sales.usecases.take_event_terms import terms_of

FULL, CHEAP = 5000, 3000
HALF = RefundPolicy(cancel_until_hours=24, refund_percent=50)


async def two_prices(database: Database, *, full: int = FULL, cheap: int = CHEAP, **changes: Any) -> list[SeatId]:
    """Twenty seats: ten at the full price, then ten cheap ones."""
    priced = [
        replace(seat, price=Money(full if seat.place < 10 else cheap, "USD"), price_level=None)
        for seat in rows_of_ten(20)
    ]
    await create_event_seats(database, terms_of(event_fact(**changes), 1), priced)
    return [seat_id(EventId(EVENT), place) for place in range(20)]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    return body


async def exchange(apps: Apps, user: UserId, order: OrderId, key: str | None = "", **body: Any) -> httpx.Response:
    headers = apps.buyer(user)[1]
    if key is not None:
        headers = {**headers, "Idempotency-Key": key or str(uuid4())}
    return await apps.bookings.post(f"/bookings/{order}/exchange", json=body, headers=headers)


async def states(apps: Apps) -> dict[int, str]:
    found = await apps.database.fetch("SELECT seat_id, state FROM event_seats WHERE state <> 'free'")
    return {record["seat_id"]: record["state"] for record in found}


class TestExchange:
    async def test_swaps_seats_and_tickets_and_pays_the_difference_back(self, apps: Apps) -> None:
        seats = await two_prices(apps.database, refund_policy=HALF)
        order, owner, payment = await buy(apps.database, seats[:2])
        answer = await exchange(apps, owner, order, give=[seats[0]], take=[seats[10]])
        assert answer.status_code == 200, answer.text
        booking = answer.json()
        assert [ticket["ticketId"] for ticket in booking["tickets"]] == [seats[1], seats[10]]
        assert {ticket["ticketStatus"] for ticket in booking["tickets"]} == {"VALID"}
        assert (booking["status"], booking["total"]) == ("CONFIRMED", "100.00")
        assert await states(apps) == {seats[1]: "sold", seats[10]: "sold"}
        assert await apps.database.fetchval("SELECT refunded_minor FROM payments") == (FULL - CHEAP) // 2
        record = await apps.database.fetchrow("SELECT payment_id, refund_minor, state FROM refunds")
        assert record is not None
        assert (UUID(int=record["payment_id"].int), record["refund_minor"], record["state"]) == (
            payment, 1000, "requested",
        )  # fmt: skip
        assert await apps.database.fetchval("SELECT n FROM customer_limits") == 2

    async def test_tells_the_new_tickets_with_barcodes_and_the_void_ones_without(self, apps: Apps) -> None:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, seats[:1])
        await exchange(apps, owner, order, give=[seats[0]], take=[seats[3]])
        record = await apps.database.fetchrow(
            "SELECT version, body::text FROM outbox WHERE type = 'sales.order.exchanged'"
        )
        assert record is not None
        fact = msgspec.json.decode(record["body"], type=OrderFact)
        assert [(ticket.seat_id, bool(ticket.barcode)) for ticket in fact.tickets] == [(seats[3], True)]
        assert [(ticket.seat_id, ticket.barcode) for ticket in fact.given] == [(seats[0], None)]
        assert (fact.state, fact.refund) == ("confirmed", None)
        assert record["version"] == await apps.database.fetchval("SELECT version FROM orders")

    async def test_by_issued_ticket_several_times_then_cancelled_whole(self, apps: Apps) -> None:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, seats[:2])
        for target in ([seats[4], seats[5]], [seats[10], seats[5]], [seats[11], seats[12]]):
            booking = (await apps.bookings.get(f"/bookings/{order}", headers=apps.buyer(owner)[1])).json()
            held = [ticket for ticket in booking["tickets"] if ticket["ticketId"] not in target]
            wanted = [seat for seat in target if seat not in [ticket["ticketId"] for ticket in booking["tickets"]]]
            answer = await exchange(apps, owner, order, give=[ticket["issuedTicketId"] for ticket in held], take=wanted)
            assert answer.status_code == 200, answer.text
        async with apps.database.transaction() as tx:
            done = await cancel_order(tx, order_id=order, by=Canceller(user_id=owner))
        assert done.refund == Money(2 * CHEAP, "USD")
        assert await apps.database.fetchval("SELECT refunded_minor FROM payments") == 2 * FULL
        assert await states(apps) == {}

    async def test_takes_a_seat_that_the_booking_had_and_cancelled(self, apps: Apps) -> None:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, seats[:3])
        async with apps.database.transaction() as tx:
            await cancel_order(tx, order_id=order, by=Canceller(user_id=owner), chosen=[seats[1]])
        answer = await exchange(apps, owner, order, give=[seats[0]], take=[seats[1]])
        assert [(ticket["ticketId"], ticket["ticketStatus"]) for ticket in answer.json()["tickets"]] == [
            (seats[1], "VALID"), (seats[2], "VALID"),
        ]  # fmt: skip
        assert await apps.database.fetchval("SELECT n_seats FROM orders") == 2

    async def test_keeps_the_rule_against_single_seats(self, apps: Apps) -> None:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, seats[10:11])
        await apps.database.fetch("UPDATE event_terms SET no_orphans = true")
        refused = await exchange(apps, owner, order, give=[seats[10]], take=[seats[11]])
        assert problem(refused, 409, "sales.single_seat_left")["single"][0]["ticketId"] == seats[10]
        assert (await exchange(apps, owner, order, give=[seats[10]], take=[seats[19]])).status_code == 200

    async def test_takes_a_seat_whose_hold_ran_out(self, apps: Apps) -> None:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, seats[:1])
        stale, _ = await hold(apps.database, seats[5:6])
        problem(await exchange(apps, owner, order, give=[seats[0]], take=[seats[5]]), 409, "sales.seats_taken")
        await run_out(apps.database, stale)
        assert (await exchange(apps, owner, order, give=[seats[0]], take=[seats[5]])).status_code == 200

    async def test_of_free_tickets_moves_no_money(self, apps: Apps) -> None:
        seats = await two_prices(apps.database, full=0, cheap=0)
        order, owner = await hold(apps.database, seats[:1])
        async with apps.database.transaction() as tx:
            await confirm_free(tx, order_id=order, user_id=owner, signer=SIGNER)
        assert (await exchange(apps, owner, order, give=[seats[0]], take=[seats[12]])).status_code == 200
        assert await apps.database.fetchval("SELECT count(*) FROM ledger_entries") == 0

    async def test_a_repeat_of_the_key_changes_nothing_more(self, apps: Apps) -> None:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, seats[:1])
        first = await exchange(apps, owner, order, key="again", give=[seats[0]], take=[seats[10]])
        again = await exchange(apps, owner, order, key="again", give=[seats[0]], take=[seats[10]])
        assert (again.status_code, again.content) == (200, first.content)
        problem(
            await exchange(apps, owner, order, key="again", give=[seats[0]], take=[seats[11]]),
            422,
            "request.idempotency_key_reused",
        )
        assert await apps.database.fetchval("SELECT count(*) FROM exchanges") == 1

    async def test_the_old_qr_code_is_gone_and_the_new_one_is_there(self, apps: Apps) -> None:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, seats[:1])
        headers = apps.buyer(owner)[1]
        old = (await apps.bookings.get(f"/bookings/{order}", headers=headers)).json()["tickets"][0]["issuedTicketId"]
        new = (await exchange(apps, owner, order, give=[old], take=[seats[10]])).json()["tickets"][0]["issuedTicketId"]
        assert new != old
        assert (await apps.tickets.get(f"/tickets/{old}/qr.png", headers=headers)).status_code == 404
        assert (await apps.tickets.get(f"/tickets/{new}/qr.png", headers=headers)).status_code == 200


class TestRefusals:
    @pytest.fixture
    async def bought(self, apps: Apps) -> tuple[list[SeatId], OrderId, UserId]:
        seats = await two_prices(apps.database)
        order, owner, _ = await buy(apps.database, [seats[0], seats[10]])
        return seats, order, owner

    async def test_names_what_dearer_seats_cost_more_and_changes_nothing(
        self, apps: Apps, bought: tuple[list[SeatId], OrderId, UserId]
    ) -> None:
        seats, order, owner = bought
        before = await states(apps)
        body = problem(
            await exchange(apps, owner, order, give=[seats[10]], take=[seats[1]]), 402, "sales.exchange_needs_payment"
        )
        assert (body["difference"], body["currency"]) == ("20.00", "USD")
        assert await states(apps) == before

    async def test_taken_seats_are_named_and_nothing_is_changed(
        self, apps: Apps, bought: tuple[list[SeatId], OrderId, UserId]
    ) -> None:
        seats, order, owner = bought
        await hold(apps.database, [seats[2]])
        before = await states(apps)
        body = problem(
            await exchange(apps, owner, order, give=[seats[0], seats[10]], take=[seats[1], seats[2]]),
            409,
            "sales.seats_taken",
        )
        assert [entry["ticketId"] for entry in body["taken"]] == [seats[2]]
        assert await states(apps) == before

    async def test_what_cannot_be_meant(self, apps: Apps, bought: tuple[list[SeatId], OrderId, UserId]) -> None:
        seats, order, owner = bought
        for give, take, status, code in (
            ([], [], 422, "request.invalid"),
            ([seats[0]], [seats[1], seats[2]], 422, "sales.bad_selection"),
            ([seats[0], seats[0]], [seats[1], seats[2]], 422, "sales.bad_selection"),
            ([seats[0]], [seat_id(EventId(8), 1)], 422, "sales.seats_unknown"),
            ([seats[0]], [seat_id(EventId(EVENT), 999)], 422, "sales.seats_unknown"),
            ([seats[1]], [seats[2]], 404, "sales.ticket_not_found"),
            ([str(uuid4())], [seats[2]], 404, "sales.ticket_not_found"),
            ([seats[0]], [seats[10]], 409, "sales.seats_taken"),
            ([seats[0]], [seats[0]], 409, "sales.seats_taken"),
        ):
            problem(await exchange(apps, owner, order, give=give, take=take), status, code)

    async def test_without_a_key(self, apps: Apps, bought: tuple[list[SeatId], OrderId, UserId]) -> None:
        seats, order, owner = bought
        problem(
            await exchange(apps, owner, order, key=None, give=[seats[0]], take=[seats[1]]),
            422,
            "request.idempotency_key_required",
        )

    async def test_a_stranger_and_even_the_organiser_find_no_such_booking(
        self, apps: Apps, bought: tuple[list[SeatId], OrderId, UserId]
    ) -> None:
        seats, order, _ = bought
        for headers in (apps.buyer()[1], apps.organiser(ORGANISATION)):
            answer = await apps.bookings.post(
                f"/bookings/{order}/exchange",
                json={"give": [seats[0]], "take": [seats[1]]},
                headers={**headers, "Idempotency-Key": str(uuid4())},
            )
            problem(answer, 404, "sales.booking_not_found")

    async def test_a_hold_a_used_ticket_and_a_cancelled_booking(
        self, apps: Apps, bought: tuple[list[SeatId], OrderId, UserId]
    ) -> None:
        seats, order, owner = bought
        held, holder = await hold(apps.database, [seats[5]])
        problem(await exchange(apps, holder, held, give=[seats[5]], take=[seats[6]]), 409, "sales.wrong_booking_state")
        await apps.database.fetch("UPDATE tickets SET state = 'used' WHERE seat_id = $1", seats[0])
        problem(await exchange(apps, owner, order, give=[seats[0]], take=[seats[1]]), 409, "sales.wrong_booking_state")
        async with apps.database.transaction() as tx:
            await cancel_order(tx, order_id=order, by=Canceller(user_id=owner), chosen=[seats[10]])
        problem(
            await exchange(apps, owner, order, give=[seats[10]], take=[seats[11]]), 409, "sales.wrong_booking_state"
        )

    async def test_after_the_policys_time_or_the_sale(
        self, apps: Apps, bought: tuple[list[SeatId], OrderId, UserId]
    ) -> None:
        seats, order, owner = bought
        wish = {"give": [seats[0]], "take": [seats[1]]}
        await apps.database.fetch("UPDATE event_terms SET off_sale_at = clock_timestamp()")
        problem(await exchange(apps, owner, order, **wish), 409, "sales.not_on_sale")
        await apps.database.fetch("UPDATE event_terms SET off_sale_at = NULL, halted_because = 'a check'")
        problem(await exchange(apps, owner, order, **wish), 503, "sales.halted")
        await apps.database.fetch("UPDATE event_terms SET halted_because = NULL")
        await apps.database.fetch("UPDATE orders SET cancel_until = $1", datetime.now(UTC) - timedelta(seconds=1))
        problem(await exchange(apps, owner, order, **wish), 409, "sales.too_late_to_exchange")
