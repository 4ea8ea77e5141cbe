"""After a restore: what the provider has and our records lack is made again, or its money goes back (I2, I22).

The loss is made by hand here, record by record; ``tests/machine`` restores real backups.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.support.audit import assert_clean
from tests.support.payments import Till
from tests.support.sales import EVENT, TYPES, choose, hold, hold_places, put_areas_on_sale, sell_as

from boxoffice.kernel.ids import OrderId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.payment import Payment, ProviderSilentError
from boxoffice.services.sales.providers import Item, Movement, NewPayment
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.recover_sales import Fate, Recovered, Recovery, recover

FORGET_PAYMENTS = (
    "DELETE FROM refunds WHERE payment_id IN (SELECT payment_id FROM payments WHERE order_id = $1)",
    "DELETE FROM ledger_entries WHERE order_id = $1",
    "DELETE FROM tickets WHERE order_id = $1",
    "DELETE FROM payments WHERE order_id = $1",
)
FORGET_ORDER = (
    "SELECT return_places(seat_ids) FROM orders WHERE order_id = $1 AND places_among(seat_ids) > 0",
    "DELETE FROM customer_limits l USING orders o WHERE o.order_id = $1 AND l.user_id = o.user_id",
    "UPDATE event_seats SET state = 'free', order_id = NULL, hold_expires_at = NULL WHERE order_id = $1",
    "DELETE FROM outbox WHERE key = $1::uuid::text",
    "DELETE FROM orders WHERE order_id = $1",
)
HOLD_LONG_AGO = (
    (
        "UPDATE orders SET state = 'held', pay_deadline = NULL, confirmed_at = NULL, hold_started_at = now() - interval '30 min',"
        " hold_expires_at = now() - interval '20 min' WHERE order_id = $1"
    ),
    "UPDATE event_seats SET state = 'held', hold_expires_at = now() - interval '20 min' WHERE order_id = $1",
    (
        "UPDATE customer_limits l SET held = l.n, spent_seconds = o.n_seats * 600 FROM orders o"
        " WHERE o.order_id = $1 AND l.user_id = o.user_id"
    ),
)


class Own:
    """The provider, listing only what moved for some orders: captures of other tests stand in the same account."""

    def __init__(self, provider: Any, *order_ids: OrderId) -> None:
        self._provider = provider
        self._own = {str(order_id) for order_id in order_ids}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def movements(self, begin: datetime, end: datetime) -> list[Movement]:
        listed = await self._provider.movements(begin, end)
        captures = {movement.provider_ref for movement in listed if movement.reference in self._own}
        return [movement for movement in listed if captures & {movement.provider_ref, movement.of_ref}]


async def forget(till: Till, order_id: OrderId, *statements: str) -> None:
    for statement in statements or (*FORGET_PAYMENTS, *FORGET_ORDER):
        await till.database.fetch(statement, order_id)


async def recovered(till: Till, *order_ids: OrderId, accounts: bool = True) -> list[Recovered]:
    async def has_account(_user: UserId) -> bool:
        return accounts

    now = datetime.now(UTC)
    provider = Own(till.provider, *order_ids)
    recovery = Recovery(till=till.settling, provider=provider, has_account=has_account)
    return await recover(recovery, now - timedelta(hours=1), now + timedelta(minutes=1))


async def only(till: Till, payment: Payment) -> Recovered:
    """Recover one order; a second run must find nothing to do."""
    (found,) = await recovered(till, payment.order_id)
    assert await recovered(till, payment.order_id) == []
    return found


async def live(till: Till, payment: Payment) -> int:
    found = await till.database.fetchval(
        "SELECT count(*) FROM tickets WHERE order_id = $1 AND state = 'valid'", payment.order_id
    )
    return int(found)


class TestRecover:
    async def test_finds_nothing_where_nothing_is_lost(self, till: Till) -> None:
        payment = await till.bought()
        assert await recovered(till, payment.order_id) == []

    async def test_makes_a_lost_order_again_under_its_own_ids(self, till: Till) -> None:
        payment = await till.bought(3)
        await forget(till, payment.order_id)
        assert (await only(till, payment)).fate is Fate.MADE_AGAIN
        again = await till.read(payment.payment_id)
        assert (again.order_id, again.user_id, again.total) == (payment.order_id, payment.user_id, payment.total)
        assert await live(till, payment) == 3
        await till.check(payment.order_id)
        await assert_clean(till.database)

    async def test_gives_each_place_the_ticket_type_that_was_paid(self, till: Till) -> None:
        await sell_as(till.database, TYPES)
        order_id, buyer = await till.hold(2)
        await choose(till.database, order_id, buyer, {till.seats[1]: "Child"})
        payment = await till.start(order_id, buyer)
        till.paypal.approve(payment.provider_ref)
        await till.settle(payment.payment_id)
        await forget(till, order_id)
        assert (await only(till, payment)).fate is Fate.MADE_AGAIN
        sold = await till.database.fetch(
            "SELECT seat_id, price_minor, ticket_type FROM tickets WHERE order_id = $1 ORDER BY seat_id", order_id
        )
        assert [(r["price_minor"], r["ticket_type"]) for r in sold] == [(5000, "Adult"), (2000, "Child")]
        await assert_clean(till.database)

    async def test_makes_places_without_seats_again(self, till: Till) -> None:
        await put_areas_on_sale(till.database, {"Floor": 10}, event_id=8)
        payment = await till.start(*await hold_places(till.database, 3, area="Floor", event_id=8))
        till.paypal.approve(payment.provider_ref)
        await till.settle(payment.payment_id)
        await forget(till, payment.order_id)
        assert (await only(till, payment)).fate is Fate.MADE_AGAIN
        assert await live(till, payment) == 3
        await assert_clean(till.database)

    async def test_goes_on_with_an_order_that_was_held_and_ran_out_since(self, till: Till) -> None:
        payment = await till.bought()
        await forget(till, payment.order_id, *FORGET_PAYMENTS, *HOLD_LONG_AGO)
        assert (await only(till, payment)).fate is Fate.MADE_AGAIN
        assert await till.order_state(payment.order_id) == "confirmed"
        await till.check(payment.order_id)
        await assert_clean(till.database)

    async def test_confirms_a_payment_whose_beginning_was_not_noted(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        assert payment.provider_ref is not None
        await till.provider.capture(payment.provider_ref, payment_id=payment.payment_id)
        await till.database.fetch(
            "UPDATE payments SET provider_ref = NULL, approval_url = NULL WHERE payment_id = $1", payment.payment_id
        )
        assert (await only(till, payment)).fate is Fate.CONFIRMED
        await till.check(payment.order_id)
        await assert_clean(till.database)

    async def test_ends_the_attempt_that_was_open_when_a_later_one_took_the_money(self, till: Till) -> None:
        first = await till.begin()
        till.paypal.approve(first.provider_ref, decline=True)
        await till.settle(first.payment_id)
        second = await till.start(first.order_id, first.user_id)
        till.paypal.approve(second.provider_ref)
        await till.settle(second.payment_id)
        await forget(
            till, first.order_id, "DELETE FROM ledger_entries WHERE order_id = $1",
            "DELETE FROM tickets WHERE order_id = $1", "DELETE FROM payments WHERE order_id = $1 AND attempt = 2",
            "UPDATE payments SET state = 'created', failure = NULL WHERE order_id = $1",
            "UPDATE orders SET state = 'paying', confirmed_at = NULL, pay_deadline = now() + interval '5 min'"
            " WHERE order_id = $1",
            "UPDATE event_seats SET state = 'paying', hold_expires_at = NULL WHERE order_id = $1",
            "UPDATE customer_limits l SET held = l.n, spent_seconds = 100000 FROM orders o"
            " WHERE o.order_id = $1 AND l.user_id = o.user_id",
        )  # fmt: skip
        assert (await only(till, second)).fate is Fate.MADE_AGAIN
        assert await till.payments_of(first.order_id) == [("voided", 1), ("captured", 2)]
        await till.check(first.order_id)

    async def test_gives_the_money_back_once_when_somebody_else_has_a_seat(self, till: Till) -> None:
        payment = await till.bought()
        await forget(till, payment.order_id)
        await hold(till.database, [till.seats[1]], event_id=EVENT)
        assert (await only(till, payment)).fate is Fate.RETURNED
        till.paypal.forget_keys()
        assert await recovered(till, payment.order_id) == []
        books = till.paypal.books(payment.order_id)
        assert (books["captured_minor"], books["refunded_minor"]) == (10_000, 10_000)
        await assert_clean(till.database)

    async def test_gives_the_money_back_when_nobody_could_find_the_tickets(self, till: Till) -> None:
        payment = await till.bought()
        await forget(till, payment.order_id)
        (found,) = await recovered(till, payment.order_id, accounts=False)
        assert (found.fate, found.why) == (Fate.RETURNED, "the buyer's account is lost")
        assert till.paypal.books(payment.order_id)["refunded_minor"] == 10_000

    async def test_voids_the_ticket_of_a_lost_refund_and_no_other(self, till: Till) -> None:
        payment = await till.bought(2)
        async with till.database.transaction() as tx:
            await cancel_order(
                tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id), chosen=[till.seats[1]]
            )
        await till.rest()
        await forget(till, payment.order_id)
        found = await recovered(till, payment.order_id)
        assert [one.fate for one in found] == [Fate.MADE_AGAIN, Fate.CANCELLED]
        assert await recovered(till, payment.order_id) == []
        left = await till.database.fetch(
            "SELECT seat_id FROM tickets WHERE order_id = $1 AND state = 'valid'", payment.order_id
        )
        assert [record["seat_id"] for record in left] == [till.seats[0]]
        await till.check(payment.order_id)
        await assert_clean(till.database)

    async def test_sells_a_seat_to_who_had_it_last(self, till: Till) -> None:
        """Bought, given back, bought by another: the seat is whose money the provider keeps."""
        first = await till.bought(1)
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=first.order_id, by=Canceller(user_id=first.user_id))
        await till.rest()
        second = await till.start(*await hold(till.database, [till.seats[0]]))
        till.paypal.approve(second.provider_ref)
        await till.settle(second.payment_id)
        await forget(till, second.order_id)
        await forget(till, first.order_id)
        found = await recovered(till, first.order_id, second.order_id)
        assert [(one.fate, one.order_id) for one in found] == [(Fate.MADE_AGAIN, second.order_id)]
        await till.check(second.order_id)
        await assert_clean(till.database)

    async def test_leaves_what_is_no_payment_of_this_shop(self, till: Till) -> None:
        price, order_id, payment_id = Money(300, "USD"), OrderId(uuid4()), PaymentId(uuid4())
        begun = await till.provider.create(
            NewPayment(
                payment_id=payment_id, order_id=order_id, total=price, description="A kiosk",
                items=[Item(name="Coffee", price=price)],
            )
        )  # fmt: skip
        till.paypal.approve(begun.provider_ref)
        await till.provider.capture(begun.provider_ref, payment_id=payment_id)
        (found,) = await recovered(till, order_id)
        assert (found.fate, found.why) == (Fate.LEFT, "not a payment of this shop")
        assert till.paypal.books(order_id)["refunded_minor"] == 0

    @pytest.mark.parametrize("call", ["transactions", "get_order"])
    async def test_decides_nothing_while_the_provider_is_silent(self, till: Till, call: str) -> None:
        payment = await till.bought()
        await forget(till, payment.order_id)
        till.paypal.fault("refuse", call)
        with pytest.raises(ProviderSilentError):
            await recovered(till, payment.order_id)
        till.paypal.behave()
        assert (await only(till, payment)).fate is Fate.MADE_AGAIN
