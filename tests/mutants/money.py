"""Mutants of the money: what keeps a buyer from paying twice, or for nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4, uuid5

from redis.asyncio import Redis
from tests.mutants.case import Case, Defect, Mutant, code, statement
from tests.mutants.oracles import breach, judge
from tests.mutants.pauses import Counting, Meeting
from tests.mutants.room import Room
from tests.mutants.surgery import swapped
from tests.support.payments import Held, Till, tolerating

from boxoffice.services.sales.domain.payment import Payment
from boxoffice.services.sales.providers.paypal import PayPal
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases import refund_payments, settle_payment
from boxoffice.services.sales.usecases.abandon_payment import TURNED_BACK, abandon
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.take_webhook import take_webhook


async def approved(till: Till, places: int = 2) -> Payment:
    payment = await till.begin(places)
    till.paypal.approve(payment.provider_ref)
    return payment


async def turn_back(till: Till, payment: Payment) -> bool:
    return await abandon(till.database, {"paypal": till.provider}, payment.payment_id, because=TURNED_BACK)


async def the_buyer_turns_back_during_the_capture(room: Room) -> None:
    """The provider has taken the money and its answer is on the way when the buyer gives up in another tab."""
    till = await room.till()
    payment = await approved(till)
    held = Held(till.provider)
    settling = asyncio.create_task(till.through(provider=held).settle(payment.payment_id))
    await held.answered.wait()
    if not await turn_back(till, payment):
        room.meet("the claim came first")
    held.let_go.set()
    await tolerating(lambda: settling)
    await till.rest(deadlines=False)
    await judge(room, payment.order_id)


async def the_buyer_turns_back_after_a_lost_answer(room: Room) -> None:
    till = await room.till()
    payment = await approved(till)
    till.paypal.fault("lose", "capture", times=1)
    await till.settle(payment.payment_id)
    if not await turn_back(till, payment):
        room.meet("a claimed payment is not abandoned")
    await till.rest(deadlines=False)
    await judge(room, payment.order_id)


async def two_settle_on_the_same_knowledge(room: Room) -> None:
    """Webhook and redirect both saw "approved"; the provider would take the money as often as it is asked."""
    till = await room.till()
    payment = await approved(till)
    till.paypal.fault("recapture", "capture")
    both = till.through(provider=Meeting(till.provider, 2))
    await asyncio.gather(*(tolerating(lambda: both.settle(payment.payment_id)) for _ in range(2)))
    till.paypal.behave()
    await till.rest(deadlines=False)
    room.meet("the second call had the first one's id")
    await judge(room, payment.order_id)


async def the_answer_is_lost_and_the_provider_forgets(room: Room) -> None:
    """Hours later the provider does not know the request's id any more, and would capture again."""
    till = await room.till()
    payment = await approved(till)
    till.paypal.fault("lose", "capture", times=1)
    await till.settle(payment.payment_id)
    till.paypal.forget_keys()
    till.paypal.fault("recapture", "capture")
    await till.settle(payment.payment_id)
    till.paypal.behave()
    await till.rest(deadlines=False)
    room.meet("the provider was asked how the order stands first")
    await judge(room, payment.order_id)


async def one_ticket_is_refunded(room: Room, *, forgetful: bool) -> None:
    """The answer to the refund of one ticket of two is lost; the worker tries again."""
    till = await room.till()
    payment = await till.bought(2)
    ticket = await till.database.fetchval("SELECT ticket_id FROM tickets WHERE order_id = $1 LIMIT 1", payment.order_id)
    async with till.database.transaction() as tx:
        await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id), chosen=[ticket])
    till.paypal.fault("lose", "refund", times=1)
    assert await till.refund() == 0
    if forgetful:
        till.paypal.forget_keys()
    await till.rest(deadlines=False)
    room.meet("looked first" if forgetful else "the second call had the first one's id")
    await judge(room, payment.order_id)


async def a_refund_is_tried_again(room: Room) -> None:
    await one_ticket_is_refunded(room, forgetful=False)


async def a_refund_is_tried_again_after_weeks(room: Room) -> None:
    await one_ticket_is_refunded(room, forgetful=True)


COPIES = 3


async def a_webhook_comes_again_after_a_flush(room: Room) -> None:
    """One event, delivered again and again, while Valkey is emptied in between: acted on once."""
    till = await room.till()
    payment = await approved(till)
    body = json.dumps(
        {"id": f"WH-{uuid4()}", "event_type": "CHECKOUT.ORDER.APPROVED", "resource": {"id": payment.provider_ref}}
    )
    counting = Counting(till.provider)
    settling = till.through(provider=counting).settling
    acted = 0
    async with Redis.from_url(room.redis_url) as redis:
        for _ in range(COPIES):
            headers = till.paypal.post("webhooks/sign", body=body)
            acted += await take_webhook(settling, "paypal", headers, body.encode()) is not None
            await redis.flushall()
    await judge(room, payment.order_id)
    if acted != 1:
        raise breach("effects", f"one webhook was acted on {acted} times")
    assert counting.asked == 1
    room.meet("the event was known")


def dedupe_in_redis_only() -> Defect:
    """What was seen is kept in Valkey and nowhere else."""

    @asynccontextmanager
    async def replaced(room: Room) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            redis = await stack.enter_async_context(Redis.from_url(room.redis_url))

            async def event_seen(_database: Any, provider: str, event_id: str) -> bool:
                return bool(await redis.exists(f"{provider}:{event_id}"))

            async def note_event(_tx: Any, provider: str, event_id: str, _payload: Any) -> None:
                await redis.set(f"{provider}:{event_id}", 1)

            stack.enter_context(swapped(payments, "event_seen", event_seen))
            stack.enter_context(swapped(payments, "note_event", note_event))
            yield

    async def operate(room: Room) -> AbstractAsyncContextManager[None]:
        return replaced(room)

    return Defect(operate)


CLAIM_FIRST = """\
    async with till.database.transaction() as tx:
        fence = await payments.claim(tx, payment.payment_id)
    if fence is None:
        return
    outcome = captured_or_not(order)
"""
NO_CLAIM_YET = """\
    outcome = captured_or_not(order)
"""
OUTCOME = "    match outcome:\n        case Captured():"
CLAIM_LAST = """\
    async with till.database.transaction() as tx:
        fence = await payments.claim(tx, payment.payment_id)
    if fence is None:
        return
"""

MUTANTS = [
    Mutant(
        number=7,
        name="capture_before_claim",
        breaks="the payment is claimed (C1) after the provider was asked to capture, not before",
        cases=[
            Case(
                name="turned back meanwhile",
                attack=the_buyer_turns_back_during_the_capture,
                breaks=[
                    code(settle_payment._capture, CLAIM_FIRST, NO_CLAIM_YET),
                    code(settle_payment._capture, OUTCOME, CLAIM_LAST + OUTCOME),
                ],
                seen_by="bank",
            )
        ],
    ),
    Mutant(
        number=8,
        name="deadline_ignores_capturing",
        breaks="giving a payment up (D) does not mind that it was claimed",
        cases=[
            Case(
                name="after a lost answer",
                attack=the_buyer_turns_back_after_a_lost_answer,
                breaks=[statement(payments, "ABANDON", "p.state = 'created'", "p.state IN ('created', 'capturing')")],
                seen_by="bank",
            )
        ],
    ),
    Mutant(
        number=9,
        name="capture_under_a_new_id",
        breaks="a capture that is repeated carries a new id. Two guards: the id, and looking before asking again; the"
        " provider's own rule of one capture an order, a third, is off in the simulator",
        cases=[
            Case(
                name="the id alone",
                attack=two_settle_on_the_same_knowledge,
                breaks=[code(PayPal.capture, 'key=f"{payment_id}:c"', 'key=f"{payment_id}:{time.monotonic_ns()}"')],
                seen_by="bank",
            ),
            Case(
                name="looking alone",
                attack=the_answer_is_lost_and_the_provider_forgets,
                breaks=[code(settle_payment._capture, "if order.capture is None:", "if order is not None:")],
                seen_by="bank",
            ),
        ],
    ),
    Mutant(
        number=10,
        name="refund_under_a_new_id",
        breaks="a refund that is repeated carries a new id. Two guards: the id, and looking before asking again",
        cases=[
            Case(
                name="the id alone",
                attack=a_refund_is_tried_again,
                without=[code(refund_payments._ask, "if refund.tries > 1:", "if refund.tries < 0:")],
                breaks=[
                    code(
                        refund_payments._ask, "refund_id=refund.refund_id, value",
                        "refund_id=new_id(refund.refund_id, str(refund.tries)), value", new_id=uuid5,
                    )
                ],
                seen_by="bank",
            ),
            Case(
                name="looking alone",
                attack=a_refund_is_tried_again_after_weeks,
                breaks=[code(refund_payments._ask, "if refund.tries > 1:", "if refund.tries < 0:")],
                seen_by="bank",
            ),
        ],
    ),
    Mutant(
        number=11,
        name="webhooks_remembered_in_redis_only",
        breaks="which webhooks were acted on is kept in Valkey instead of in the database; Valkey is flushed",
        cases=[
            Case(
                name="flushed",
                attack=a_webhook_comes_again_after_a_flush,
                breaks=[dedupe_in_redis_only()],
                seen_by="effects",
            )
        ],
    ),
]  # fmt: skip
