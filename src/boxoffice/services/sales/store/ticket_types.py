"""Ticket types of events, and the choice of an order's buyer, kept by compare-and-set on the order's version."""

from collections.abc import Mapping, Sequence
from typing import Any

from boxoffice.kernel.ids import EventId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.order import Order
from boxoffice.services.sales.domain.ticket_types import Priced, TicketType, TypesByLevel

INSERT = """
INSERT INTO ticket_types (event_id, price_level, rank, ticket_type, price_minor, currency)
SELECT $1, price_level, rank, ticket_type, price_minor, $6
FROM unnest($2::text[], $3::int[], $4::text[], $5::bigint[]) t(price_level, rank, ticket_type, price_minor)
"""
OF_EVENTS = """
SELECT event_id, price_level, ticket_type, price_minor, currency FROM ticket_types
WHERE event_id = ANY ($1::bigint[]) ORDER BY event_id, price_level, rank
"""
CHOOSE = """
UPDATE orders SET ticket_types = $4, price_minors = $5, total_minor = $6, version = version + 1
WHERE order_id = $1 AND user_id = $2 AND version = $3 AND state = 'held' AND hold_expires_at > clock_timestamp()
RETURNING version
"""
"""The prices and their sum change together, and only while nobody has begun to pay: what a payment asks for it reads
from the same record, under its lock."""


async def insert(tx: Connection, event_id: EventId, types: Mapping[str, Sequence[TicketType]]) -> None:
    """Write the types of an event's price levels, each level's standard one first."""
    every = [(level, rank, one) for level, of_level in types.items() for rank, one in enumerate(of_level)]
    if every:
        await tx.execute(
            INSERT, event_id, [level for level, _, _ in every], [rank for _, rank, _ in every],
            [one.name for _, _, one in every], [one.price.minor for _, _, one in every], every[0][2].price.currency,
        )  # fmt: skip


async def of_event(source: Database | Connection, event_id: EventId) -> TypesByLevel:
    """Read the types of an event's price levels; empty for an event without any."""
    return (await of_events(source, [event_id])).get(event_id, {})


async def of_events(source: Database | Connection, event_ids: Sequence[EventId]) -> dict[EventId, TypesByLevel]:
    """Read the types of several events at once; those without any are not in it."""
    found: dict[EventId, dict[str, list[TicketType]]] = {}
    for record in await source.fetch(OF_EVENTS, sorted(set(event_ids))):
        levels = found.setdefault(EventId(record["event_id"]), {})
        levels.setdefault(record["price_level"], []).append(_read(record))
    return dict(found)


async def choose(tx: Connection, order: Order, priced: Priced) -> int | None:
    """Give a held order its types, prices and total; returns its new version, none when it changed meanwhile."""
    version: int | None = await tx.fetchval(
        CHOOSE, order.order_id, order.user_id, order.version, list(priced.types),
        [price.minor for price in priced.prices], priced.total.minor,
    )  # fmt: skip
    return version


def _read(record: Any) -> TicketType:
    return TicketType(name=record["ticket_type"], price=Money(record["price_minor"], record["currency"]))
