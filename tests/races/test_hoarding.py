"""Squatters: whoever holds again and again runs out of budget, and nobody gets past the limit by asking often at once.

Opens with the controls: a limit that is counted before it is used lets a crowd through; holds without a budget keep
seats from everybody for as long as somebody cares to renew them.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from tests.support.audit import assert_clean
from tests.support.sales import EVENT, pass_time, put_on_sale

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import OrderId, PaymentId, SeatId, UserId
from boxoffice.runtime.database import Database, DatabaseBusyError, DatabaseUnavailableError
from boxoffice.services.sales.domain.order import RETRY_AFTER_DECLINE
from boxoffice.services.sales.domain.refusals import HoldBudgetSpentError, LimitReachedError
from boxoffice.services.sales.store import orders, payments
from boxoffice.services.sales.usecases.extend_hold import extend_hold
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.release_order import end_declined, give_back_hold, release_voided

LIMIT, HOLD_S = 8, 1_200
FULL_HOLDS = 3
BUDGET_S = LIMIT * HOLD_S * FULL_HOLDS
REQUESTS = 1_000
SALE_S = 30 * 24 * 3_600
PATIENCE = 60
Record = Callable[[str, object], None]
"""pytest's ``record_property``: the evidence reads the figures."""

HELD_S = """
SELECT coalesce(sum(CASE WHEN state = 'paying' THEN $1 ELSE
  least($1, greatest(0, extract(epoch FROM hold_expires_at - clock_timestamp()))) END), 0)::float
FROM event_seats WHERE state IN ('held', 'paying')
"""


async def wait(database: Database, seconds: float) -> float:
    """Let time pass; returns the seat-seconds for which seats were kept from others meanwhile."""
    kept: float = await database.fetchval(HELD_S, float(seconds))
    await pass_time(database, seconds)
    return kept


async def patiently(desk: HoldDesk | None, database: Database, wish: Wish) -> str:
    for _ in range(PATIENCE):
        try:
            await (place_hold(database, wish) if desk is None else desk.place(wish))
        except (DatabaseBusyError, DatabaseUnavailableError):
            await asyncio.sleep(0.02)
        except DomainError as refusal:
            return refusal.code
        else:
            return "held"
    raise AssertionError("the database stayed busy")


class TestControl:
    async def test_a_limit_counted_before_it_is_used_lets_a_crowd_through(self, unguarded: Database) -> None:
        await put_on_sale(unguarded, 100)
        await unguarded.fetch("CREATE TABLE careless (user_id uuid)")
        user = uuid4()

        async def careless() -> None:
            if await unguarded.fetchval("SELECT count(*) FROM careless WHERE user_id = $1", user) < LIMIT:
                await unguarded.fetch("INSERT INTO careless VALUES ($1)", user)

        await asyncio.gather(*(careless() for _ in range(100)))
        assert await unguarded.fetchval("SELECT count(*) FROM careless") > LIMIT

    async def test_without_a_budget_a_hoarder_keeps_seats_as_long_as_they_like(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, LIMIT)
        hoarder, kept = UserId(uuid4()), 0.0
        for _ in range(FULL_HOLDS + 5):
            await place_hold(unguarded, Wish(user_id=hoarder, event_id=EVENT, seat_ids=tuple(seats)))
            kept += await wait(unguarded, HOLD_S)
            await unguarded.fetch("UPDATE customer_limits SET spent_seconds = 0")
        assert kept > BUDGET_S


class TestAThousandAtOnce:
    @pytest.mark.parametrize("gathered", [True, False], ids=["gathered", "one by one"])
    async def test_of_one_customer_never_pass_the_limit(
        self,
        database: Database,
        gathered: bool,  # noqa: FBT001 - a parameter
        record_property: Record,
    ) -> None:
        seats = await put_on_sale(database, REQUESTS)
        user = UserId(uuid4())
        wishes = [Wish(user_id=user, event_id=EVENT, seat_ids=(seat,)) for seat in seats]
        async with HoldDesk.open(database) as desk:
            outcomes = Counter(
                await asyncio.gather(*(patiently(desk if gathered else None, database, wish) for wish in wishes))
            )
        how = "gathered" if gathered else "one by one"
        record_property(f"of {REQUESTS} requests at once by one customer, {how}, were held", outcomes["held"])
        record_property(f"and were refused by the limit of {LIMIT}, {how}", outcomes[LimitReachedError.code])
        assert outcomes == {"held": LIMIT, LimitReachedError.code: REQUESTS - LIMIT}
        assert await database.fetchval("SELECT count(*) FROM event_seats WHERE state = 'held'") == LIMIT
        assert await database.fetchval("SELECT n FROM customer_limits WHERE user_id = $1", user) == LIMIT


class TestHoarder:
    async def test_who_lets_holds_run_out_and_holds_again_is_stopped_after_three(
        self, database: Database, record_property: Record
    ) -> None:
        seats = await put_on_sale(database, LIMIT)
        hoarder, kept, refusals = UserId(uuid4()), 0.0, 0
        for _ in range(20):
            try:
                await place_hold(database, Wish(user_id=hoarder, event_id=EVENT, seat_ids=tuple(seats)))
            except HoldBudgetSpentError as refusal:
                refusals += refusal.context["seatMinutes"] == BUDGET_S // 60
            kept += await wait(database, HOLD_S)
        record_property("seat-minutes that a squatter kept in the time of 20 holds", round(kept / 60))
        record_property("seat-minutes without a budget", LIMIT * 20 * HOLD_S // 60)
        record_property("seat-minutes of the budget", BUDGET_S // 60)
        assert refusals == 20 - FULL_HOLDS
        assert BUDGET_S - 60 * LIMIT <= kept <= BUDGET_S
        assert kept / (LIMIT * 20 * HOLD_S) <= FULL_HOLDS / 20

    @pytest.mark.parametrize("seed", range(4))
    async def test_whatever_they_try_stays_within_the_budget(
        self, database: Database, seed: int, record_property: Record
    ) -> None:
        """Holding, giving back, waiting, extending, paying and being declined, in any order; never buying."""
        chance = random.Random(seed)
        seats = await put_on_sale(database, 2 * LIMIT)
        hoarder, kept, open_orders = UserId(uuid4()), 0.0, []
        for _ in range(120):
            move = chance.choice(["hold", "hold", "give back", "wait", "wait", "extend", "decline", "turn back"])
            if move == "hold":
                wanted = tuple(sorted(chance.sample(seats, chance.randint(1, LIMIT))))
                open_orders += await _hold(database, hoarder, wanted)
            elif move == "wait":
                kept += await wait(database, chance.choice([1, 30, 299, 600, HOLD_S]))
            elif open_orders:
                await _try(_moves(database, chance.choice(open_orders), hoarder, move))
        kept += await wait(database, SALE_S)
        record_property(f"seat-minutes of a squatter who tries everything (seed {seed})", round(kept / 60))
        assert kept <= BUDGET_S + LIMIT * RETRY_AFTER_DECLINE.total_seconds(), (
            "and a decline's minutes on the last ones"
        )
        await assert_clean(database)


async def _try(act: Awaitable[object]) -> None:
    try:
        await act
    except DomainError:
        return


async def _hold(database: Database, user: UserId, seats: tuple[SeatId, ...]) -> list[OrderId]:
    await _try(place_hold(database, Wish(user_id=user, event_id=EVENT, seat_ids=seats)))
    found = await database.fetch("SELECT order_id FROM orders WHERE state = 'held' ORDER BY created_at DESC LIMIT 1")
    return [OrderId(record["order_id"]) for record in found]


async def _moves(database: Database, order_id: OrderId, user: UserId, move: str) -> None:
    async with database.transaction() as tx:
        if move == "give back":
            await give_back_hold(tx, order_id=order_id, user_id=user)
            return
        if move == "extend":
            await extend_hold(tx, order_id=order_id, user_id=user)
            return
        order = await orders.lock_own(tx, order_id, user)
        payment = PaymentId(uuid4())
        if order is None or order.state != "held" or not await payments.begin(
            tx, order, payment_id=payment, provider="paypal", return_url="https://example.org",
            cancel_url="https://example.org", window=timedelta(minutes=10),
        ):  # fmt: skip
            return
        if move == "decline":
            await payments.claim(tx, payment)
            await end_declined(tx, order_id=order_id, payment_id=payment, failure="DECLINED")
        else:
            await payments.abandon(tx, payment, because="payment_abandoned")
            await release_voided(tx, order_id=order_id, payment_id=payment)
