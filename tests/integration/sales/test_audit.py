"""The auditor is tested too: each rule is broken once, past all guards, and must name the record."""

from collections.abc import AsyncIterator

import pytest
from tests.support.sales import SIGNER, buy, hold, hold_places, put_areas_on_sale, put_on_sale, start_payment

from boxoffice.runtime.database import Database
from boxoffice.services.sales.store.audit import RULES
from boxoffice.services.sales.usecases.audit import audit
from boxoffice.services.sales.usecases.exchange_tickets import Wish, exchange_tickets

NO_GUARDS = """
DO $$ DECLARE c record; BEGIN
  FOR c IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint
            WHERE contype IN ('c', 'u', 'f') AND connamespace = 'public'::regnamespace LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', c.owner, c.conname);
  END LOOP;
  DROP INDEX ticket_one_live, payment_one_live;
END $$
"""

DAMAGE = {
    "one_live_ticket_a_seat": """
        INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id)
        SELECT gen_random_uuid(), event_id, seat_id, order_id, user_id, 0, currency, 'valid', key_id FROM tickets LIMIT 1
    """,
    "sold_seat_has_its_ticket": "DELETE FROM tickets WHERE ticket_id = (SELECT ticket_id FROM tickets LIMIT 1)",
    "live_ticket_has_its_seat": "UPDATE event_seats SET state = 'free', order_id = NULL WHERE state = 'sold'",
    "taken_seat_is_in_its_order": "UPDATE event_seats SET order_id = gen_random_uuid() WHERE state = 'held'",
    "companion_has_its_wheelchair_place": "UPDATE event_seats SET bundle_id = (7::bigint << 20) | 7 WHERE state = 'sold'",
    "closed_seat_is_its_allocations": """
        UPDATE event_seats SET allocation_id = 1, closed_until = 'infinity' WHERE state = 'sold'
    """,
    "seat_is_closed_as_its_allocation_says": """
        UPDATE event_seats SET allocation_id = 1, closed_until = 'infinity' WHERE state = 'free'
    """,
    "hold_has_all_its_seats": "UPDATE event_seats SET state = 'free', order_id = NULL WHERE state = 'paying'",
    "captured_is_what_was_sold": "UPDATE tickets SET price_minor = price_minor - 1",
    "exchange_is_even": "UPDATE exchanges SET given_minor = given_minor + 1",
    "exchanged_ticket_has_its_exchange": "UPDATE exchanges SET order_id = gen_random_uuid()",
    "live_tickets_are_covered": "UPDATE tickets SET price_minor = price_minor + 1 WHERE state = 'valid'",
    "refunded_is_what_was_given_back": "UPDATE payments SET refunded_minor = 1 WHERE state = 'captured'",
    "postings_sum_to_zero": "UPDATE ledger_entries SET value_minor = value_minor + 1 WHERE account = 'provider'",
    "ledger_agrees_with_payments": "DELETE FROM ledger_entries",
    "released_is_never_captured": "UPDATE orders SET state = 'released' WHERE state = 'confirmed'",
    "one_capture_an_order": """
        INSERT INTO payments (payment_id, order_id, attempt, provider, state, total_minor, currency, captured_minor)
        SELECT gen_random_uuid(), order_id, 2, provider, state, total_minor, currency, captured_minor
        FROM payments WHERE state = 'captured'
    """,
    "one_refund_a_ticket": """
        INSERT INTO refunds (refund_id, payment_id, ticket_id, refund_minor, currency, state)
        SELECT gen_random_uuid(), payment_id, ticket_id, 1, 'USD', 'requested'
        FROM payments, (SELECT ticket_id FROM tickets LIMIT 1) k, generate_series(1, 2) WHERE payments.state = 'captured'
    """,
    "ticket_was_paid": "UPDATE payments SET state = 'failed', captured_minor = 0",
    "limits_count_true": "UPDATE customer_limits SET n = n - 1",
    "open_places_count_true": "UPDATE customer_limits SET held = held + 1",
    "open_holds_are_charged": "UPDATE customer_limits SET spent_seconds = 1",
    "limits_hold": "UPDATE customer_limits SET cap = 0",
    "confirmed_was_told": "DELETE FROM outbox WHERE type = 'sales.order.confirmed'",
    "told_is_true": "UPDATE outbox SET version = 99",
    "every_place_is_somewhere": "UPDATE ga_areas SET free = '{[0,1)}', n_free = 1",
    "seat_price_is_order_price": "UPDATE event_seats SET price_minor = 1",
    "total_is_its_prices": "UPDATE orders SET total_minor = total_minor - 1 WHERE state = 'held'",
    "ticket_is_as_its_order_says": "UPDATE tickets SET ticket_type = 'Child' WHERE state = 'valid'",
}


@pytest.fixture
async def unguarded(sales_url: str) -> AsyncIterator[Database]:
    async with Database.open(sales_url, size=4) as opened:
        seats = await put_on_sale(opened, 8)
        order_id, owner, _ = await buy(opened, seats[:2])
        async with opened.transaction() as tx:
            wish = Wish(order_id=order_id, user_id=owner, give=(seats[0],), take=(seats[6],))
            await exchange_tickets(tx, wish, signer=SIGNER)
        await hold(opened, seats[2:4])
        paying, _ = await hold(opened, seats[4:6])
        await start_payment(opened, paying)
        await put_areas_on_sale(opened, {"Standing": 3}, event_id=8)
        await hold_places(opened, 2, event_id=8)
        yield opened


class TestAuditor:
    async def test_finds_nothing_in_a_sale_as_it_should_be(self, unguarded: Database) -> None:
        assert await audit(unguarded) == []

    @pytest.mark.parametrize("rule", [rule.name for rule in RULES])
    async def test_finds_each_damage(self, unguarded: Database, rule: str) -> None:
        await unguarded.fetch(NO_GUARDS)
        await unguarded.fetch(DAMAGE[rule])
        found = {finding.name: finding.records for finding in await audit(unguarded)}
        assert rule in found
        assert found[rule]
