"""All 64 ordered pairs of the sale's transactions, in every order of their steps, on real PostgreSQL.

R reserve, P start payment, C1 claim, C2 confirm, D abandon, F release, X cancel, and the sweeper: two sessions on the
same order and overlapping seats, stopped after their first lock, inside the database's functions and before their
commit. Whatever the order, the outcome is that of one after the other (or, for the two that never wait, of the other
alone), and the auditor finds nothing. Opens with the controls: guards left out, and what is seen then.
"""

import itertools

import pytest
from tests.support import pairs
from tests.support.pairs import AGAIN, HOME, TRANSACTIONS, Judge, note, states_of
from tests.support.stepping import controlling

from boxoffice.runtime.database import Database
from boxoffice.services.sales.store import orders, payments

PAIRS = list(itertools.product(HOME, HOME))


class TestControls:
    async def test_two_cancellations_without_the_orders_lock_are_seen(
        self, unguarded: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with controlling(unguarded) as controller:
            cancel = TRANSACTIONS["X"]
            judge = Judge(controller, cancel, cancel, "confirmed", itertools.count(1))
            allowed = await judge.allowed()
            monkeypatch.setattr(orders, "LOCK_VISIBLE", orders.SEEN)
            outcomes = [await judge.run(order) for order in pairs.merges(3, 3)]
        assert [outcome for outcome in outcomes if outcome not in allowed]

    async def test_an_abandonment_that_ignores_the_claim_is_seen(
        self, unguarded: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with controlling(unguarded) as controller:
            judge = Judge(controller, TRANSACTIONS["C1"], TRANSACTIONS["D"], "overdue", itertools.count(1))
            allowed = await judge.allowed()
            guard = "p.state = 'created'"
            assert guard in payments.ABANDON
            blind = payments.ABANDON.replace(guard, "p.state IN ('created', 'capturing')")
            monkeypatch.setattr(payments, "ABANDON", blind)
            outcomes = [await judge.run(order) for order in pairs.merges(3, 2)]
        assert [outcome for outcome in outcomes if outcome not in allowed]

    async def test_a_payment_that_starts_without_the_holds_seats_is_found_by_the_auditor(
        self, unguarded: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with controlling(unguarded) as controller:
            judge = Judge(controller, TRANSACTIONS["P"], TRANSACTIONS["R"], "expired", itertools.count(1))
            late, guard = (
                "o.hold_expires_at <= clock_timestamp() AS expired",
                " AND hold_expires_at > clock_timestamp()",
            )
            assert late in orders.LOCK_OWN
            assert guard in payments.PAY_ORDER
            monkeypatch.setattr(orders, "LOCK_OWN", orders.LOCK_OWN.replace(late, "false AS expired"))
            monkeypatch.setattr(payments, "PAY_ORDER", payments.PAY_ORDER.replace(guard, ""))
            monkeypatch.setattr(
                payments, "TAKE_SEATS", "SELECT cardinality($2::bigint[]) + 0 * $1::bigint WHERE $3::uuid IS NOT NULL"
            )
            with pytest.raises(AssertionError, match="has every one of its seats"):
                await judge.run((0,) * 8)


class TestPairs:
    @pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{first}-{second}" for first, second in PAIRS])
    async def test_whatever_the_order_of_steps_it_is_as_if_one_came_after_the_other(
        self, database: Database, first: str, second: str
    ) -> None:
        wrong: list[str] = []
        events = itertools.count(1)
        runs = stops = 0
        async with controlling(database) as controller:
            for state in states_of(first, second):
                judge = Judge(controller, TRANSACTIONS[first], TRANSACTIONS[second], state, events)
                wrong += await judge.violations()
                runs, stops = runs + judge.runs, stops + judge.stops
        note(first, second, interleavings=runs, stops=stops, violations=len(wrong))
        assert not wrong, "\n".join(wrong)

    async def test_one_customer_who_holds_twice_at_once_keeps_to_the_limit(self, database: Database) -> None:
        async with controlling(database) as controller:
            judge = Judge(controller, AGAIN, AGAIN, "free", itertools.count(1), places=4, limit=3)
            assert not await judge.violations()

    def test_there_are_sixty_four(self) -> None:
        assert len(set(PAIRS)) == 64
