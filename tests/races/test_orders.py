"""Pairs of changes to one order at once: exactly one wins, and money, seats, tickets and limits agree afterwards.

Opens with the control: cancelling without the order's lock and without counting refunds the same ticket twice.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from datetime import timedelta
from uuid import uuid4

import pytest
from tests.support.sales import EVENT, SIGNER, buy, hold, put_on_sale, run_out, start_payment

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import OrderId, PaymentId, SeatId, UserId
from boxoffice.runtime.database import Database, DatabaseBusyError
from boxoffice.services.sales.domain.refusals import HoldExpiredError, SeatsTakenError
from boxoffice.services.sales.store import orders, payments
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_order import confirm, confirm_free
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.release_order import end_declined, give_back_hold, release_voided

ROUNDS = 15
"""Enough for both orders of a pair to happen; which one wins is asserted per round."""

WON, LOST = "won", "lost"


async def outcome(act: Awaitable[object]) -> str:
    """Whether an attempt went through, or was refused."""
    try:
        await act
    except DatabaseBusyError:
        return "busy"
    except DomainError:
        return LOST
    return WON


async def pay(database: Database, order_id: OrderId, user_id: UserId) -> PaymentId:
    """P, as a payment starts; refused when the hold is gone."""
    payment_id = PaymentId(uuid4())
    async with database.transaction() as tx:
        order = await orders.lock_own(tx, order_id, user_id)
        assert order is not None
        if not await payments.begin(
            tx, order, payment_id=payment_id, provider="paypal", return_url="https://example.org",
            cancel_url="https://example.org", window=timedelta(minutes=10),
        ):  # fmt: skip
            raise HoldExpiredError("gone")
    return payment_id


async def cancel(database: Database, order_id: OrderId, user_id: UserId, chosen: list[int] | None = None) -> None:
    async with database.transaction() as tx:
        await cancel_order(tx, order_id=order_id, by=Canceller(user_id=user_id), chosen=chosen)


class TestControl:
    async def test_a_cancellation_without_lock_and_count_pays_back_twice(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, 1)
        order_id, _, payment_id = await buy(unguarded, seats)
        await unguarded.fetch("ALTER TABLE refunds DROP CONSTRAINT refunds_ticket_id_key")

        async def careless() -> None:
            ticket = await unguarded.fetchval(
                "SELECT ticket_id FROM tickets WHERE order_id = $1 AND state = 'valid'", order_id
            )
            if ticket is not None:
                await unguarded.fetch(
                    "INSERT INTO refunds (refund_id, payment_id, ticket_id, refund_minor, currency, state)"
                    " VALUES (gen_random_uuid(), $1, $2, 5000, 'USD', 'requested')",
                    payment_id,
                    ticket,
                )
                await unguarded.fetch(
                    "UPDATE tickets SET state = 'void', voided_at = clock_timestamp() WHERE ticket_id = $1", ticket
                )

        await asyncio.gather(*(careless() for _ in range(8)))
        assert await unguarded.fetchval("SELECT count(*) FROM refunds") > 1


class TestCancelAgainstCancel:
    async def test_one_wins_and_each_ticket_is_refunded_once(self, database: Database) -> None:
        seats = await put_on_sale(database, 3)
        order_id, user, _ = await buy(database, seats)
        results = await asyncio.gather(*(outcome(cancel(database, order_id, user)) for _ in range(8)))
        assert Counter(results)[WON] == 1
        assert await database.fetchval("SELECT count(*) FROM refunds") == 3
        assert await database.fetchval("SELECT refunded_minor FROM payments") == 15000

    async def test_different_tickets_are_all_cancelled(self, database: Database) -> None:
        seats = await put_on_sale(database, 6)
        order_id, user, _ = await buy(database, seats)
        results = await asyncio.gather(*(outcome(cancel(database, order_id, user, [seat])) for seat in seats))
        assert set(results) <= {WON, "busy"}
        assert await database.fetchval("SELECT count(*) FROM refunds") == Counter(results)[WON]


class TestTakeOverAgainstPay:
    async def test_an_expired_hold_goes_to_one_of_the_two(self, database: Database) -> None:
        winners: Counter[str] = Counter()
        seats = await put_on_sale(database, ROUNDS * 2)
        for number in range(ROUNDS):
            wanted = seats[number * 2 : number * 2 + 2]
            order_id, owner = await hold(database, wanted)
            if number % 3:
                await run_out(database, order_id)
            other = Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(wanted))
            paid, taken = await asyncio.gather(
                outcome(pay(database, order_id, owner)), outcome(place_hold(database, other))
            )
            assert [paid, taken].count(WON) == 1, (number, paid, taken)
            winners["owner" if paid == WON else "other"] += 1
        assert winners["owner"] >= ROUNDS // 3
        assert winners["other"] >= ROUNDS // 3

    async def test_a_seat_that_is_being_paid_for_cannot_be_taken_over_by_time(self, database: Database) -> None:
        seats = await put_on_sale(database, 2)
        order_id, owner = await hold(database, seats)
        await pay(database, order_id, owner)
        await database.fetch("UPDATE orders SET hold_expires_at = clock_timestamp() - interval '1 hour'")
        assert await expire_holds(database) == 0
        with pytest.raises(SeatsTakenError):
            await hold(database, seats)


class TestExpiryAgainstConfirm:
    async def test_a_free_hold_is_confirmed_or_expired_never_both(self, database: Database) -> None:
        seats = await put_on_sale(database, ROUNDS, price=0)
        ended: Counter[str] = Counter()
        for number in range(ROUNDS):
            order_id, owner = await hold(database, seats[number : number + 1])
            await database.fetch(
                "WITH o AS (UPDATE orders SET hold_expires_at = clock_timestamp() + $2 WHERE order_id = $1)"
                " UPDATE event_seats SET hold_expires_at = clock_timestamp() + $2 WHERE order_id = $1",
                order_id,
                timedelta(milliseconds=(number % 5) * 4 - 4),
            )
            confirmed, _ = await asyncio.gather(
                outcome(_confirm_free(database, order_id, owner)), expire_holds(database)
            )
            state = await database.fetchval("SELECT state FROM orders WHERE order_id = $1", order_id)
            assert (confirmed == WON) == (state == "confirmed"), (number, confirmed, state)
            ended[state] += 1
        assert ended["confirmed"]

    async def test_a_paid_order_is_confirmed_however_long_ago_its_hold_ran_out(self, database: Database) -> None:
        seats = await put_on_sale(database, 2)
        order_id, owner = await hold(database, seats)
        payment_id = await start_payment(database, order_id, "capturing")
        await database.fetch("UPDATE orders SET hold_expires_at = clock_timestamp() - interval '1 hour'")
        rival = Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats))
        done, swept, taken = await asyncio.gather(
            outcome(_confirm(database, order_id, payment_id)),
            expire_holds(database),
            outcome(place_hold(database, rival)),
        )
        assert (done, swept, taken) == (WON, 0, LOST)
        assert await database.fetchval("SELECT count(*) FROM tickets WHERE user_id = $1", owner) == 2


class TestConfirmAgainstConfirm:
    async def test_tickets_are_issued_once(self, database: Database) -> None:
        seats = await put_on_sale(database, 2)
        order_id, _ = await hold(database, seats)
        payment_id = await start_payment(database, order_id, "capturing")
        results = await asyncio.gather(*(outcome(_confirm(database, order_id, payment_id)) for _ in range(6)))
        assert set(results) <= {WON, "busy"}
        assert WON in results
        assert await database.fetchval("SELECT count(*) FROM tickets") == 2
        assert await database.fetchval("SELECT count(*) FROM outbox WHERE type = 'sales.order.confirmed'") == 1
        assert await database.fetchval("SELECT count(*) FROM ledger_entries") == 2


class TestConfirmAgainstRelease:
    async def test_the_payments_state_decides(self, database: Database) -> None:
        for number, state in enumerate(["capturing", "abandoning"] * 3):
            seats = await put_on_sale(database, 1, event_id=100 + number)
            order_id, _ = await hold(database, seats, event_id=seats[0] >> 20)  # type: ignore[arg-type]
            payment_id = await start_payment(database, order_id, state)
            results = await asyncio.gather(
                outcome(_confirm(database, order_id, payment_id)), outcome(_release(database, order_id, payment_id))
            )
            assert results == ([WON, LOST] if state == "capturing" else [LOST, WON])

    async def test_a_decline_returns_the_seats_to_their_hold_once(self, database: Database) -> None:
        seats = await put_on_sale(database, 1)
        order_id, owner = await hold(database, seats)
        payment_id = await start_payment(database, order_id, "capturing")
        await asyncio.gather(*(outcome(_decline(database, order_id, payment_id)) for _ in range(4)))
        assert await database.fetchval("SELECT state FROM orders") == "held"
        second = await start_payment(database, order_id, "capturing")
        await _decline(database, order_id, second)
        assert await database.fetchval("SELECT state FROM orders") == "released"
        assert await database.fetchval("SELECT n FROM customer_limits WHERE user_id = $1", owner) == 0


class TestGiveBackAgainstPay:
    async def test_one_of_the_two_happens(self, database: Database) -> None:
        seats = await put_on_sale(database, ROUNDS)
        for seat in seats:
            order_id, owner = await hold(database, [SeatId(seat)])
            results = await asyncio.gather(
                outcome(pay(database, order_id, owner)), outcome(_give_back(database, order_id, owner))
            )
            assert results.count(WON) == 1, results


async def _confirm(database: Database, order_id: OrderId, payment_id: PaymentId) -> None:
    async with database.transaction() as tx:
        await confirm(
            tx, order_id=order_id, payment_id=payment_id, capture_ref=f"capture of {payment_id}", signer=SIGNER
        )


async def _confirm_free(database: Database, order_id: OrderId, user_id: UserId) -> None:
    async with database.transaction() as tx:
        await confirm_free(tx, order_id=order_id, user_id=user_id, signer=SIGNER)


async def _release(database: Database, order_id: OrderId, payment_id: PaymentId) -> None:
    async with database.transaction() as tx:
        await release_voided(tx, order_id=order_id, payment_id=payment_id)


async def _decline(database: Database, order_id: OrderId, payment_id: PaymentId) -> None:
    async with database.transaction() as tx:
        await end_declined(tx, order_id=order_id, payment_id=payment_id, failure="DECLINED")


async def _give_back(database: Database, order_id: OrderId, user_id: UserId) -> None:
    async with database.transaction() as tx:
        await give_back_hold(tx, order_id=order_id, user_id=user_id)
