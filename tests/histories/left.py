"""What a history leaves: the same words for a real database and for the model, without ids and in seconds."""

from collections import Counter
from typing import Any
from uuid import UUID

from tests.histories.house import BEGIN, CUSTOMERS
from tests.histories.model import Count, Label, Sale
from tests.histories.worlds import PLACE, World, place_of

Left = dict[str, Counter[tuple[object, ...]]]

SEATS = "SELECT event_id, seat_id, state, order_id, hold_expires_at, fence FROM event_seats"
AREAS_FREE = "SELECT area, n_free FROM ga_areas"
ORDERS = """
SELECT o.order_id, o.event_id, o.user_id, o.state, o.seat_ids, o.price_minors, o.total_minor, o.version,
       o.released_because, o.hold_started_at, o.hold_expires_at, o.extended_at IS NOT NULL AS extended, ARRAY (
         SELECT (SELECT a.area FROM ga_areas a WHERE a.event_id = o.event_id AND (s.id & 1048575) >= a.first_place
                    AND (s.id & 1048575) < a.first_place + a.capacity)
           FROM unnest(o.seat_ids) WITH ORDINALITY s(id, at) ORDER BY s.at) AS areas
FROM orders o
"""
COUNTS = "SELECT event_id, user_id, n, held, clock_until, extended_until, spent_seconds FROM customer_limits"
MESSAGES = "SELECT type, key::uuid AS order_id, version, body FROM outbox WHERE topic = 'sales.order.v1'"
MONEY = """
SELECT o.order_id, p.state, p.captured_minor, p.refunded_minor,
       coalesce((SELECT sum(r.refund_minor) FROM refunds r WHERE r.payment_id = p.payment_id), 0)::bigint AS refunds,
       coalesce((SELECT sum(e.value_minor) FROM ledger_entries e WHERE e.order_id = o.order_id
                  AND e.account = 'revenue'), 0)::bigint AS revenue
FROM payments p JOIN orders o USING (order_id)
"""
TICKETS = """
SELECT k.order_id, k.seat_id, k.event_id, k.state, k.price_minor, (
  SELECT a.area FROM ga_areas a WHERE a.event_id = k.event_id AND (k.seat_id & 1048575) >= a.first_place
     AND (k.seat_id & 1048575) < a.first_place + a.capacity) AS area
FROM tickets k
"""
KEYS = "SELECT principal, key, convert_from(body, 'UTF8')::jsonb->>'bookingId' AS order_id FROM idempotency_keys"


async def left_in(world: World) -> Left:
    """Read what is left in a database."""
    fetch = world.database.fetch
    return {
        "seats": Counter([
            (r["event_id"], r["seat_id"] & PLACE, r["state"], _label(world, r["order_id"]),
             _seconds(r["hold_expires_at"]), r["fence"]) for r in await fetch(SEATS)
        ]),
        "areas": Counter([(r["area"], r["n_free"]) for r in await fetch(AREAS_FREE)]),
        "orders": Counter([
            (_label(world, r["order_id"]), r["event_id"], _customer(r["user_id"]), r["state"],
             tuple(area or seat & PLACE for area, seat in zip(r["areas"], r["seat_ids"], strict=True)),
             tuple(r["price_minors"]), r["total_minor"], r["version"], r["released_because"],
             _seconds(r["hold_started_at"]), _seconds(r["hold_expires_at"]), r["extended"])
            for r in await fetch(ORDERS)
        ]),
        "counts": Counter([
            _counted(r["event_id"], _customer(r["user_id"]), Count(
                r["n"], r["held"], _seconds(r["clock_until"]), _seconds(r["extended_until"]), r["spent_seconds"]))
            for r in await fetch(COUNTS) if r["n"] or r["spent_seconds"]
        ]),
        "messages": Counter([
            (r["type"].removeprefix("sales.order."), _label(world, r["order_id"]), r["version"],
             tuple(sorted((place_of(one) for one in r["body"]["tickets"]), key=str)), r["body"].get("reason"))
            for r in await fetch(MESSAGES)
        ]),
        "money": Counter([
            (_label(world, r["order_id"]), r["state"], r["captured_minor"], r["refunded_minor"], r["refunds"],
             r["revenue"]) for r in await fetch(MONEY)
        ]),
        "tickets": Counter([
            (_label(world, r["order_id"]), r["area"] or r["seat_id"] & PLACE, r["state"], r["price_minor"])
            for r in await fetch(TICKETS)
        ]),
        "keys": Counter([
            (_customer(r["principal"]), r["key"], _label(world, UUID(r["order_id"]))) for r in await fetch(KEYS)
        ]),
    }  # fmt: skip


def left_of(sale: Sale) -> Left:
    """Say what the model has."""
    return {
        "seats": Counter([
            (event, place, seat.state, seat.order, seat.until, seat.fence)
            for (event, place), seat in sale.seats.items()
        ]),
        "areas": Counter([*sale.free.items()]),
        "orders": Counter([
            (label, o.event, o.customer, o.state, o.places, o.prices, o.total, o.version, o.because, o.since, o.until,
             o.extended) for label, o in sale.orders.items()
        ]),
        "counts": Counter([
            _counted(event, customer, count) for (event, customer), count in sale.counts.items()
            if count.n or count.spent
        ]),
        "messages": Counter(sale.messages),
        "money": Counter([
            (label, o.payment, captured, owed, owed, owed - captured) for label, o in sale.orders.items()
            if o.payment for captured in [o.total if o.payment == "captured" else 0]
            for owed in [sum(o.prices[number] for number in o.gone)]
        ]),
        "tickets": Counter([
            (label, place, "void" if number in o.gone else "valid", o.prices[number])
            for label, o in sale.orders.items() if o.payment == "captured" for number, place in enumerate(o.places)
        ]),
        "keys": Counter([
            (customer, key, dict(answer.told)["order"]) for (customer, key), (_, answer) in sale.keys.items()
        ]),
    }  # fmt: skip


def differences(one: Left, other: Left) -> list[str]:
    """List what only one of two has."""
    return [
        f"{what}: {sign} {record} {f'x{times}' if times > 1 else ''}"
        for what in one
        for sign, some in (("-", one[what] - other[what]), ("+", other[what] - one[what]))
        for record, times in some.items()
    ]


def _counted(event: int, customer: int, count: Count) -> tuple[object, ...]:
    """A clock counts only while something is held."""
    clock = (count.clock, count.clock == count.extended) if count.held else None
    return event, customer, count.n, count.held, count.spent, clock


def _label(world: World, order_id: Any) -> Label | str | None:
    return None if order_id is None else world.labels.get(UUID(int=order_id.int), str(order_id))


def _customer(user_id: Any) -> int:
    return CUSTOMERS.index(UUID(int=user_id.int))


def _seconds(instant: Any) -> int | None:
    return None if instant is None else round((instant - BEGIN).total_seconds())
