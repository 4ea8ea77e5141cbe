"""The provider fails at every call, in every way: slow, lost, refused, forgetful. Afterwards the money agrees."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.support.audit import assert_clean
from tests.support.payments import IMPATIENT_S, OTHER_MERCHANT, SLOW_S, Simulated, Till, client_of, tolerating

from boxoffice.services.sales.domain.payment import PaymentState
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.simulators.paypal import launch

CALLS = ["create_order", "get_order", "capture", "refund", "token"]
KINDS = ["lose", "slow", "refuse", "throttle"]


async def buy_and_cancel(till: Till) -> tuple[object, list[object]]:
    """Try to buy and to cancel; what is refused or lost on the way is noted and left."""
    noted: list[object] = []
    order_id, user_id = await till.hold()

    async def attempt(act: Callable[[], Awaitable[object]]) -> object:
        outcome = await tolerating(act)
        noted.append(outcome)
        return outcome

    for _ in range(2):
        await attempt(lambda: till.start(order_id, user_id))
    found = await till.database.fetchrow(
        "SELECT payment_id, provider_ref FROM payments WHERE order_id = $1 AND state = 'created'", order_id
    )
    if found is not None and found["provider_ref"] is not None:
        till.paypal.approve(found["provider_ref"])
        await attempt(lambda: till.settle(found["payment_id"]))
        await attempt(till.resolve)
    if await till.order_state(order_id) == "confirmed":
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=order_id, by=Canceller(user_id=user_id))
        await attempt(till.refund)
    return order_id, noted


class TestFaults:
    @pytest.mark.parametrize("on", CALLS)
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("times", [1, 0], ids=["once", "until further notice"])
    async def test_no_failure_of_a_call_loses_money(self, till: Till, on: str, kind: str, times: int) -> None:
        if on == "token":
            till.paypal.post("forget-tokens")
        till.paypal.fault(kind, on, times=times, seconds=SLOW_S, status=500)
        async with client_of(till.paypal.simulator, read_timeout_s=IMPATIENT_S) as impatient:
            order_id, _ = await buy_and_cancel(till.through(provider=impatient) if kind == "slow" else till)
        till.paypal.behave()
        await till.rest()
        await till.check(order_id)  # type: ignore[arg-type]
        await assert_clean(till.database)

    async def test_a_lost_capture_reply_and_forgotten_keys_charge_once(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        till.paypal.fault("lose", "capture", times=1)
        assert (await till.settle(payment.payment_id)).state is PaymentState.CAPTURING
        till.paypal.forget_keys()
        await till.rest()
        assert len(till.paypal.books(payment.order_id)["captures"]) == 1
        assert (await till.read(payment.payment_id)).state is PaymentState.CAPTURED
        await till.check(payment.order_id)

    async def test_a_lost_refund_reply_and_forgotten_keys_refund_once(self, till: Till) -> None:
        payment = await till.bought()
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id))
        till.paypal.fault("lose", "refund")
        assert await till.refund() == 0
        till.paypal.behave()
        till.paypal.forget_keys()
        await till.rest()
        books = till.paypal.books(payment.order_id)
        assert len(books["refunds"]) == 2, "one for each ticket"
        await till.check(payment.order_id)
        assert {
            (row["account"], row["sum"])
            for row in await till.database.fetch(
                "SELECT account, sum(value_minor)::int AS sum FROM ledger_entries WHERE order_id = $1 GROUP BY 1",
                payment.order_id,
            )
        } == {("provider", 0), ("revenue", 0), ("refunds_due", 0)}

    async def test_a_partial_cancellation_refunds_that_ticket(self, till: Till) -> None:
        payment = await till.bought()
        ticket = await till.database.fetchval(
            "SELECT ticket_id FROM tickets WHERE order_id = $1 LIMIT 1", payment.order_id
        )
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id), chosen=[ticket])
        await till.rest()
        books = till.paypal.books(payment.order_id)
        assert (books["captured_minor"], books["refunded_minor"]) == (10_000, 5_000)
        await till.check(payment.order_id)

    async def test_the_buyer_is_told_once_that_the_money_is_back(self, till: Till) -> None:
        payment = await till.bought()
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id))
        await till.rest()
        told = await till.database.fetch(
            "SELECT body FROM outbox WHERE key = $1 AND type = 'sales.order.refunded'", str(payment.order_id)
        )
        assert [row["body"]["refund"] for row in told] == ["100.00"]

    async def test_a_refund_that_the_provider_refuses_waits_for_a_person(self, till: Till) -> None:
        payment = await till.bought(1)
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id))
        await till.database.fetch("UPDATE payments SET capture_ref = 'NOBODYKNOWSTHIS1'")
        await till.refund()
        row = await till.database.fetchrow("SELECT state, failure FROM refunds")
        assert row is not None
        assert (row["state"], row["failure"]) == ("manual", "INVALID_RESOURCE_ID")

    async def test_a_pending_capture_is_not_a_ticket_yet(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        till.paypal.fault("pending", "capture", times=1)
        assert (await till.settle(payment.payment_id)).state is PaymentState.CAPTURING
        assert await till.seat_states(payment.order_id) == ["paying", "paying"]
        capture = till.paypal.books(payment.order_id)["captures"][0]["capture_id"]
        till.paypal.client.post(f"/simulator/captures/{capture}/settle").raise_for_status()
        assert (await till.settle(payment.payment_id)).state is PaymentState.CAPTURED
        await till.check(payment.order_id)

    async def test_a_pending_capture_that_fails_gives_the_seats_back(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        till.paypal.fault("pending", "capture", times=1)
        await till.settle(payment.payment_id)
        capture = till.paypal.books(payment.order_id)["captures"][0]["capture_id"]
        till.paypal.client.post(f"/simulator/captures/{capture}/settle?completed=false").raise_for_status()
        assert (await till.settle(payment.payment_id)).state is PaymentState.FAILED
        assert await till.seat_states(payment.order_id) == ["held", "held"]


class TestKilledProvider:
    async def test_a_killed_simulator_remembers_what_it_answered(self, till: Till, paypal: Simulated) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        old = paypal.simulator
        old.kill()
        silent = await tolerating(lambda: till.settle(payment.payment_id))
        assert getattr(silent, "code", "") == "sales.provider_unavailable"
        port = int(old.url.rpartition(":")[2])
        again = await asyncio.to_thread(launch.start, old.data_dir, port=port, other_client=OTHER_MERCHANT)
        old.process = again.process
        assert (await till.settle(payment.payment_id)).state is PaymentState.CAPTURED
        await till.check(payment.order_id)
