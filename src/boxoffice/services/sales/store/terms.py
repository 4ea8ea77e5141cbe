"""What sales knows of an event: the catalog's facts, the higher version wins."""

from datetime import datetime
from typing import Any

import msgspec

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.refund import RefundPolicy
from boxoffice.services.sales.store.records import plain_uuid

UPSERT = """
INSERT INTO event_terms AS t (event_id, organisation_id, version, status, name, starts_at, ends_at, time_zone,
  venue_name, venue_location, on_sale_at, off_sale_at, seat_map_id, currency, limit_per_customer, hold_seconds,
  cancel_until_hours, refund_percent, no_orphans)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (event_id) DO UPDATE SET organisation_id = EXCLUDED.organisation_id, version = EXCLUDED.version,
  status = EXCLUDED.status, name = EXCLUDED.name, starts_at = EXCLUDED.starts_at, ends_at = EXCLUDED.ends_at,
  time_zone = EXCLUDED.time_zone, venue_name = EXCLUDED.venue_name, venue_location = EXCLUDED.venue_location,
  on_sale_at = EXCLUDED.on_sale_at, off_sale_at = EXCLUDED.off_sale_at, seat_map_id = EXCLUDED.seat_map_id,
  currency = EXCLUDED.currency, limit_per_customer = EXCLUDED.limit_per_customer, hold_seconds = EXCLUDED.hold_seconds,
  cancel_until_hours = EXCLUDED.cancel_until_hours, refund_percent = EXCLUDED.refund_percent,
  no_orphans = EXCLUDED.no_orphans
WHERE t.version < EXCLUDED.version RETURNING true
"""

SELECTED = """
SELECT event_id, organisation_id, version, status, name, starts_at, ends_at, time_zone, venue_name, venue_location,
       on_sale_at, off_sale_at, seat_map_id, currency, limit_per_customer, hold_seconds, cancel_until_hours,
       refund_percent, no_orphans, halted_because
FROM event_terms
"""
ONE = SELECTED + " WHERE event_id = $1"
SELLS_NOW = """
SELECT status = 'published' AND halted_because IS NULL AND clock_timestamp() >= coalesce(on_sale_at, '-infinity')
   AND clock_timestamp() < coalesce(off_sale_at, starts_at)
FROM event_terms WHERE event_id = $1
"""
SEVERAL = SELECTED + " WHERE event_id = ANY ($1::bigint[])"

HALT = "UPDATE event_terms SET halted_because = $2 WHERE event_id = $1 AND halted_because IS NULL RETURNING true"
LIFT = "UPDATE event_terms SET halted_because = NULL WHERE event_id = $1 AND halted_because IS NOT NULL RETURNING true"
HALTED = "SELECT event_id, name, halted_because FROM event_terms WHERE halted_because IS NOT NULL ORDER BY event_id"


class EventTerms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The terms of one event's sale."""

    event_id: EventId
    organisation_id: OrganisationId
    version: int
    status: str
    name: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    venue_name: str
    venue_location: str
    on_sale_at: datetime | None
    off_sale_at: datetime | None
    seat_map_id: int | None
    currency: str
    limit_per_customer: int
    hold_seconds: int
    refund_policy: RefundPolicy
    no_orphans: bool = False
    halted_because: str | None = None

    @property
    def is_public(self) -> bool:
        """Whether anybody may know of the event."""
        return self.status in {"published", "cancelled"}


async def keep(tx: Connection, terms: EventTerms) -> bool:
    """Keep an event's terms unless a newer version is known; tells whether they were kept."""
    kept = await tx.fetchval(
        UPSERT, terms.event_id, terms.organisation_id, terms.version, terms.status, terms.name, terms.starts_at,
        terms.ends_at, terms.time_zone, terms.venue_name, terms.venue_location, terms.on_sale_at, terms.off_sale_at,
        terms.seat_map_id, terms.currency, terms.limit_per_customer, terms.hold_seconds,
        terms.refund_policy.cancel_until_hours, terms.refund_policy.refund_percent,
        terms.no_orphans,
    )  # fmt: skip
    return kept is True


async def of_event(source: Database | Connection, event_id: EventId) -> EventTerms | None:
    """Read an event's terms."""
    record = await source.fetchrow(ONE, event_id)
    return None if record is None else read(record)


async def sells_now(tx: Connection, event_id: EventId) -> bool:
    """Tell whether an event is on sale, by the database's clock."""
    return await tx.fetchval(SELLS_NOW, event_id) is True


async def of_events(database: Database, event_ids: list[EventId]) -> dict[EventId, EventTerms]:
    """Read the terms of several events at once."""
    return {record["event_id"]: read(record) for record in await database.fetch(SEVERAL, event_ids)}


async def halt(tx: Connection, event_id: EventId, because: str) -> bool:
    """Stop an event's sale; false when it was stopped before, and then its first reason stays."""
    return await tx.fetchval(HALT, event_id, because) is True


async def lift(tx: Connection, event_id: EventId) -> bool:
    """Let a stopped sale go on; false when it was not stopped."""
    return await tx.fetchval(LIFT, event_id) is True


async def halted(source: Database | Connection) -> list[tuple[EventId, str, str]]:
    """List stopped sales: event, its name, why."""
    return [
        (EventId(found["event_id"]), found["name"], found["halted_because"]) for found in await source.fetch(HALTED)
    ]


def read(record: Any) -> EventTerms:
    """Make the terms of a record with the columns of ``SELECTED``."""
    return EventTerms(
        event_id=EventId(record["event_id"]), organisation_id=OrganisationId(plain_uuid(record["organisation_id"])),
        version=record["version"], status=record["status"], name=record["name"], starts_at=record["starts_at"],
        ends_at=record["ends_at"], time_zone=record["time_zone"], venue_name=record["venue_name"],
        venue_location=record["venue_location"], on_sale_at=record["on_sale_at"], off_sale_at=record["off_sale_at"],
        seat_map_id=record["seat_map_id"], currency=record["currency"],
        limit_per_customer=record["limit_per_customer"], hold_seconds=record["hold_seconds"],
        refund_policy=RefundPolicy(
            cancel_until_hours=record["cancel_until_hours"], refund_percent=record["refund_percent"]
        ),
        no_orphans=record["no_orphans"], halted_because=record["halted_because"],
    )  # fmt: skip
