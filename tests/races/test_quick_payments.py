"""The usual payment in few statements, twice at once or against a hold: one payment, one set of tickets, nobody's seat.

Opens with the controls: the same scenes in a database whose ``begin_payments`` or ``confirm_orders`` lacks its guards. A
third session has a record that both need until both wait, so that it is a race every time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from tests.mutants.surgery import rewritten
from tests.support.sales import EVENT, SIGNER, hold, put_on_sale, run_out, start_payment

from boxoffice.kernel.ids import OrderId, PaymentId, SeatId, TicketId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Database
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.ticket import Ticket, TicketState
from boxoffice.services.sales.store import quick_payments
from boxoffice.services.sales.store.quick_payments import Beginning, Claimed, Confirming
from boxoffice.services.sales.usecases.audit import audit

SHOP = "https://shop.example.org"
WINDOW = timedelta(minutes=10)
PATIENCE_S = 10.0
POLL_S = 0.005
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
NO_TIMEOUTS = "SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)"

BEGIN_GUARDS = [
    ("begin_payments", "ORDER BY o.order_id FOR UPDATE OF o SKIP LOCKED", "ORDER BY o.order_id"),
    ("begin_payments", "s.order_id = o.order_id AND s.state = 'held' AND s.hold_expires_at > clock_timestamp()\n", "true "),
    ("begin_payments", "AND o.state = 'held' AND o.hold_expires_at > clock_timestamp() ", ""),
    ("begin_payments", "AND s.order_id = k.order_id AND s.state = 'held'", ""),
]  # fmt: skip
"""What keeps a second beginning, and one without the seats, out: the order's lock and the compare-and-sets."""
ONE_LIVE_PAYMENT = """
DROP INDEX payment_one_live; ALTER TABLE payments DROP CONSTRAINT payments_order_id_attempt_key;
"""
CONFIRM_GUARDS = [
    ("confirm_orders", "ORDER BY o.order_id FOR UPDATE OF o", "ORDER BY o.order_id"),
    ("confirm_orders", "ORDER BY p.payment_id FOR UPDATE OF p", "ORDER BY p.payment_id"),
    ("confirm_orders", "ORDER BY s.event_id, s.seat_id FOR UPDATE OF s", "ORDER BY s.event_id, s.seat_id"),
    ("confirm_orders", "AND s.order_id = k.order_id AND s.state = 'paying'", ""),
]  # fmt: skip
"""What keeps a second confirmation out: the locks under which order, payment and seats are looked at, and the seats'
compare-and-set."""
ONE_OF_EACH = """
DROP INDEX ticket_one_live; ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_posting_id_account_key;
ALTER TABLE outbox DROP CONSTRAINT outbox_topic_key_version_type_key;
ALTER TABLE customer_limits DROP CONSTRAINT customer_held;
"""


@dataclass
class Held:
    """An order of two seats."""

    database: Database
    seats: list[SeatId]
    order_id: OrderId
    user_id: UserId


async def an_order(database: Database, *, over: bool = False) -> Held:
    seats = await put_on_sale(database, 2)
    order_id, user_id = await hold(database, seats)
    if over:
        await run_out(database, order_id)
    return Held(database, seats, order_id, user_id)


async def without(database: Database, guards: list[tuple[str, str, str]], schema: str = "") -> None:
    """Leave guards out."""
    for name, before, after in guards:
        async with rewritten(database, name, before, after):
            pass
    if schema:
        async with database.connection() as connection:
            await connection.execute(schema)


async def begin(held: Held) -> bool:
    async with held.database.transaction() as tx:
        await tx.fetch(NO_TIMEOUTS)
        beginning = Beginning(
            order_id=held.order_id, user_id=held.user_id, payment_id=PaymentId(uuid4()), provider="paypal",
            return_url=f"{SHOP}/back", cancel_url=f"{SHOP}/no", call=None,
        )  # fmt: skip
        return bool(await quick_payments.begin(tx, [beginning], window=WINDOW))


async def confirm(held: Held, claimed: Claimed, payment_id: PaymentId) -> bool:
    """C2 with tickets of its own, as another process would bring them."""
    order = claimed.order
    tickets = [
        Ticket(
            ticket_id=TicketId(uuid4()), event_id=order.event_id, seat_id=place["seat_id"], order_id=order.order_id,
            user_id=order.user_id, state=TicketState.VALID, price=Money(place["price_minor"], place["currency"]),
            issued_at=claimed.claimed_at, section=place["section"], row=place["row_label"], number=place["number"],
            price_level=place["price_level"], mark=None, notice=None,
        )
        for place in claimed.places
    ]  # fmt: skip
    one = Confirming(
        claimed=claimed, payment_id=payment_id, capture_ref="C", tickets=tickets, message_id=uuid7(), body="{}",
        trace=None,
    )  # fmt: skip
    async with held.database.transaction() as tx:
        await tx.fetch(NO_TIMEOUTS)
        return bool(await quick_payments.confirm(tx, [one], key_id=SIGNER.signing_key_id.hex()))


async def at_once(database: Database, locking: str, about: object, *acts: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Run acts that all wait until a third session gives back what it has locked."""
    async with database.transaction() as third:
        await third.fetch(locking, about)
        running = [asyncio.ensure_future(act()) for act in acts]
        await until_blocked(database, *running)
    return await asyncio.gather(*running, return_exceptions=True)


async def until_blocked(database: Database, *running: "asyncio.Future[Any]") -> None:
    """Wait until each of them waits for a lock, or ended without one."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while await database.fetchval(WAITING) < sum(not one.done() for one in running):
        assert asyncio.get_running_loop().time() < deadline, "they never wait"
        await asyncio.sleep(POLL_S)


SEATS_OF = "SELECT 1 FROM event_seats WHERE order_id = $1 FOR UPDATE"
PAYMENT = "SELECT 1 FROM payments WHERE payment_id = $1 FOR UPDATE"


async def begin_twice(held: Held) -> list[Any]:
    return await at_once(held.database, SEATS_OF, held.order_id, lambda: begin(held), lambda: begin(held))


async def begin_when_the_seats_go_to_another(held: Held) -> tuple[bool, Any]:
    """The hold runs out just when its payment begins, and somebody takes the seats over while that one waits."""
    async with held.database.transaction() as rival:
        await place_within(rival, held)
        beginning = asyncio.ensure_future(begin(held))
        await until_blocked(held.database, beginning)
    return await beginning, await held.database.fetchval("SELECT count(DISTINCT order_id) FROM event_seats")


async def place_within(rival: Any, held: Held) -> None:
    """Take the seats of a hold that ran out, in a transaction that is still open."""
    await rival.fetch(
        "SELECT place_hold($1, $2, $3, NULL, NULL, false, $4, NULL, NULL, NULL, NULL, $5, NULL)",
        uuid4(), EVENT, held.seats, uuid7(), uuid7(),
    )  # fmt: skip


async def confirm_twice(held: Held) -> list[Any]:
    payment_id = await start_payment(held.database, held.order_id)
    async with held.database.connection() as connection:
        claimed = (await quick_payments.claim(connection, [payment_id]))[payment_id]
    return await at_once(
        held.database, PAYMENT, payment_id, lambda: confirm(held, claimed, payment_id),
        lambda: confirm(held, claimed, payment_id),
    )  # fmt: skip


async def broken(database: Database) -> set[str]:
    return {finding.name for finding in await audit(database)}


class TestControls:
    async def test_two_beginnings_without_the_orders_lock_are_two_payments(self, unguarded: Database) -> None:
        held = await an_order(unguarded)
        await without(unguarded, BEGIN_GUARDS, ONE_LIVE_PAYMENT)
        assert await begin_twice(held) == [True, True]
        assert await unguarded.fetchval("SELECT count(*) FROM payments") == 2

    async def test_a_beginning_that_does_not_look_at_its_seats_pays_for_anothers(self, unguarded: Database) -> None:
        held = await an_order(unguarded, over=True)
        await without(unguarded, BEGIN_GUARDS)
        assert (await begin_when_the_seats_go_to_another(held))[0]
        assert "hold_has_all_its_seats" in await broken(unguarded)

    async def test_two_confirmations_without_locks_issue_every_ticket_twice(self, unguarded: Database) -> None:
        held = await an_order(unguarded)
        await without(unguarded, CONFIRM_GUARDS, ONE_OF_EACH)
        assert await confirm_twice(held) == [True, True]
        assert await unguarded.fetchval("SELECT count(*) FROM tickets") == 4
        assert "one_live_ticket_a_seat" in await broken(unguarded)


class TestBeginTwice:
    async def test_one_payment_is_begun(self, database: Database) -> None:
        held = await an_order(database)
        assert sorted(await begin_twice(held)) == [False, True]
        assert await database.fetchval("SELECT count(*) FROM payments") == 1

    async def test_without_the_orders_lock_its_seats_are_guard_enough(self, database: Database) -> None:
        held = await an_order(database)
        await without(database, BEGIN_GUARDS[:1])
        assert sorted(await begin_twice(held)) == [False, True]
        assert await database.fetchval("SELECT count(*) FROM payments") == 1


class TestBeginAgainstTakeOver:
    async def test_seats_that_went_to_another_are_not_paid_for(self, database: Database) -> None:
        held = await an_order(database, over=True)
        assert await begin_when_the_seats_go_to_another(held) == (False, 1)
        assert await database.fetchval("SELECT count(*) FROM payments") == 0


class TestConfirmTwice:
    async def test_every_ticket_is_issued_once(self, database: Database) -> None:
        held = await an_order(database)
        assert sorted(await confirm_twice(held)) == [False, True]
        assert await database.fetchval("SELECT count(*) FROM tickets") == 2
        assert await database.fetchval("SELECT count(*) FROM outbox WHERE type = 'sales.order.confirmed'") == 1

    async def test_without_its_locks_the_unique_indexes_are_guard_enough(self, database: Database) -> None:
        held = await an_order(database)
        await without(database, CONFIRM_GUARDS)
        results = await confirm_twice(held)
        assert results.count(True) == 1, results
        assert await database.fetchval("SELECT count(*) FROM tickets") == 2

    async def test_without_any_lock_its_seats_are_guard_enough(self, database: Database) -> None:
        held = await an_order(database)
        await without(database, CONFIRM_GUARDS[:3])
        assert sorted(await confirm_twice(held)) == [False, True]
        assert await database.fetchval("SELECT count(*) FROM tickets") == 2
