"""The usual payment in few round trips leaves what the whole way leaves, and leaves alone what is not usual."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.audit import assert_clean
from tests.support.payments import PUBLIC_URL, WINDOW, Till
from tests.support.sales import SIGNER, TYPES, choose, sell_as

from boxoffice.contracts.messages.sales import OrderFact
from boxoffice.kernel.ids import OrderId, PaymentId, UserId
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.sales.api.views import booking_view
from boxoffice.services.sales.domain.payment import CaptureOutcome, Payment, PaymentState
from boxoffice.services.sales.store import quick_payments
from boxoffice.services.sales.store.quick_payments import Beginning
from boxoffice.services.sales.usecases.abandon_payment import TURNED_BACK, abandon
from boxoffice.services.sales.usecases.gather_confirmations import ConfirmDesk
from boxoffice.services.sales.usecases.gather_payments import BeginDesk
from boxoffice.services.sales.usecases.read_orders import show_order
from boxoffice.services.sales.usecases.settle_payment import Settling
from boxoffice.services.sales.usecases.start_payment import Wish, start_payment

ORDER = """
SELECT o.state, o.version, o.n_seats, o.total_minor, o.pay_deadline IS NOT NULL AS may_pay,
       o.confirmed_at IS NOT NULL AS confirmed, p.state AS payment, p.attempt, p.provider,
       p.total_minor AS asked, p.captured_minor, p.capture_ref IS NOT NULL AS captured, p.approval_url IS NOT NULL AS page,
       p.return_url, p.cancel_url, l.n, l.held, l.spent_seconds
FROM orders o JOIN payments p USING (order_id) JOIN customer_limits l USING (event_id, user_id) WHERE o.order_id = $1
"""
TICKETS = """
SELECT s.state, s.order_id IS NOT NULL AS owned, s.hold_expires_at, s.fence, k.state AS ticket, k.price_minor, k.currency,
       k.key_id, k.user_id = o.user_id AS mine
FROM orders o JOIN event_seats s ON s.event_id = o.event_id AND s.seat_id = ANY (o.seat_ids)
LEFT JOIN tickets k ON k.seat_id = s.seat_id AND k.order_id = o.order_id WHERE o.order_id = $1 ORDER BY s.seat_id
"""
LEDGER = "SELECT account, value_minor, currency FROM ledger_entries WHERE order_id = $1 ORDER BY account"
FACTS = "SELECT type, version, body::text AS body FROM outbox WHERE key = $1::uuid::text AND type <> 'sales.order.held' ORDER BY version"


class Between:
    """The provider, and something that happens between the claim and the confirmation."""

    def __init__(self, provider: Any, happen: Callable[[PaymentId], Awaitable[None]]) -> None:
        self._provider = provider
        self._happen = happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def capture(self, provider_ref: str, *, payment_id: PaymentId) -> CaptureOutcome:
        outcome: CaptureOutcome = await self._provider.capture(provider_ref, payment_id=payment_id)
        await self._happen(payment_id)
        return outcome


@pytest.fixture(autouse=True)
async def _audited(till: Till) -> AsyncIterator[None]:
    yield
    await assert_clean(till.database)


async def start(till: Till, *, quickly: bool, key: str | None = None) -> Payment:
    order_id, user_id = await till.hold()
    return await start_again(till, order_id, user_id, quickly=quickly, key=key)


async def start_again(till: Till, order_id: OrderId, user_id: UserId, *, quickly: bool, key: str | None) -> Payment:
    seen: list[Payment] = []

    def render(payment: Payment) -> Answer:
        seen.append(payment)
        return Answer(status=201, body=str(payment.payment_id).encode())

    wish = Wish(
        order_id=order_id, user_id=user_id, provider="paypal", return_url=f"{PUBLIC_URL}/back",
        cancel_url=f"{PUBLIC_URL}/no",
    )  # fmt: skip
    async with BeginDesk.open(till.database) as desk:
        answer = await start_payment(
            till.database, {"paypal": till.provider}, wish, public_url=PUBLIC_URL, window=WINDOW,
            call=IdempotentCall.of(principal=user_id, key=key, route="pay", body=b"{}"), render=render,
            desk=desk if quickly else None,
        )  # fmt: skip
    payment = await till.read(PaymentId(UUID(answer.body.decode())))
    assert not seen or seen[0] == payment, "the buyer was told what is written"
    return payment


async def left(till: Till, payment: Payment) -> dict[str, Any]:
    """All that a purchase left, without what is its own: ids and instants."""
    order = await till.database.fetchrow(ORDER, payment.order_id)
    facts = await till.database.fetch(FACTS, payment.order_id)
    return {
        "order": dict(order or {}), "tickets": [dict(row) for row in await till.database.fetch(TICKETS, payment.order_id)],
        "ledger": [dict(row) for row in await till.database.fetch(LEDGER, payment.order_id)],
        "facts": [(row["type"], row["version"], shape(row["body"])) for row in facts],
    }  # fmt: skip


def shape(body: str) -> dict[str, Any]:
    fact = msgspec.json.decode(body, type=OrderFact)
    assert all(SIGNER.verify(ticket.barcode or "").ticket_id == ticket.ticket_id for ticket in fact.tickets)
    places = [
        (ticket.section, ticket.price, ticket.price_level, ticket.ticket_id is not None) for ticket in fact.tickets
    ]
    return {"state": fact.state, "event": fact.event, "places": places, "total": fact.total, "terms": set(
        msgspec.to_builtins(fact.refund_terms))}  # fmt: skip


async def confirm(till: Till, payment: Payment, provider: Any = None) -> bool:
    settling = Settling(database=till.database, providers={"paypal": provider or till.provider}, signer=SIGNER)
    async with ConfirmDesk.open(settling) as desk:
        return await desk.confirm(payment.order_id, payment.user_id, payment.payment_id) is not None


class TestStartQuickly:
    async def test_leaves_what_the_whole_way_leaves(self, till: Till) -> None:
        quick, whole = await start(till, quickly=True), await start(till, quickly=False)
        assert await left(till, quick) == await left(till, whole)
        assert till.paypal.books(quick.order_id)["orders"][0]["total_minor"] == 10_000

    async def test_answers_a_repeat_of_the_key_as_before(self, till: Till) -> None:
        first = await start(till, quickly=True, key="k")
        again = await start_again(till, first.order_id, first.user_id, quickly=True, key="k")
        assert again == first
        assert len(till.paypal.books(first.order_id)["orders"]) == 1

    async def test_of_one_order_eight_times_at_once_begins_one_payment(self, till: Till) -> None:
        order_id, user_id = await till.hold()
        begun = await asyncio.gather(
            *(start_again(till, order_id, user_id, quickly=True, key=f"k{n}") for n in range(8)), return_exceptions=True
        )
        payments = {payment.payment_id for payment in begun if isinstance(payment, Payment)}
        assert len(payments) == 1
        assert len(till.paypal.books(order_id)["orders"]) == 1


class TestBeginTogether:
    async def test_leaves_out_what_is_not_usual_and_touches_nothing_of_it(self, till: Till) -> None:
        """One of each: usual, somebody else's, its time over, paid before, torn seats, a key that was used."""
        held = [await till.hold() for _ in range(6)]
        usual, foreign, over, paid, torn, used = [order_id for order_id, _ in held]
        await till.database.fetch("UPDATE orders SET hold_expires_at = clock_timestamp() WHERE order_id = $1", over)
        await start_again(till, paid, dict(held)[paid], quickly=True, key=None)
        await till.database.fetch(
            "UPDATE event_seats SET hold_expires_at = clock_timestamp() WHERE seat_id = (SELECT max(seat_ids[1]) FROM"
            " orders WHERE order_id = $1)", torn,
        )  # fmt: skip
        await till.database.fetch("INSERT INTO idempotency_keys VALUES ($1, 'k', 'pay', 'other')", dict(held)[used])
        before = await state_of(till, [foreign, over, paid, torn, used])
        async with till.database.connection() as connection:
            begun = await quick_payments.begin(
                connection, [asked(order_id, user_id if order_id != foreign else UserId(uuid4())) for order_id, user_id in held],
                window=WINDOW,
            )  # fmt: skip
        assert set(begun) == {usual}
        assert await state_of(till, [foreign, over, paid, torn, used]) == before
        keys = await till.database.fetch("SELECT principal, fingerprint FROM idempotency_keys WHERE key = 'k'")
        assert {(row["principal"], row["fingerprint"]) for row in keys} == {
            (dict(held)[usual], b"fp"), (dict(held)[used], b"other"),
        }  # fmt: skip

    async def test_begins_many_at_once_as_each_alone(self, till: Till) -> None:
        held = [await till.hold() for _ in range(8)]
        async with till.database.connection() as connection:
            begun = await quick_payments.begin(connection, [asked(*one) for one in held], window=WINDOW)
        assert set(begun) == {order_id for order_id, _ in held}
        for order_id, one in begun.items():
            assert await till.seat_states(order_id) == ["paying", "paying"]
            assert one.payment == await till.read(one.payment.payment_id)
            assert sum(place["price_minor"] for place in one.places) == one.payment.total.minor


def asked(order_id: OrderId, user_id: UserId) -> Beginning:
    return Beginning(
        order_id=order_id, user_id=user_id, payment_id=PaymentId(uuid4()), provider="paypal",
        return_url=f"{PUBLIC_URL}/back", cancel_url=f"{PUBLIC_URL}/no",
        call=IdempotentCall(principal=user_id, key="k", route="pay", fingerprint=b"fp"),
    )  # fmt: skip


async def state_of(till: Till, order_ids: list[OrderId]) -> list[Any]:
    return [
        dict(row)
        for row in await till.database.fetch(
            "SELECT o.state, o.version, array_agg((s.state, s.fence)::text) AS seats,"
            " (SELECT count(*) FROM payments p WHERE p.order_id = o.order_id) AS payments"
            " FROM orders o JOIN event_seats s USING (event_id, order_id) WHERE o.order_id = ANY ($1) GROUP BY o.order_id"
            " ORDER BY o.order_id", order_ids,
        )
    ]  # fmt: skip


class TestConfirmTogether:
    async def test_leaves_what_settling_leaves(self, till: Till) -> None:
        quick, whole = await start(till, quickly=True), await start(till, quickly=False)
        for payment in (quick, whole):
            till.paypal.approve(payment.provider_ref)
        assert await confirm(till, quick)
        assert (await till.settle(whole.payment_id)).state is PaymentState.CAPTURED
        mine, theirs = await left(till, quick), await left(till, whole)
        assert mine == theirs
        assert [ticket["ticket"] for ticket in mine["tickets"]] == ["valid", "valid"]

    async def test_shows_the_order_as_it_is_read_afterwards(self, till: Till) -> None:
        payment = await start(till, quickly=True)
        till.paypal.approve(payment.provider_ref)
        async with ConfirmDesk.open(till.settling) as desk:
            shown = await desk.confirm(payment.order_id, payment.user_id, payment.payment_id)
        assert shown is not None
        written = await till.database.fetch("SELECT ticket_id, seat_id, issued_at FROM tickets ORDER BY seat_id")
        assert [(row["ticket_id"], row["seat_id"], row["issued_at"]) for row in written] == [
            (ticket.ticket_id, ticket.seat_id, ticket.issued_at) for _, ticket in sorted(shown.tickets.items())
        ]
        read = await show_order(till.database, payment.order_id, payment.user_id, [])
        assert booking_view(shown) == booking_view(read)
        assert shown.order.version == read.order.version

    async def test_confirms_each_of_many_once_however_often_it_is_asked_for(self, till: Till) -> None:
        begun = [await start(till, quickly=True) for _ in range(4)]
        for payment in begun:
            till.paypal.approve(payment.provider_ref)
        async with ConfirmDesk.open(till.settling) as desk:
            await asyncio.gather(
                *(desk.confirm(one.order_id, one.user_id, one.payment_id) for one in begun for _ in range(3))
            )
        for payment in begun:
            await till.settle(payment.payment_id)  # whatever was left; a repeat changes nothing
            assert await till.order_state(payment.order_id) == "confirmed"
            assert len(till.paypal.books(payment.order_id)["captures"]) == 1
        assert await till.database.fetchval("SELECT count(*) FROM tickets") == 8
        told = "SELECT count(*) FROM outbox WHERE type = 'sales.order.confirmed'"
        assert await till.database.fetchval(told) == 4

    async def test_leaves_an_order_that_lost_a_seat_and_confirms_its_neighbour(self, till: Till) -> None:
        robbed, well = await start(till, quickly=True), await start(till, quickly=True)
        for payment in (robbed, well):
            till.paypal.approve(payment.provider_ref)

        async def rob(payment_id: PaymentId) -> None:
            if payment_id == robbed.payment_id:
                await move_seat(till, robbed.order_id, OrderId(uuid4()))

        provider = Between(till.provider, rob)
        settling = Settling(database=till.database, providers={"paypal": provider}, signer=SIGNER)
        async with ConfirmDesk.open(settling) as desk:
            lost, kept = await asyncio.gather(
                *(desk.confirm(one.order_id, one.user_id, one.payment_id) for one in (robbed, well))
            )
        assert (lost, kept is not None) == (None, True)
        assert (await till.read(robbed.payment_id)).state is PaymentState.CAPTURING
        assert (await left(till, robbed))["ledger"] == []
        thief = await till.database.fetchval(
            "SELECT order_id FROM event_seats WHERE state = 'paying' AND order_id <> $1", robbed.order_id
        )
        await move_seat(till, OrderId(thief), robbed.order_id)
        assert (await till.settle(robbed.payment_id)).state is PaymentState.CAPTURED

    async def test_leaves_an_order_that_changed_after_the_claim(self, till: Till) -> None:
        payment = await start(till, quickly=True)
        till.paypal.approve(payment.provider_ref)

        async def change(_payment: PaymentId) -> None:
            await till.database.fetch("UPDATE orders SET version = version + 1")

        assert not await confirm(till, payment, Between(till.provider, change))
        assert await till.order_state(payment.order_id) == "paying"
        assert (await till.settle(payment.payment_id)).state is PaymentState.CAPTURED

    async def test_leaves_a_declined_payment_to_settling(self, till: Till) -> None:
        payment = await start(till, quickly=True)
        till.paypal.approve(payment.provider_ref, decline=True)
        assert not await confirm(till, payment)
        assert (await till.settle(payment.payment_id)).state is PaymentState.FAILED
        assert await till.order_state(payment.order_id) == "held"

    async def test_claims_nothing_that_was_not_approved_or_was_abandoned(self, till: Till) -> None:
        waiting, ending = await start(till, quickly=True), await start(till, quickly=True)
        till.paypal.approve(ending.provider_ref)
        await abandon(till.database, {}, ending.payment_id, because=TURNED_BACK)
        for payment in (waiting, ending):
            before = (await till.read(payment.payment_id)).state
            assert not await confirm(till, payment)
            assert (await till.read(payment.payment_id)).state is before
        assert till.paypal.books(ending.order_id)["captures"] == []

    async def test_confirms_nothing_of_somebody_else(self, till: Till) -> None:
        payment = await start(till, quickly=True)
        till.paypal.approve(payment.provider_ref)
        async with ConfirmDesk.open(till.settling) as desk:
            assert await desk.confirm(payment.order_id, UserId(uuid4()), payment.payment_id) is None
        assert (await till.read(payment.payment_id)).state is PaymentState.CREATED


class TestTicketTypes:
    async def test_that_were_chosen_are_asked_for_quickly_and_confirmed_the_whole_way(self, till: Till) -> None:
        await sell_as(till.database, TYPES)
        order_id, user_id = await till.hold()
        first = await till.database.fetchval("SELECT seat_ids[1] FROM orders WHERE order_id = $1", order_id)
        await choose(till.database, order_id, user_id, {first: "Child"})
        payment = await start_again(till, order_id, user_id, quickly=True, key=None)
        assert payment.total.minor == 7000
        assert till.paypal.books(order_id)["orders"][0]["total_minor"] == 7000
        till.paypal.approve(payment.provider_ref)
        assert not await confirm(till, payment)
        assert (await till.read(payment.payment_id)).state is PaymentState.CREATED, "it was not even claimed"
        assert (await till.settle(payment.payment_id)).state is PaymentState.CAPTURED
        tickets = await till.database.fetch("SELECT price_minor, ticket_type FROM tickets ORDER BY seat_id")
        assert [tuple(ticket) for ticket in tickets] == [(2000, "Child"), (5000, "Adult")]
        await till.check(order_id)

    async def test_are_told_to_the_provider_by_name_either_way(self, till: Till) -> None:
        await sell_as(till.database, TYPES)
        told: list[list[str]] = []

        class Listening:
            name, payee = "paypal", ""

            async def create(self, payment: Any) -> Any:
                told.append([f"{item.name}: {item.price.minor}" for item in payment.items])
                return await till.provider.create(payment)

        for quickly in (True, False):
            order_id, user_id = await till.hold()
            first = await till.database.fetchval("SELECT seat_ids[1] FROM orders WHERE order_id = $1", order_id)
            await choose(till.database, order_id, user_id, {first: "Child"})
            await start_again(till.through(provider=Listening()), order_id, user_id, quickly=quickly, key=None)
        assert told == [
            ["Stalls, row 1, seat 1 (Child): 2000", "Stalls, row 1, seat 2 (Adult): 5000"],
            ["Stalls, row 1, seat 3 (Child): 2000", "Stalls, row 1, seat 4 (Adult): 5000"],
        ]

    async def test_can_be_chosen_again_after_a_declined_card_and_the_next_payment_asks_for_them(
        self, till: Till
    ) -> None:
        await sell_as(till.database, TYPES)
        payment = await start(till, quickly=True)
        till.paypal.approve(payment.provider_ref, decline=True)
        assert (await till.settle(payment.payment_id)).state is PaymentState.FAILED
        first = await till.database.fetchval("SELECT seat_ids[1] FROM orders")
        await choose(till.database, payment.order_id, payment.user_id, {first: "Infant"})
        second = await start_again(till, payment.order_id, payment.user_id, quickly=True, key=None)
        assert (second.total.minor, second.attempt) == (5000, 2)
        till.paypal.approve(second.provider_ref)
        assert (await till.settle(second.payment_id)).state is PaymentState.CAPTURED
        assert await till.database.fetchval("SELECT sum(price_minor) FROM tickets") == 5000
        await till.check(payment.order_id)

    async def test_that_nobody_chose_are_confirmed_quickly_as_standard(self, till: Till) -> None:
        await sell_as(till.database, TYPES)
        payment = await start(till, quickly=True)
        till.paypal.approve(payment.provider_ref)
        async with ConfirmDesk.open(till.settling) as desk:
            shown = await desk.confirm(payment.order_id, payment.user_id, payment.payment_id)
        assert shown is not None
        assert booking_view(shown) == booking_view(
            await show_order(till.database, payment.order_id, payment.user_id, [])
        )
        assert [ticket.ticket_type for ticket in booking_view(shown).tickets] == ["Adult", "Adult"]
        body = await till.database.fetchval("SELECT body::text FROM outbox WHERE type = 'sales.order.confirmed'")
        assert [ticket.ticket_type for ticket in msgspec.json.decode(body, type=OrderFact).tickets] == [
            "Adult",
            "Adult",
        ]


async def move_seat(till: Till, before: OrderId, after: OrderId) -> None:
    """Give one paying seat of an order to another, behind everybody's back."""
    await till.database.fetch(
        "UPDATE event_seats SET order_id = $2 WHERE seat_id = ("
        "SELECT min(seat_id) FROM event_seats WHERE order_id = $1 AND state = 'paying')", before, after,
    )  # fmt: skip
