"""Our records against the provider's list, both ways; what can be put right is, everything is reported (I2, I22)."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.support.audit import assert_clean
from tests.support.payments import Till

from boxoffice.services.sales.domain.payment import PaymentState
from boxoffice.services.sales.jobs import reconcile_as_singleton
from boxoffice.services.sales.usecases.abandon_payment import TURNED_BACK, abandon
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.reconcile_payments import Difference, Kind, reconcile, unresolved


async def differences(till: Till) -> list[Difference]:
    """Reconcile all that this test's database can know; captures of other tests stand in the same account."""
    now = datetime.now(UTC)
    found = await reconcile(till.settling, till.provider, now - timedelta(hours=1), now + timedelta(minutes=1))
    return [difference for difference in found if difference.payment_id is not None]


class TestReconcile:
    async def test_finds_nothing_where_the_books_agree(self, till: Till) -> None:
        payment = await till.bought()
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id))
        await till.rest()
        await till.bought()
        assert await differences(till) == []

    async def test_confirms_a_capture_that_was_not_noted(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        till.paypal.fault("lose", "capture", times=1)
        await till.settle(payment.payment_id)
        (found,) = await differences(till)
        assert (found.kind, found.payment_id, found.resolved) == (Kind.CAPTURE_NOT_NOTED, payment.payment_id, True)
        assert await till.order_state(payment.order_id) == "confirmed"
        assert await differences(till) == []
        await till.check(payment.order_id)

    async def test_gives_late_money_back_once(self, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        await abandon(till.database, {"paypal": till.provider}, payment.payment_id, because=TURNED_BACK)
        assert payment.provider_ref is not None
        await till.provider.capture(payment.provider_ref, payment_id=payment.payment_id)  # nobody may do this
        (found,) = await differences(till)
        assert (found.kind, found.resolved) == (Kind.LATE_MONEY, True)
        till.paypal.forget_keys()
        assert await differences(till) == []
        assert till.paypal.books(payment.order_id)["refunded_minor"] == 10_000

    async def test_reports_a_capture_that_the_provider_does_not_have(self, till: Till) -> None:
        payment = await till.bought()
        await till.database.fetch("UPDATE payments SET capture_ref = 'INVENTED'")
        kinds = {difference.kind for difference in unresolved(await differences(till))}
        assert kinds == {Kind.CAPTURE_DIFFERS, Kind.CAPTURE_MISSING}
        assert (await till.read(payment.payment_id)).capture_ref == "INVENTED"

    async def test_reports_refunds_that_one_side_does_not_have(self, till: Till) -> None:
        payment = await till.bought()
        async with till.database.transaction() as tx:
            await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id))
        await till.rest()
        await till.database.fetch(
            "UPDATE refunds SET provider_ref = 'INVENTED' WHERE refund_id = (SELECT min(refund_id::text)::uuid FROM refunds)"
        )
        assert [difference.kind for difference in await differences(till)] == [Kind.REFUND_MISSING]
        await till.database.fetch("UPDATE refunds SET state = 'requested', done_at = NULL")
        kinds = [difference.kind for difference in await differences(till)]
        assert kinds == [Kind.REFUND_NOT_NOTED, Kind.REFUND_NOT_NOTED]

    async def test_reports_money_that_nobody_here_asked_for(self, till: Till) -> None:
        payment = await till.bought()
        await till.database.fetch(
            "UPDATE payments SET payment_id = $1 WHERE payment_id = $2", uuid4(), payment.payment_id
        )
        now = datetime.now(UTC)
        found = await reconcile(till.settling, till.provider, now - timedelta(hours=1), now + timedelta(minutes=1))
        assert Kind.CAPTURE_UNKNOWN in {difference.kind for difference in found}

    async def test_runs_in_one_process_at_a_time_and_survives_silence(self, till: Till) -> None:
        await till.bought()
        till.paypal.fault("refuse", "transactions")
        assert await reconcile_as_singleton(till.settling) == 0
        till.paypal.behave()
        assert await reconcile_as_singleton(till.settling) == 0
        await assert_clean(till.database)


class TestResolver:
    async def test_ends_what_was_abandoned_before_the_provider_told_of_it(self, till: Till) -> None:
        """The reply to the first call was lost, and whoever abandoned the payment died before the seats were free."""
        payment = await till.begin()
        await till.database.fetch(
            "UPDATE payments SET state = 'abandoning', failure = 'payment_expired', provider_ref = NULL, approval_url = NULL"
            " WHERE payment_id = $1", payment.payment_id,
        )  # fmt: skip
        assert await till.resolve() == 1
        assert (await till.read(payment.payment_id)).state is PaymentState.VOIDED
        assert await till.order_state(payment.order_id) == "released"
        assert await till.seat_states(payment.order_id) == ["free", "free"]
