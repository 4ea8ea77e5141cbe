"""Seat maps in the database. A trigger keeps them from ever changing."""

from dataclasses import dataclass

from boxoffice.runtime.database import Connection, Database

FIND = "SELECT id, venue_id, version, document::text AS document FROM seat_maps WHERE id = $1"
OF_VENUE = "SELECT id, version, name, credit, places, sellable FROM seat_maps WHERE venue_id = $1 AND id = $2"
SAME = "SELECT id, version, name, credit, places, sellable FROM seat_maps WHERE venue_id = $1 AND fingerprint = $2"
# The venue's record is locked by the caller, so that two maps never take one version.
INSERT = """
INSERT INTO seat_maps (venue_id, version, name, credit, document, fingerprint, places, sellable)
SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4::text::json, $5, $6, $7 FROM seat_maps WHERE venue_id = $1
RETURNING id, version, name, credit, places, sellable
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatMap:
    """A seat map without its document. ``places`` counts all places, ``sellable`` those that may be sold."""

    id: int
    version: int
    name: str
    credit: str
    places: int
    sellable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatMapDocument:
    """A seat map's document as JSON text."""

    id: int
    venue_id: int
    version: int
    document: str


async def find(database: Database | Connection, seat_map_id: int) -> SeatMapDocument | None:
    """Find a seat map's document."""
    record = await database.fetchrow(FIND, seat_map_id)
    return SeatMapDocument(**dict(record)) if record else None


async def of_venue(tx: Connection, venue_id: int, seat_map_id: int) -> SeatMap | None:
    """Find a seat map if it is one of the venue."""
    record = await tx.fetchrow(OF_VENUE, venue_id, seat_map_id)
    return SeatMap(**dict(record)) if record else None


async def same(tx: Connection, venue_id: int, fingerprint: bytes) -> SeatMap | None:
    """Find the venue's seat map of the same content."""
    record = await tx.fetchrow(SAME, venue_id, fingerprint)
    return SeatMap(**dict(record)) if record else None


async def insert(
    tx: Connection, *, venue_id: int, name: str, credit: str, document: str, fingerprint: bytes, places: int,
    sellable: int,
) -> SeatMap:  # fmt: skip
    """Keep a new version."""
    record = await tx.fetchrow(INSERT, venue_id, name, credit, document, fingerprint, places, sellable)
    return SeatMap(**dict(record))
