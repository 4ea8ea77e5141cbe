"""Changing ticket types against paying: what is captured is the order's total, whichever comes first.

Opens with the control: a choice that prices an order as it was when it looked, without asking whether it is still held,
leaves a payment that asks for another sum than the order comes to.
"""

import asyncio
from collections import Counter
from contextlib import suppress

from tests.support.audit import assert_clean
from tests.support.payments import PUBLIC_URL, WINDOW, Till, paypal, simulator, till  # noqa: F401 - fixtures
from tests.support.sales import TYPES, choose, sell_as

from boxoffice.kernel.ids import OrderId, PaymentId, SeatId, UserId
from boxoffice.runtime.idempotency import Answer
from boxoffice.services.sales.domain.payment import Payment, PaymentState
from boxoffice.services.sales.domain.refusals import WrongOrderStateError
from boxoffice.services.sales.usecases.gather_payments import BeginDesk
from boxoffice.services.sales.usecases.start_payment import Wish, start_payment

ROUNDS = 16
CARELESS = "UPDATE orders SET ticket_types = '{Child}', price_minors = '{2000}', total_minor = 2000 WHERE order_id = $1"
SUMS = """
SELECT o.total_minor, p.total_minor AS asked, p.captured_minor,
       (SELECT sum(k.price_minor) FROM tickets k WHERE k.order_id = o.order_id) AS tickets
FROM orders o JOIN payments p USING (order_id) WHERE o.order_id = $1
"""


async def pay(till: Till, order: OrderId, owner: UserId, *, quickly: bool) -> Payment:  # noqa: F811 - the fixture
    started: list[Payment] = []

    def render(payment: Payment) -> Answer:
        started.append(payment)
        return Answer(status=201, body=b"{}")

    back = f"{PUBLIC_URL}/back"
    wish = Wish(order_id=order, user_id=owner, provider="paypal", return_url=back, cancel_url=back)
    async with BeginDesk.open(till.database) as desk:
        await start_payment(
            till.database, {"paypal": till.provider}, wish, public_url=PUBLIC_URL, window=WINDOW, call=None,
            render=render, desk=desk if quickly else None,
        )  # fmt: skip
    return started[0]


async def settled(till: Till, payment: PaymentId, provider_ref: str | None) -> None:  # noqa: F811
    till.paypal.approve(provider_ref)
    assert (await till.settle(payment)).state is PaymentState.CAPTURED


class TestControl:
    async def test_without_the_guard_the_payment_asks_for_another_sum(self, till: Till) -> None:  # noqa: F811
        await sell_as(till.database, TYPES)
        order, owner = await till.hold(1)
        looked, paid = asyncio.Event(), asyncio.Event()

        async def careless() -> None:
            assert await till.order_state(order) == "held"
            looked.set()
            await paid.wait()
            await till.database.fetch(CARELESS, order)

        async def payer() -> None:
            await looked.wait()
            await pay(till, order, owner, quickly=True)
            paid.set()

        await asyncio.gather(careless(), payer())
        sums = await till.database.fetchrow(SUMS, order)
        assert sums is not None
        assert (sums["total_minor"], sums["asked"]) == (2000, 5000)


class TestChoosingAgainstPaying:
    async def test_captures_the_total_whichever_comes_first(self, till: Till) -> None:  # noqa: F811
        await sell_as(till.database, TYPES)
        ends: Counter[int] = Counter()
        for number in range(ROUNDS):
            order, owner = await till.hold(2)
            seat = await till.database.fetchval("SELECT seat_ids[1] FROM orders WHERE order_id = $1", order)

            async def chooses(
                order: OrderId = order, owner: UserId = owner, seat: SeatId = seat, number: int = number
            ) -> None:
                if number % 4 > 1:
                    await till.database.fetchval("SELECT 1")
                with suppress(WrongOrderStateError):
                    await choose(till.database, order, owner, {seat: "Child"})

            payment, _ = await asyncio.gather(pay(till, order, owner, quickly=number % 2 == 0), chooses())
            await settled(till, payment.payment_id, payment.provider_ref)
            sums = await till.database.fetchrow(SUMS, order)
            assert sums is not None
            assert len(set(sums.values())) == 1, dict(sums)
            assert sums["captured_minor"] in {7000, 10_000}
            ends[sums["captured_minor"]] += 1
            await till.check(order)
        assert ends.total() == ROUNDS
        await assert_clean(till.database)

    async def test_a_payment_waits_for_a_choice_that_is_being_made(self, till: Till) -> None:  # noqa: F811
        await sell_as(till.database, TYPES)
        for quickly in (True, False):
            order, owner = await till.hold(1)
            async with till.database.transaction() as tx:
                await tx.execute("SELECT 1 FROM orders WHERE order_id = $1 FOR UPDATE", order)
                paying = asyncio.create_task(pay(till, order, owner, quickly=quickly))
                await asyncio.wait({paying}, timeout=0.2)
                assert not paying.done()
                await tx.execute(CARELESS, order)
            payment = await paying
            assert payment.total.minor == 2000
            await settled(till, payment.payment_id, payment.provider_ref)
            assert till.paypal.books(order)["captured_minor"] == 2000
        await assert_clean(till.database)

    async def test_two_choices_at_once_are_one_after_the_other(self, till: Till) -> None:  # noqa: F811
        await sell_as(till.database, TYPES)
        order, owner = await till.hold(2)
        first, second = await till.database.fetchval("SELECT seat_ids FROM orders WHERE order_id = $1", order)
        await asyncio.gather(
            *(
                choose(till.database, order, owner, {seat: kind})
                for seat in (first, second)
                for kind in ("Child", "Infant")
            )
        )
        record = await till.database.fetchrow("SELECT price_minors, total_minor FROM orders WHERE order_id = $1", order)
        assert record is not None
        assert sum(record["price_minors"]) == record["total_minor"]
        await assert_clean(till.database)
