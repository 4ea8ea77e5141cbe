"""A purchase dies between every two steps, and everything is taken up again: the money always agrees with the tickets.

The steps are the real ones, over the real database and the real simulator process; what dies is whoever takes them.
"""

from collections.abc import Awaitable, Callable

import pytest
from tests.support.audit import assert_clean
from tests.support.payments import Crash, Steps, StumblingDatabase, StumblingProvider, Till, tolerating

from boxoffice.kernel.ids import OrderId, UserId
from boxoffice.services.sales.domain.payment import PaymentState
from boxoffice.services.sales.usecases.abandon_payment import TURNED_BACK, abandon
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order

Flow = Callable[[Till, OrderId, UserId], Awaitable[None]]


async def pays(till: Till, order_id: OrderId, user_id: UserId) -> None:
    payment = await till.start(order_id, user_id)
    till.paypal.approve(payment.provider_ref)
    await till.settle(payment.payment_id)


async def is_declined_once(till: Till, order_id: OrderId, user_id: UserId) -> None:
    first = await till.start(order_id, user_id)
    if first.attempt == 1 and first.state is PaymentState.CREATED:
        till.paypal.approve(first.provider_ref, decline=True)
        await till.settle(first.payment_id)
    await pays(till, order_id, user_id)


async def turns_back(till: Till, order_id: OrderId, user_id: UserId) -> None:
    payment = await till.start(order_id, user_id)
    till.paypal.approve(payment.provider_ref)  # and yet goes back: whatever was clicked last counts
    await abandon(till.database, {"paypal": till.provider}, payment.payment_id, because=TURNED_BACK)


async def stays_away(till: Till, order_id: OrderId, user_id: UserId) -> None:
    payment = await till.start(order_id, user_id)
    await till.pass_deadline(order_id)
    await till.resolve()
    till.paypal.approve(payment.provider_ref)  # too late
    await till.settle(payment.payment_id)


async def pays_and_cancels(till: Till, order_id: OrderId, user_id: UserId) -> None:
    await pays(till, order_id, user_id)
    async with till.database.transaction() as tx:
        await cancel_order(tx, order_id=order_id, by=Canceller(user_id=user_id))
    await till.refund()


FLOWS: list[Flow] = [pays, is_declined_once, turns_back, stays_away, pays_and_cancels]


class TestCrashes:
    @pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
    @pytest.mark.parametrize("again", [False, True], ids=["only the timers go on", "the buyer tries again"])
    async def test_every_step_may_be_the_last(self, till: Till, flow: Flow, *, again: bool) -> None:
        orders: list[OrderId] = []
        died_at: list[str] = []
        while True:
            order_id, user_id = await till.hold()
            orders.append(order_id)
            steps = Steps(die_at=len(orders))
            shaky = till.through(StumblingDatabase(till.database, steps), StumblingProvider(till.provider, steps))
            try:
                await flow(shaky, order_id, user_id)
            except Crash as crash:
                died_at.append(str(crash))
                if again:
                    await tolerating(lambda: flow(till, order_id, user_id))  # noqa: B023 - awaited at once
                await till.rest()
                continue
            break
        await till.rest()
        await till.check(*orders)
        await assert_clean(till.database)
        assert len(died_at) >= 8, f"too few steps to prove anything: {died_at}"
        assert {"before its commit", "after its commit", "after create"} <= set(died_at)

    @pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
    async def test_every_flow_may_be_repeated(self, till: Till, flow: Flow) -> None:
        order_id, user_id = await till.hold()
        for _ in range(3):
            await tolerating(lambda: flow(till, order_id, user_id))
        await till.rest()
        await till.check(order_id)
        await assert_clean(till.database)


class TestLastWord:
    async def test_an_approval_after_the_deadline_is_never_captured(self, till: Till) -> None:
        payment = await till.begin()
        await till.pass_deadline(payment.order_id)
        await till.resolve()
        till.paypal.approve(payment.provider_ref)
        assert (await till.settle(payment.payment_id)).state is PaymentState.VOIDED
        assert till.paypal.books(payment.order_id)["captures"] == []
        assert await till.order_state(payment.order_id) == "released"

    async def test_an_approval_that_nobody_told_us_of_is_found_at_the_deadline(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        await till.pass_deadline(payment.order_id)
        await till.resolve()
        assert await till.order_state(payment.order_id) == "confirmed"
        await till.check(payment.order_id)

    async def test_a_silent_provider_does_not_keep_seats_past_the_deadline(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.fault("refuse")
        await till.pass_deadline(payment.order_id)
        await till.resolve()
        assert await till.seat_states(payment.order_id) == ["free", "free"]

    async def test_a_claimed_payment_keeps_its_seats_past_the_deadline(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        till.paypal.fault("lose", "capture")
        await till.settle(payment.payment_id)
        await till.pass_deadline(payment.order_id)
        till.paypal.fault("refuse")
        await till.resolve()
        assert await till.seat_states(payment.order_id) == ["paying", "paying"]
        till.paypal.behave()
        await till.rest()
        assert await till.order_state(payment.order_id) == "confirmed"
        await till.check(payment.order_id)
