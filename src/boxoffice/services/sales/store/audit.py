"""The safety invariants as queries: each returns the records that break it, so an empty answer means that it holds.

A rule is written for the whole database. For the running auditor the same text is asked of some events only:
:func:`within_events` puts views of those events' records in front of the tables, under the tables' names. So a rule
must be true event by event, name every column that it groups by, and read only tables of ``SCOPE`` (tests keep that).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One invariant (its number in the reliability page), what it says, and the query for what breaks it."""

    name: str
    invariant: str
    says: str
    sql: str

    @property
    def halts(self) -> bool:
        """Whether a breach stops the sale of its event: better to stop than to go on wrong."""
        return self.invariant in HALTING


HALTING = frozenset({"I1", "I2", "I3", "I4", "I5"})
"""Seats, money and tickets. A wrong count or a late message is an alarm, no reason to stop selling."""

RULES: tuple[Rule, ...] = (
    Rule(
        name="one_live_ticket_a_seat",
        invariant="I1",
        says="a seat has at most one live ticket",
        sql="""
        SELECT event_id, seat_id, count(*) AS live FROM tickets WHERE state IN ('valid', 'used')
        GROUP BY event_id, seat_id HAVING count(*) > 1 LIMIT 100""",
    ),
    Rule(
        name="sold_seat_has_its_ticket",
        invariant="I1",
        says="a sold seat has a live ticket of its own order",
        sql="""
        SELECT s.event_id, s.seat_id, s.order_id FROM event_seats s
        WHERE s.state = 'sold' AND NOT EXISTS (
          SELECT 1 FROM tickets k WHERE k.event_id = s.event_id AND k.seat_id = s.seat_id AND k.order_id = s.order_id
            AND k.state IN ('valid', 'used')) LIMIT 100""",
    ),
    Rule(
        name="live_ticket_has_its_seat",
        invariant="I1",
        says="a live ticket's seat is sold to the ticket's order",
        sql="""
        SELECT k.ticket_id, k.event_id, k.seat_id, k.order_id, s.state AS seat_state, s.order_id AS seat_order_id
        FROM tickets k LEFT JOIN event_seats s USING (event_id, seat_id)
        WHERE k.state IN ('valid', 'used')
          AND (s.state IS DISTINCT FROM 'sold' OR s.order_id IS DISTINCT FROM k.order_id)
          AND NOT (s.seat_id IS NULL AND is_place(k.event_id, k.seat_id)) LIMIT 100""",
    ),
    Rule(
        name="every_place_is_somewhere",
        invariant="I17",
        says="each place of an area is free, blocked, in one open order, or has one live ticket; none is missing",
        sql="""
        WITH named AS (
          SELECT event_id, seat_id FROM tickets WHERE state IN ('valid', 'used')
          UNION ALL SELECT o.event_id, s.id FROM orders o CROSS JOIN unnest(o.seat_ids) s(id)
           WHERE o.state IN ('held', 'paying')),
        taken AS (
          SELECT a.event_id, a.area, count(*) AS n,
                 range_agg(int4range((k.seat_id & 1048575)::int, (k.seat_id & 1048575)::int + 1)) AS places
            FROM ga_areas a JOIN named k ON k.event_id = a.event_id AND (k.seat_id & 1048575) >= a.first_place
             AND (k.seat_id & 1048575) < a.first_place + a.capacity
           GROUP BY a.event_id, a.area)
        SELECT a.event_id, a.area, a.capacity, a.n_free, places_in(a.free) AS free, places_in(a.blocked) AS blocked,
               coalesce(t.n, 0) AS taken
        FROM ga_areas a LEFT JOIN taken t USING (event_id, area)
        WHERE a.n_free <> places_in(a.free)
           OR a.n_free + places_in(a.blocked) + coalesce(t.n, 0) <> a.capacity
           OR a.free + a.blocked + coalesce(t.places, '{}')
              <> int4multirange(int4range(a.first_place, a.first_place + a.capacity))
           OR EXISTS (SELECT FROM ga_areas b WHERE b.event_id = a.event_id AND b.area <> a.area
                AND int4range(b.first_place, b.first_place + b.capacity)
                    && int4range(a.first_place, a.first_place + a.capacity)) LIMIT 100""",
    ),
    Rule(
        name="taken_seat_is_in_its_order",
        invariant="I1",
        says="a held, paying or sold seat belongs to an order in that state that names it",
        sql="""
        SELECT s.event_id, s.seat_id, s.state, s.order_id, o.state AS order_state
        FROM event_seats s LEFT JOIN orders o USING (order_id)
        WHERE s.order_id IS NOT NULL AND (o.order_id IS NULL OR NOT s.seat_id = ANY (o.seat_ids)
          OR o.state <> CASE s.state WHEN 'sold' THEN 'confirmed' ELSE s.state END) LIMIT 100""",
    ),
    Rule(
        name="companion_has_its_wheelchair_place",
        invariant="I1",
        says="a companion's seat that is taken stands in one order with the wheelchair place of its bundle",
        sql="""
        SELECT c.event_id, c.seat_id, c.order_id, w.order_id AS wheelchair_order_id
        FROM event_seats c JOIN event_seats w ON w.event_id = c.event_id AND w.seat_id = c.bundle_id
        WHERE c.bundle_id IS NOT NULL AND c.order_id IS NOT NULL AND w.order_id IS DISTINCT FROM c.order_id
          AND NOT is_open(c.state, c.hold_expires_at) LIMIT 100""",
    ),
    Rule(
        name="closed_seat_is_its_allocations",
        invariant="I14",
        says="a seat that is closed and taken stands in an order of its allocation, which is not a killed one",
        sql="""
        SELECT s.event_id, s.seat_id, s.state, s.order_id, s.allocation_id, o.allocation_id AS order_allocation_id
        FROM event_seats s JOIN orders o USING (order_id) LEFT JOIN allocations a ON a.allocation_id = s.allocation_id
        WHERE s.closed_until > clock_timestamp() AND NOT is_open(s.state, s.hold_expires_at)
          AND (o.allocation_id IS DISTINCT FROM s.allocation_id OR a.kind = 'kill') LIMIT 100""",
    ),
    Rule(
        name="seat_is_closed_as_its_allocation_says",
        invariant="I14",
        says="a seat that is set aside is closed until its allocation's release time, and that is not released",
        sql="""
        SELECT s.event_id, s.seat_id, s.allocation_id, s.closed_until, a.state AS allocation_state, a.release_at
        FROM event_seats s LEFT JOIN allocations a ON a.event_id = s.event_id AND a.allocation_id = s.allocation_id
        WHERE s.allocation_id IS NOT NULL AND (a.allocation_id IS NULL OR a.state = 'released'
          OR s.closed_until IS DISTINCT FROM coalesce(a.release_at, 'infinity')) LIMIT 100""",
    ),
    Rule(
        name="hold_has_all_its_seats",
        invariant="I3",
        says="an order that is held (and not run out) or being paid for has every one of its seats",
        sql="""
        SELECT o.order_id, o.state, o.n_seats, count(s.seat_id) AS seats, places_among(o.seat_ids) AS places
        FROM orders o
        LEFT JOIN event_seats s ON s.event_id = o.event_id AND s.seat_id = ANY (o.seat_ids)
          AND s.order_id = o.order_id AND s.state = o.state
        WHERE o.state = 'paying' OR (o.state = 'held' AND o.hold_expires_at > clock_timestamp())
        GROUP BY o.order_id, o.state, o.n_seats, o.seat_ids
        HAVING count(s.seat_id) <> o.n_seats AND count(s.seat_id) + places_among(o.seat_ids) <> o.n_seats LIMIT 100""",
    ),
    Rule(
        name="captured_is_what_was_sold",
        invariant="I2",
        says="the captured money of an order is the price of the tickets issued for it other than by an exchange",
        sql="""
        SELECT o.order_id, coalesce(p.captured, 0) AS captured_minor, coalesce(k.issued, 0) AS issued_minor
        FROM orders o
        LEFT JOIN (SELECT order_id, sum(captured_minor) AS captured FROM payments GROUP BY order_id) p USING (order_id)
        LEFT JOIN (SELECT order_id, sum(price_minor) AS issued FROM tickets WHERE taken_in IS NULL
                    GROUP BY order_id) k USING (order_id)
        WHERE coalesce(p.captured, 0) <> coalesce(k.issued, 0) LIMIT 100""",
    ),
    Rule(
        name="exchange_is_even",
        invariant="I2",
        says="an exchange voids and issues as many tickets of one order, never for more, and pays back the difference",
        sql="""
        SELECT e.exchange_id, e.order_id, e.given_minor, e.taken_minor, e.refund_minor, given.worth AS given_worth,
               taken.worth AS taken_worth, given.refunds AS refunds_minor
        FROM exchanges e
        LEFT JOIN LATERAL (
          SELECT count(*) AS n, sum(k.price_minor) AS worth, sum(coalesce(r.refund_minor, 0)) AS refunds,
                 bool_and(k.order_id = e.order_id AND k.state = 'void' AND k.currency = e.currency) AS fits
            FROM tickets k LEFT JOIN refunds r USING (ticket_id)
           WHERE k.order_id = e.order_id AND k.given_in = e.exchange_id) given ON true
        LEFT JOIN LATERAL (
          SELECT count(*) AS n, sum(k.price_minor) AS worth, bool_and(k.currency = e.currency) AS fits
            FROM tickets k WHERE k.order_id = e.order_id AND k.taken_in = e.exchange_id) taken ON true
        WHERE given.n <> e.places OR taken.n <> e.places OR given.fits IS NOT TRUE OR taken.fits IS NOT TRUE
           OR given.worth <> e.given_minor OR taken.worth <> e.taken_minor OR given.refunds <> e.refund_minor
           OR e.taken_minor > e.given_minor LIMIT 100""",
    ),
    Rule(
        name="exchanged_ticket_has_its_exchange",
        invariant="I5",
        says="a ticket that came by an exchange, or went in one, belongs to the order of that exchange",
        sql="""
        SELECT k.ticket_id, k.order_id, e.exchange_id FROM tickets k
        JOIN exchanges e ON e.exchange_id IN (k.taken_in, k.given_in) WHERE e.order_id <> k.order_id LIMIT 100""",
    ),
    Rule(
        name="live_tickets_are_covered",
        invariant="I2",
        says="an order's live tickets are worth no more than what was captured for it and not refunded",
        sql="""
        SELECT k.order_id, k.worth AS live_minor, coalesce(p.kept, 0) AS kept_minor
        FROM (SELECT order_id, sum(price_minor) AS worth FROM tickets WHERE state IN ('valid', 'used')
               GROUP BY order_id) k
        LEFT JOIN (SELECT order_id, sum(captured_minor - refunded_minor) AS kept FROM payments
                    GROUP BY order_id) p USING (order_id)
        WHERE k.worth > coalesce(p.kept, 0) LIMIT 100""",
    ),
    Rule(
        name="refunded_is_what_was_given_back",
        invariant="I2",
        says="a payment's refunded money is the sum of its refunds, each of a void ticket of it, up to its price",
        sql="""
        SELECT p.payment_id, p.refunded_minor, coalesce(sum(r.refund_minor), 0) AS refunds_minor FROM payments p
        LEFT JOIN refunds r USING (payment_id) LEFT JOIN tickets k USING (ticket_id)
        GROUP BY p.payment_id, p.refunded_minor
        HAVING p.refunded_minor <> coalesce(sum(r.refund_minor), 0)
            OR bool_or(k.state <> 'void' OR r.refund_minor > k.price_minor OR k.order_id <> p.order_id
                       OR r.currency <> p.currency) LIMIT 100""",
    ),
    Rule(
        name="postings_sum_to_zero",
        invariant="I2",
        says="the entries of one posting sum to zero in one currency",
        sql="""
        SELECT posting_id, sum(value_minor) AS sum_minor FROM ledger_entries GROUP BY posting_id
        HAVING sum(value_minor) <> 0 OR count(DISTINCT currency) > 1 LIMIT 100""",
    ),
    Rule(
        name="ledger_agrees_with_payments",
        invariant="I2",
        says="an order's revenue is what was captured and not refunded; its money at the provider lacks refunds done",
        sql="""
        WITH paid AS (SELECT order_id, sum(captured_minor) AS captured, sum(refunded_minor) AS refunded
                        FROM payments GROUP BY order_id),
        done AS (SELECT p.order_id, sum(r.refund_minor) AS done FROM refunds r JOIN payments p USING (payment_id)
                  WHERE r.state = 'done' GROUP BY p.order_id),
        books AS (SELECT order_id, sum(value_minor) FILTER (WHERE account = 'revenue') AS revenue,
                         sum(value_minor) FILTER (WHERE account = 'provider') AS provider
                    FROM ledger_entries GROUP BY order_id)
        SELECT order_id, captured, refunded, done, revenue, provider
        FROM paid FULL JOIN books USING (order_id) LEFT JOIN done USING (order_id)
        WHERE coalesce(captured, 0) - coalesce(refunded, 0) <> -coalesce(revenue, 0)
           OR coalesce(captured, 0) - coalesce(done, 0) <> coalesce(provider, 0) LIMIT 100""",
    ),
    Rule(
        name="released_is_never_captured",
        invariant="I3",
        says="nobody is charged for an order that did not become tickets",
        sql="""
        SELECT o.order_id, o.state, p.payment_id FROM orders o JOIN payments p USING (order_id)
        WHERE p.state = 'captured' AND o.state NOT IN ('confirmed', 'cancelled') LIMIT 100""",
    ),
    Rule(
        name="one_capture_an_order",
        invariant="I4",
        says="an order has at most one captured payment, and no more is refunded than was captured",
        sql="""
        SELECT order_id, count(*) AS captures FROM payments WHERE state = 'captured'
        GROUP BY order_id HAVING count(*) > 1 OR sum(refunded_minor) > sum(captured_minor) LIMIT 100""",
    ),
    Rule(
        name="one_refund_a_ticket",
        invariant="I4",
        says="a ticket is refunded at most once",
        sql="SELECT ticket_id, count(*) AS refunds FROM refunds GROUP BY ticket_id HAVING count(*) > 1 LIMIT 100",
    ),
    Rule(
        name="ticket_was_paid",
        invariant="I5",
        says="a ticket exists only for captured money of its order, or in a free order",
        sql="""
        SELECT k.ticket_id, k.order_id, o.state FROM tickets k LEFT JOIN orders o USING (order_id)
        WHERE o.order_id IS NULL OR o.state NOT IN ('confirmed', 'cancelled')
           OR (o.total_minor > 0 AND NOT EXISTS (
             SELECT 1 FROM payments p WHERE p.order_id = k.order_id AND p.state = 'captured')) LIMIT 100""",
    ),
    Rule(
        name="limits_count_true",
        invariant="I7",
        says="a customer's count for an event is what they hold, are paying for, or have live tickets of",
        sql="""
        WITH live AS (
          SELECT event_id, user_id, sum(places) AS places FROM (
            SELECT event_id, user_id, n_seats AS places FROM orders WHERE state IN ('held', 'paying')
            UNION ALL SELECT event_id, user_id, 1 FROM tickets WHERE state IN ('valid', 'used')) every_one
          GROUP BY event_id, user_id)
        SELECT event_id, user_id, l.n, live.places FROM customer_limits l FULL JOIN live USING (event_id, user_id)
        WHERE coalesce(l.n, 0) <> coalesce(live.places, 0) LIMIT 100""",
    ),
    Rule(
        name="open_places_count_true",
        invariant="I7",
        says="a customer's open places of an event are those of their orders that are held or being paid for",
        sql="""
        WITH open AS (SELECT event_id, user_id, sum(n_seats) AS places FROM orders WHERE state IN ('held', 'paying')
                       GROUP BY event_id, user_id)
        SELECT event_id, user_id, l.held, open.places FROM customer_limits l FULL JOIN open USING (event_id, user_id)
        WHERE coalesce(l.held, 0) <> coalesce(open.places, 0) LIMIT 100""",
    ),
    Rule(
        name="open_holds_are_charged",
        invariant="I7",
        says="a customer's hold budget is charged at least for the holds that are open, from their start to their end",
        sql="""
        WITH open AS (
          SELECT event_id, user_id,
                 sum(n_seats * floor(extract(epoch FROM hold_expires_at - hold_started_at))) AS seconds
            FROM orders WHERE state IN ('held', 'paying') GROUP BY event_id, user_id)
        SELECT event_id, user_id, l.spent_seconds, open.seconds FROM open LEFT JOIN customer_limits l
         USING (event_id, user_id) WHERE coalesce(l.spent_seconds, 0) < open.seconds LIMIT 100""",
    ),
    Rule(
        name="limits_hold",
        invariant="I7",
        says="nobody has more places of an event than the limit under which they got the last",
        sql="SELECT event_id, user_id, n, cap FROM customer_limits WHERE n > cap OR n < 0 LIMIT 100",
    ),
    Rule(
        name="confirmed_was_told",
        invariant="I9",
        says="every confirmed order has its message in the outbox (which keeps 7 days)",
        sql="""
        SELECT o.order_id, o.confirmed_at FROM orders o
        WHERE o.confirmed_at > clock_timestamp() - interval '6 days' AND NOT EXISTS (
          SELECT 1 FROM outbox m WHERE m.topic = 'sales.order.v1' AND m.key = o.order_id::text
            AND m.type = 'sales.order.confirmed') LIMIT 100""",
    ),
    Rule(
        name="told_is_true",
        invariant="I9",
        says="no message tells of an order that is not there, or of a version that it has not reached",
        sql="""
        SELECT m.message_id, m.key, m.version, o.version AS order_version FROM outbox m
        LEFT JOIN orders o ON o.order_id = m.key::uuid
        WHERE m.topic = 'sales.order.v1' AND (o.order_id IS NULL OR m.version > o.version) LIMIT 100""",
    ),
    Rule(
        name="seat_price_is_order_price",
        invariant="I13",
        says="an open order's prices are those of its seats, or of the ticket types chosen for them, in their currency",
        sql="""
        SELECT o.order_id, array_agg(s.price_minor ORDER BY s.seat_id) AS order_minors,
               array_agg(coalesce(y.price_minor, s.list_minor) ORDER BY s.seat_id) AS list_minors FROM orders o
        CROSS JOIN LATERAL (
          SELECT e.seat_id, w.price_minor, w.ticket_type, e.price_minor AS list_minor, e.currency, l.price_level
            FROM unnest(o.seat_ids, o.price_minors, o.ticket_types) w(seat_id, price_minor, ticket_type)
            JOIN event_seats e ON e.event_id = o.event_id AND e.seat_id = w.seat_id
            LEFT JOIN event_seat_labels l ON l.event_id = o.event_id AND l.seat_id = w.seat_id
              AND w.ticket_type IS NOT NULL
          UNION ALL
          SELECT w.seat_id, w.price_minor, w.ticket_type, a.price_minor, a.currency, a.area
            FROM unnest(o.seat_ids, o.price_minors, o.ticket_types) w(seat_id, price_minor, ticket_type)
            JOIN ga_areas a ON a.event_id = o.event_id
             AND (w.seat_id & 1048575) >= a.first_place AND (w.seat_id & 1048575) < a.first_place + a.capacity) s
        LEFT JOIN ticket_types y ON y.event_id = o.event_id AND y.price_level = s.price_level
         AND y.ticket_type = s.ticket_type
        WHERE o.state IN ('held', 'paying') GROUP BY o.order_id
        HAVING bool_or(s.price_minor <> coalesce(y.price_minor, s.list_minor) OR s.currency <> o.currency
                       OR (s.ticket_type IS NOT NULL AND y.ticket_type IS NULL)) LIMIT 100""",
    ),
    Rule(
        name="total_is_its_prices",
        invariant="I13",
        says="an open order's total is the sum of its tickets' prices",
        sql="""
        SELECT o.order_id, o.total_minor, sum(w.price_minor) AS prices_minor
        FROM orders o CROSS JOIN unnest(o.price_minors) w(price_minor)
        WHERE o.state IN ('held', 'paying') GROUP BY o.order_id, o.total_minor
        HAVING sum(w.price_minor) <> o.total_minor LIMIT 100""",
    ),
    Rule(
        name="ticket_is_as_its_order_says",
        invariant="I13",
        says="a live ticket has the price and the type that its order has for its seat",
        sql="""
        SELECT k.ticket_id, k.order_id, k.price_minor, k.ticket_type FROM tickets k JOIN orders o USING (order_id)
        WHERE k.state IN ('valid', 'used') AND (k.price_minor, k.ticket_type) IS DISTINCT FROM
          (o.price_minors[array_position(o.seat_ids, k.seat_id)],
           o.ticket_types[array_position(o.seat_ids, k.seat_id)]) LIMIT 100""",
    ),
)
"""At most 100 records each: enough to see what is wrong."""

SCOPE: Mapping[str, str] = {
    "orders": """SELECT * FROM public.orders
        WHERE (state <> 'held' OR state = 'held') AND event_id = ANY ($1::bigint[])""",
    "event_seats": "SELECT * FROM public.event_seats WHERE event_id = ANY ($1::bigint[])",
    "tickets": "SELECT * FROM public.tickets WHERE event_id = ANY ($1::bigint[])",
    "allocations": "SELECT * FROM public.allocations WHERE event_id = ANY ($1::bigint[])",
    "event_seat_labels": "SELECT * FROM public.event_seat_labels WHERE event_id = ANY ($1::bigint[])",
    "ticket_types": "SELECT * FROM public.ticket_types WHERE event_id = ANY ($1::bigint[])",
    "ga_areas": "SELECT * FROM public.ga_areas WHERE event_id = ANY ($1::bigint[])",
    "customer_limits": "SELECT * FROM public.customer_limits WHERE event_id = ANY ($1::bigint[])",
    "exchanges": """SELECT e.* FROM public.exchanges e
        WHERE e.order_id IN (SELECT order_id FROM public.orders
        WHERE (state <> 'held' OR state = 'held') AND event_id = ANY ($1::bigint[]))
           OR e.exchange_id IN (SELECT unnest(ARRAY[taken_in, given_in]) FROM public.tickets
                                 WHERE event_id = ANY ($1::bigint[]))""",
    "payments": """SELECT p.* FROM public.payments p JOIN public.orders o USING (order_id)
        WHERE (o.state <> 'held' OR o.state = 'held') AND o.event_id = ANY ($1::bigint[])""",
    "refunds": """SELECT r.* FROM public.refunds r JOIN public.payments p USING (payment_id)
        JOIN public.orders o USING (order_id)
        WHERE (o.state <> 'held' OR o.state = 'held') AND o.event_id = ANY ($1::bigint[])""",
    "ledger_entries": """SELECT e.* FROM public.ledger_entries e JOIN public.orders o USING (order_id)
        WHERE (o.state <> 'held' OR o.state = 'held') AND o.event_id = ANY ($1::bigint[])""",
    "outbox": """SELECT m.* FROM public.outbox m JOIN public.orders o ON o.order_id = m.key::uuid
        WHERE m.topic = 'sales.order.v1' AND (o.state <> 'held' OR o.state = 'held') AND o.event_id = ANY ($1::bigint[])
        UNION ALL SELECT m.* FROM public.outbox m WHERE m.topic = 'sales.order.v1'
          AND m.created_at > statement_timestamp() - interval '15 minutes'
          AND (m.body->'event'->>'eventId')::bigint = ANY ($1::bigint[])
          AND NOT EXISTS (SELECT 1 FROM public.orders o WHERE o.order_id = m.key::uuid)""",
}
"""The records of some events ($1), by table. NOT MATERIALIZED: a rule's own conditions still reach the indexes.

Orders by both states by name: each has an index of its own (``store/orders.py``).

With a volatile function in it (``clock_timestamp()``) a view would be written out all the same: minutes for a rule.
"""

TOUCHED = """
SELECT array_agg(DISTINCT (body->'event'->>'eventId')::bigint) AS events, clock_timestamp() AS at FROM outbox
WHERE topic = 'sales.order.v1' AND created_at > coalesce($1::timestamptz, clock_timestamp()) - interval '5 seconds'
"""
"""Events whose orders moved; a little further back than the last look, for transactions that were open then."""
NEXT_EVENTS = "SELECT event_id FROM event_terms WHERE event_id > $1 ORDER BY event_id LIMIT $2"
EVENT_OF = """
SELECT event_id FROM orders WHERE order_id = $1
UNION ALL SELECT o.event_id FROM payments p JOIN orders o USING (order_id) WHERE p.payment_id = $2
UNION ALL SELECT event_id FROM tickets WHERE ticket_id = $3
UNION ALL (SELECT o.event_id FROM ledger_entries e JOIN orders o USING (order_id) WHERE e.posting_id = $4 LIMIT 1)
UNION ALL SELECT (body->'event'->>'eventId')::bigint FROM outbox WHERE message_id = $5
LIMIT 1
"""
ACCEPT = """
INSERT INTO accepted_findings (event_id, rule, record_key, because)
SELECT $1, rule, record_key, $4 FROM unnest($2::text[], $3::text[]) a(rule, record_key) ON CONFLICT DO NOTHING
"""
ACCEPTED = "SELECT rule, record_key FROM accepted_findings WHERE event_id = ANY ($1::bigint[])"


def within_events(rule: Rule) -> str:
    """Write a rule's query for the events in ``$1`` only."""
    views = ",\n".join(name + " AS NOT MATERIALIZED (" + sql + ")" for name, sql in SCOPE.items())
    asked = rule.sql.strip()
    return "WITH " + views + (", " + asked.removeprefix("WITH ") if asked.startswith("WITH ") else "\n" + asked)


async def touched_since(connection: Connection, since: datetime | None) -> tuple[list[EventId], datetime]:
    """List the events whose orders moved since an instant (none: just now), and tell what time it is there."""
    record = await connection.fetchrow(TOUCHED, since)
    return [EventId(event_id) for event_id in record["events"] or []], record["at"]


async def next_events(connection: Connection, after: EventId, most: int) -> list[EventId]:
    """List events in the order of their ids."""
    return [EventId(record["event_id"]) for record in await connection.fetch(NEXT_EVENTS, after, most)]


async def event_of(connection: Connection, record: Mapping[str, Any]) -> EventId | None:
    """Name the event that a finding's record is about; none when nothing of it is known."""
    if record.get("event_id") is not None:
        return EventId(record["event_id"])
    names = [record.get(name) for name in ("order_id", "payment_id", "ticket_id", "posting_id", "message_id")]
    found: int | None = await connection.fetchval(EVENT_OF, *names)
    return None if found is None else EventId(found)


def record_key(record: Mapping[str, Any]) -> str:
    """Name a record, so that it is known again when somebody accepted it."""
    told = json.dumps({name: _plain(value) for name, value in record.items()}, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


async def accepted(connection: Connection, events: Sequence[EventId]) -> set[tuple[str, str]]:
    """Read which records (rule, key) somebody looked at and accepted."""
    return {(found["rule"], found["record_key"]) for found in await connection.fetch(ACCEPTED, list(events))}


async def accept(tx: Connection, event_id: EventId, found: Sequence[tuple[str, str]], because: str) -> None:
    """Note that somebody looked at these records (rule, key) and accepted them."""
    await tx.execute(ACCEPT, event_id, [rule for rule, _ in found], [key for _, key in found], because)
