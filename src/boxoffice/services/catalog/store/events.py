"""Events in the database. Who may see or change one stands in the WHERE."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.runtime.database import Connection, Database
from boxoffice.services.catalog.domain.event import Category, Event, State, Terms, Venue, Work

SELECTED = """
SELECT e.id, e.organisation_id, e.status, e.name, e.description, e.starts_at, e.ends_at, e.on_sale_at, e.off_sale_at,
       e.published_at, e.seat_map_id, e.capacity, e.currency, e.limit_per_customer, e.hold_minutes,
       e.cancel_until_hours, e.refund_percent, e.programme, e.no_single_seats, e.source, e.version,
       clock_timestamp() AS asked_at,
       e.venue_id, v.organisation_id AS venue_organisation_id, v.name AS venue_name,
       v.description AS venue_description, v.location, v.total_seats, v.time_zone, v.latitude, v.longitude, v.city,
       v.region, v.country, v.version AS venue_version,
       e.category_id, c.name AS category_name, c.description AS category_description, c.version AS category_version,
       m.sellable AS places
FROM events e JOIN venues v ON v.id = e.venue_id
LEFT JOIN categories c ON c.id = e.category_id LEFT JOIN seat_maps m ON m.id = e.seat_map_id
"""
# A draft is seen by its organisation alone; what is deleted, by nobody.
SEEN = "(e.status IN ('published', 'cancelled') OR (e.status = 'draft' AND e.organisation_id = ANY ($1::uuid[])))"
ONE = SELECTED + "WHERE " + SEEN + " AND e.id = $2"
OWN = SELECTED + (
    "WHERE e.organisation_id = ANY ($1::uuid[]) AND e.id = $2 AND e.status <> 'deleted' FOR NO KEY UPDATE OF e"
)
SEVERAL = SELECTED + "WHERE e.id = ANY ($1::bigint[]) ORDER BY e.id"
# Each beginning of a word must be one of the event, its venue or its category; each part is answered by its own index.
WORDED = """
SELECT f.id FROM unnest($8::text[]) AS w (word) CROSS JOIN LATERAL (
  SELECT x.id FROM events x WHERE event_words(x.name, x.description, x.programme) @@ to_tsquery('simple', w.word)
  UNION ALL
  SELECT x.id FROM venues p JOIN events x ON x.venue_id = p.id
  WHERE venue_words(p.name, p.location, p.city, p.region, p.country) @@ to_tsquery('simple', w.word)
  UNION ALL
  SELECT x.id FROM categories k JOIN events x ON x.category_id = k.id
  WHERE to_tsvector('simple', k.name) @@ to_tsquery('simple', w.word)) f
GROUP BY f.id HAVING count(DISTINCT w.word) = cardinality($8::text[])
"""
FILTER = (
    "WHERE " + SEEN + " AND ($2::text IS NULL OR e.status = $2) AND ($3::bigint IS NULL OR e.venue_id = $3)"
    " AND ($4::bigint IS NULL OR e.category_id = $4) AND ($5::uuid IS NULL OR e.organisation_id = $5)"
    " AND ($6::timestamptz IS NULL OR e.starts_at >= $6) AND ($7::timestamptz IS NULL OR e.starts_at < $7) "
    " AND (cardinality($8::text[]) = 0 OR e.id IN (" + WORDED + "))"
)
COUNT = "SELECT count(*) FROM events e " + FILTER  # noqa: S608 - constants only
# The page is cut on the narrow table first: programmes and descriptions are read for its events only.
CUT = "WHERE e.id IN (SELECT e.id FROM events e " + FILTER  # noqa: S608 - constants only
UP, DOWN = "ORDER BY e.starts_at, e.id ", "ORDER BY e.starts_at DESC, e.id DESC "
RISING = SELECTED + CUT + UP + "LIMIT $9 OFFSET $10) " + UP
FALLING = SELECTED + CUT + DOWN + "LIMIT $9 OFFSET $10) " + DOWN
INSERT = """
INSERT INTO events (organisation_id, status, published_at, name, description, starts_at, ends_at, on_sale_at,
  off_sale_at, venue_id, category_id, seat_map_id, capacity, currency, limit_per_customer, hold_minutes,
  cancel_until_hours, refund_percent, programme, no_single_seats, source, source_fingerprint, source_version)
SELECT n.organisation_id, n.status, CASE n.status WHEN 'published' THEN clock_timestamp() END, n.name, n.description,
  n.starts_at, n.ends_at, n.on_sale_at, n.off_sale_at, n.venue_id, n.category_id, n.seat_map_id, n.capacity,
  n.currency, n.limit_per_customer, n.hold_minutes, n.cancel_until_hours, n.refund_percent, n.programme,
  coalesce(n.no_single_seats, true), n.source, n.source_fingerprint, CASE WHEN n.source IS NOT NULL THEN 1 END
FROM jsonb_populate_recordset(NULL::events, $1::text::jsonb) n
RETURNING id
"""
# Of an import, source_version follows version, so that what people change later is known by its higher version.
CHANGE = """
UPDATE events e SET name = n.name, description = n.description, starts_at = n.starts_at, ends_at = n.ends_at,
  on_sale_at = n.on_sale_at, off_sale_at = n.off_sale_at, venue_id = n.venue_id, category_id = n.category_id,
  seat_map_id = n.seat_map_id, capacity = n.capacity, currency = n.currency,
  limit_per_customer = n.limit_per_customer, hold_minutes = n.hold_minutes,
  cancel_until_hours = n.cancel_until_hours, refund_percent = n.refund_percent, programme = n.programme,
  no_single_seats = coalesce(n.no_single_seats, e.no_single_seats),
  version = e.version + 1,
  source_version = CASE WHEN n.source_fingerprint IS NULL THEN e.source_version ELSE e.version + 1 END,
  source_fingerprint = coalesce(n.source_fingerprint, e.source_fingerprint)
FROM jsonb_populate_recordset(NULL::events, $1::text::jsonb) n WHERE e.id = n.id
RETURNING e.id
"""
MOVE = """
UPDATE events SET status = $2, starts_at = coalesce($3, starts_at), ends_at = coalesce($4, ends_at),
  published_at = CASE WHEN $2 = 'published' THEN coalesce(published_at, clock_timestamp()) ELSE published_at END,
  version = version + 1
WHERE id = $1
"""
TOUCH_OF_VENUE = """
UPDATE events SET version = version + 1,
  source_version = CASE source_version WHEN version THEN version + 1 ELSE source_version END
WHERE venue_id = $1 AND status <> 'deleted' RETURNING id
"""
TOUCH_OF_CATEGORY = """
UPDATE events SET version = version + 1,
  source_version = CASE source_version WHEN version THEN version + 1 ELSE source_version END
WHERE category_id = $1 AND status <> 'deleted' RETURNING id
"""
IMPORTED = """
SELECT source, id, source_fingerprint AS fingerprint, version = source_version AS as_imported, status
FROM events WHERE organisation_id = $1 AND source = ANY ($2::text[])
"""
WORD = re.compile(r"[^\W_]+")
MAX_WORDS = 12
"""Words of a text that count; the first ones say what is looked for."""
BATCH = 100
"""Events with their programmes are a few kilobytes each; a statement with so many stays far below its timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which events to list; none means any. ``organisations`` are those whose drafts the caller may see.

    ``words`` are beginnings of words, letters and digits only (:func:`words_of`); all of them must be there.
    """

    organisations: Sequence[UUID] = ()
    status: State | None = None
    venue_id: int | None = None
    category_id: int | None = None
    organisation_id: UUID | None = None
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    words: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An event that an importer wrote. ``as_imported``: nobody has changed it since."""

    id: int
    fingerprint: bytes
    as_imported: bool
    status: State


def words_of(text: str) -> tuple[str, ...]:
    """Read the words of a text, each once, in small letters; nothing in them means anything to the database."""
    return tuple(dict.fromkeys(WORD.findall(text.lower())))[:MAX_WORDS]


async def find(database: Database | Connection, event_id: int, organisations: Sequence[UUID]) -> Event | None:
    """Find an event that a member of the organisations may see."""
    record = await database.fetchrow(ONE, list(organisations), event_id)
    return _read(record) if record else None


async def lock_own(tx: Connection, event_id: int, organisations: Sequence[UUID]) -> Event | None:
    """Find an event of one of the organisations, and keep it until the end of the transaction."""
    record = await tx.fetchrow(OWN, list(organisations), event_id)
    return _read(record) if record else None


async def several(tx: Connection, ids: Sequence[int]) -> list[Event]:
    """Read events by id, in the order of their ids."""
    return [_read(record) for record in await tx.fetch(SEVERAL, list(ids))]


async def page(
    database: Database, filters: Filters, *, falling: bool, limit: int, offset: int
) -> tuple[list[Event], int]:
    """List events by their start, and count them all."""
    chosen = (
        list(filters.organisations), filters.status, filters.venue_id, filters.category_id, filters.organisation_id,
        filters.starts_from, filters.starts_before, [f"{word}:*" for word in filters.words],
    )  # fmt: skip
    records = await database.fetch(FALLING if falling else RISING, *chosen, limit, offset)
    return [_read(record) for record in records], await database.fetchval(COUNT, *chosen)


def record_of(terms: Terms, **more: object) -> dict[str, object]:
    """Write an event's columns as a record for ``insert`` or ``change``."""
    return {**{name: getattr(terms, name) for name in Terms.__slots__}, **more}


async def insert(tx: Connection, records: Sequence[Mapping[str, object]]) -> list[int]:
    """Make events; returns their ids."""
    return [record["id"] for record in await tx.fetch(INSERT, _json(records))]


async def change(tx: Connection, records: Sequence[Mapping[str, object]]) -> list[int]:
    """Change events (each record with its ``id``), each by one version; returns their ids."""
    return [record["id"] for record in await tx.fetch(CHANGE, _json(records))]


async def move(
    tx: Connection, event_id: int, state: State, *, starts_at: datetime | None = None, ends_at: datetime | None = None
) -> None:
    """Write where an action led."""
    await tx.execute(MOVE, event_id, state, starts_at, ends_at)


async def touch_of_venue(tx: Connection, venue_id: int) -> list[int]:
    """Raise the version of a venue's events, since what is told of them changed; returns their ids."""
    return [record["id"] for record in await tx.fetch(TOUCH_OF_VENUE, venue_id)]


async def touch_of_category(tx: Connection, category_id: int) -> list[int]:
    """Raise the version of a category's events, since what is told of them changed; returns their ids."""
    return [record["id"] for record in await tx.fetch(TOUCH_OF_CATEGORY, category_id)]


async def imported(tx: Connection, organisation: UUID, sources: Sequence[str]) -> dict[str, Imported]:
    """Find what an importer wrote before, by source."""
    return {
        record["source"]: Imported(
            id=record["id"], fingerprint=record["fingerprint"], as_imported=record["as_imported"],
            status=State(record["status"]),
        )
        for record in await tx.fetch(IMPORTED, organisation, list(sources))
    }  # fmt: skip


def _json(records: Sequence[Mapping[str, object]]) -> str:
    return msgspec.json.encode(records).decode()


def _read(record: Any) -> Event:
    return Event(
        id=record["id"],
        organisation_id=record["organisation_id"],
        state=State(record["status"]),
        terms=_terms(record),
        venue=_venue(record),
        category=_category(record),
        places=record["places"],
        published_at=record["published_at"],
        source=record["source"],
        version=record["version"],
        asked_at=record["asked_at"],
    )


def _terms(record: Any) -> Terms:
    plain = {name: record[name] for name in Terms.__slots__ if name != "programme"}
    programme = tuple(Work(**{**work, "soloists": tuple(work.get("soloists", ()))}) for work in record["programme"])
    return Terms(**plain, programme=programme)


def _venue(record: Any) -> Venue:
    return Venue(
        id=record["venue_id"], organisation_id=record["venue_organisation_id"], name=record["venue_name"],
        description=record["venue_description"], location=record["location"], total_seats=record["total_seats"],
        time_zone=record["time_zone"], latitude=record["latitude"], longitude=record["longitude"],
        city=record["city"], region=record["region"], country=record["country"], version=record["venue_version"],
    )  # fmt: skip


def _category(record: Any) -> Category | None:
    if record["category_id"] is None:
        return None
    return Category(
        id=record["category_id"], name=record["category_name"], description=record["category_description"],
        version=record["category_version"],
    )  # fmt: skip
