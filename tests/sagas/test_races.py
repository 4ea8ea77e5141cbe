"""Redirect, webhook, timer and buyer at once: one capture, one outcome. Opens with what the guards prevent."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from tests.support.audit import assert_clean
from tests.support.payments import NOW, Held, Till, tolerating

from boxoffice.services.sales.domain.payment import Declined, Payment, PaymentState
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases.abandon_payment import TURNED_BACK, abandon
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.resolve_payments import resolve_payments


class Forgetful:
    """A client as it must not be: every refund gets a new id, and nobody looks before asking again."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def get(self, provider_ref: str) -> Any:
        order = await self._provider.get(provider_ref)
        return type(order)(**{**{f: getattr(order, f) for f in order.__slots__}, "refunds": ()})

    async def refund(self, capture_ref: str, *, refund_id: Any, value: Any) -> Any:  # noqa: ARG002 - the mutation
        return await self._provider.refund(capture_ref, refund_id=uuid4(), value=value)


@dataclass
class Overtaken:
    """One process holds a "declined" that it has not acted on; a second one a capture that it has not noted."""

    payment: Payment
    says_no: Held
    says_no_task: "asyncio.Task[Payment]"
    captured: Held
    captured_task: "asyncio.Task[Payment]"


async def decline_overtaken_by_a_capture(till: Till) -> Overtaken:
    """The buyer took another card while the first "no" was on its way to us."""
    payment = await till.begin()
    till.paypal.approve(payment.provider_ref, decline=True)
    says_no, captured = Held(till.provider), Held(till.provider)
    says_no_task = asyncio.create_task(till.through(provider=says_no).settle(payment.payment_id))
    await says_no.answered.wait()
    till.paypal.approve(payment.provider_ref)
    till.paypal.forget_keys()
    captured_task = asyncio.create_task(till.through(provider=captured).settle(payment.payment_id))
    await captured.answered.wait()
    return Overtaken(payment, says_no, says_no_task, captured, captured_task)


class TestControls:
    """What the guards prevent does happen without them, and the check sees it."""

    async def test_new_refund_ids_pay_back_twice(self, till: Till) -> None:
        payment = await till.bought()
        ticket = await till.database.fetchval(
            "SELECT ticket_id FROM tickets WHERE order_id = $1 LIMIT 1", payment.order_id
        )
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id), chosen=[ticket])
        till.paypal.fault("lose", "refund", times=1)
        mutant = till.through(provider=Forgetful(till.provider))
        await mutant.rest()
        assert (
            await till.difference(payment.order_id) == "the provider keeps 0, live tickets are worth 5000 (confirmed)"
        )

    async def test_capture_without_claim_takes_money_for_nothing(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        await abandon(till.database, {"paypal": till.provider}, payment.payment_id, because=TURNED_BACK)
        assert payment.provider_ref is not None
        await till.provider.capture(payment.provider_ref, payment_id=payment.payment_id)
        assert "keeps 10000, live tickets are worth 0" in str(await till.difference(payment.order_id))

    async def test_a_late_no_without_the_fence_gives_paid_seats_away(
        self, till: Till, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class AnyFence:
            __hash__ = None

            def __ne__(self, other: object) -> bool:
                return False

        async def any_fence(*_arguments: Any) -> AnyFence:
            return AnyFence()

        monkeypatch.setattr(payments, "fence", any_fence)
        race = await decline_overtaken_by_a_capture(till)
        race.says_no.let_go.set()
        assert (await race.says_no_task).state is PaymentState.FAILED
        assert "keeps 10000, live tickets are worth 0" in str(await till.difference(race.payment.order_id))
        # Even then the last line of defence holds: money that bought nothing goes back.
        race.captured.let_go.set()
        await race.captured_task
        assert till.paypal.books(race.payment.order_id)["refunded_minor"] == 10_000


class TestRaces:
    async def test_a_late_no_changes_nothing_once_somebody_asked_again(self, till: Till) -> None:
        race = await decline_overtaken_by_a_capture(till)
        race.says_no.let_go.set()
        assert (await race.says_no_task).state is PaymentState.CAPTURING
        race.captured.let_go.set()
        assert (await race.captured_task).state is PaymentState.CAPTURED
        await till.check(race.payment.order_id)
        await assert_clean(till.database)

    async def test_everybody_settles_at_once(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        await asyncio.gather(*(tolerating(lambda: till.settle(payment.payment_id)) for _ in range(10)))
        await till.rest(deadlines=False)
        books = till.paypal.books(payment.order_id)
        assert len(books["captures"]) == 1
        tickets = await till.database.fetchval("SELECT count(*) FROM tickets WHERE order_id = $1", payment.order_id)
        assert tickets == 2
        await till.check(payment.order_id)
        await assert_clean(till.database)

    async def test_claim_and_abandon_shut_each_other_out(self, till: Till) -> None:
        ended: Counter[str] = Counter()
        choice = random.Random(7)
        orders = []
        for _ in range(24):
            payment = await till.begin()
            orders.append(payment.order_id)
            till.paypal.approve(payment.provider_ref)

            async def turn_back(payment: Any = payment) -> None:
                await asyncio.sleep(choice.uniform(0, 0.012))
                await abandon(till.database, {"paypal": till.provider}, payment.payment_id, because=TURNED_BACK)

            await asyncio.gather(tolerating(lambda: till.settle(payment.payment_id)), tolerating(turn_back))  # noqa: B023
            await till.rest(deadlines=False)
            ended[(await till.read(payment.payment_id)).state] += 1
        await till.check(*orders)
        await assert_clean(till.database)
        assert set(ended) == {"captured", "voided"}, f"only one of them ever won: {ended}"

    async def test_several_resolvers_share_the_work(self, till: Till) -> None:
        begun = [await till.begin() for _ in range(12)]
        for payment in begun[::2]:
            till.paypal.approve(payment.provider_ref)
        await till.database.fetch("UPDATE orders SET pay_deadline = clock_timestamp() - interval '1 s'")
        await asyncio.gather(*(resolve_payments(till.settling, patience=NOW) for _ in range(4)))
        await till.rest()
        await till.check(*(payment.order_id for payment in begun))
        states = Counter([(await till.read(payment.payment_id)).state for payment in begun])
        assert states == {"captured": 6, "voided": 6}
        await assert_clean(till.database)

    async def test_several_refund_workers_refund_once(self, till: Till) -> None:
        payment = await till.bought()
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id))
        await asyncio.gather(*(tolerating(till.refund) for _ in range(6)))
        await till.rest()
        assert len(till.paypal.books(payment.order_id)["refunds"]) == 2
        await till.check(payment.order_id)

    async def test_paying_twice_at_once_starts_one_payment(self, till: Till) -> None:
        order_id, user_id = await till.hold()
        started = await asyncio.gather(*(tolerating(lambda: till.start(order_id, user_id)) for _ in range(8)))
        ids = {getattr(payment, "payment_id", None) for payment in started} - {None}
        assert len(ids) == 1
        assert len(till.paypal.books(order_id)["orders"]) == 1

    async def test_a_second_no_frees_the_seats(self, till: Till) -> None:
        order_id, user_id = await till.hold()
        for expected in ("held", "released"):
            payment = await till.start(order_id, user_id)
            till.paypal.approve(payment.provider_ref, decline=True)
            assert (await till.settle(payment.payment_id)).state is PaymentState.FAILED
            assert await till.order_state(order_id) == expected
        assert await till.payments_of(order_id) == [("failed", 1), ("failed", 2)]
        assert isinstance(await till.provider.capture(payment.provider_ref, payment_id=payment.payment_id), Declined)
        await assert_clean(till.database)

    async def test_turning_back_often_never_makes_the_hold_longer(self, till: Till) -> None:
        order_id, user_id = await till.hold()
        until = await till.database.fetchval("SELECT hold_expires_at FROM orders WHERE order_id = $1", order_id)
        for _ in range(4):
            payment = await till.start(order_id, user_id)
            await abandon(till.database, {"paypal": till.provider}, payment.payment_id, because=TURNED_BACK)
            assert await till.seat_states(order_id) == ["held", "held"]
        assert await till.database.fetchval("SELECT hold_expires_at FROM orders WHERE order_id = $1", order_id) == until
