"""Venues in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from boxoffice.runtime.database import Connection, Database
from boxoffice.services.catalog.domain.event import Venue

COLUMNS = """
SELECT id, organisation_id, name, description, location, total_seats, time_zone, latitude, longitude, city, region,
       country, version
FROM venues
"""
ONE = COLUMNS + "WHERE id = $1 AND deleted_at IS NULL"
OWN = COLUMNS + "WHERE id = $1 AND organisation_id = ANY ($2::uuid[]) AND deleted_at IS NULL FOR UPDATE"
# SHARE: a venue that gets an event must not be deleted meanwhile (see DELETE, which updates the record).
FOR_EVENT = COLUMNS + "WHERE id = $1 AND organisation_id = $2 AND deleted_at IS NULL FOR SHARE"
PAGE = (
    COLUMNS + "WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR organisation_id = $1) ORDER BY id LIMIT $2 OFFSET $3"
)
COUNT = "SELECT count(*) FROM venues WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR organisation_id = $1)"
BY_SOURCE = COLUMNS + "WHERE organisation_id = $1 AND source = $2 AND deleted_at IS NULL"
SOURCES = (
    "SELECT source, id FROM venues WHERE organisation_id = $1 AND source = ANY ($2::text[]) AND deleted_at IS NULL"
)
INSERT = """
INSERT INTO venues (organisation_id, name, description, location, total_seats, time_zone, latitude, longitude, city,
  region, country, source)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
RETURNING id
"""
INSERT_MANY = """
INSERT INTO venues (organisation_id, name, location, total_seats, time_zone, city, region, country, source)
SELECT $1, n.name, n.location, 0, n.time_zone, n.city, n.region, n.country, n.source
FROM jsonb_populate_recordset(NULL::venues, $2::text::jsonb) n
RETURNING source, id
"""
UPDATE = """
UPDATE venues SET name = $2, description = $3, location = $4, total_seats = $5, time_zone = $6, latitude = $7,
  longitude = $8, city = $9, region = $10, country = $11, version = version + 1
WHERE id = $1
"""
DELETE = "UPDATE venues SET deleted_at = clock_timestamp(), version = version + 1 WHERE id = $1"
HAS_EVENTS = "SELECT EXISTS (SELECT FROM events WHERE venue_id = $1 AND status <> 'deleted')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """What is said of a venue."""

    name: str
    description: str
    location: str
    total_seats: int
    time_zone: str
    latitude: float | None
    longitude: float | None
    city: str | None
    region: str | None
    country: str | None


def read(record: Any) -> Venue:
    """Read a record of ``COLUMNS``."""
    return Venue(**dict(record))


async def find(database: Database | Connection, venue_id: int) -> Venue | None:
    """Find a venue, whoever owns it."""
    record = await database.fetchrow(ONE, venue_id)
    return read(record) if record else None


async def lock_own(tx: Connection, venue_id: int, organisations: Sequence[UUID]) -> Venue | None:
    """Find a venue of one of the organisations, and keep it until the end of the transaction."""
    record = await tx.fetchrow(OWN, venue_id, list(organisations))
    return read(record) if record else None


async def share_for_event(tx: Connection, venue_id: int, organisation: UUID) -> Venue | None:
    """Find the organisation's venue for an event; it is not deleted before the transaction ends."""
    record = await tx.fetchrow(FOR_EVENT, venue_id, organisation)
    return read(record) if record else None


async def find_source(tx: Connection, organisation: UUID, source: str) -> Venue | None:
    """Find what an importer made."""
    record = await tx.fetchrow(BY_SOURCE, organisation, source)
    return read(record) if record else None


async def page(database: Database, organisation: UUID | None, *, limit: int, offset: int) -> tuple[list[Venue], int]:
    """List venues by id, and count them all."""
    records = await database.fetch(PAGE, organisation, limit, offset)
    return [read(record) for record in records], await database.fetchval(COUNT, organisation)


async def insert(tx: Connection, organisation: UUID, said: Particulars, *, source: str | None = None) -> int:
    """Make a venue; returns its id."""
    made: int = await tx.fetchval(INSERT, organisation, *_values(said), source)
    return made


async def ids_by_source(tx: Connection, organisation: UUID, sources: Sequence[str]) -> dict[str, int]:
    """Find which of an importer's venues are there."""
    return {record["source"]: record["id"] for record in await tx.fetch(SOURCES, organisation, list(sources))}


async def insert_many(tx: Connection, organisation: UUID, records: str) -> dict[str, int]:
    """Make venues from a JSON array of records; returns their ids by source."""
    return {record["source"]: record["id"] for record in await tx.fetch(INSERT_MANY, organisation, records)}


async def update(tx: Connection, venue_id: int, said: Particulars) -> None:
    """Change a venue."""
    await tx.execute(UPDATE, venue_id, *_values(said))


async def delete(tx: Connection, venue_id: int) -> bool:
    """Delete a locked venue unless it has events; says whether it did."""
    if await tx.fetchval(HAS_EVENTS, venue_id):
        return False
    await tx.execute(DELETE, venue_id)
    return True


def _values(said: Particulars) -> tuple[Any, ...]:
    return (
        said.name, said.description, said.location, said.total_seats, said.time_zone, said.latitude, said.longitude,
        said.city, said.region, said.country,
    )  # fmt: skip
