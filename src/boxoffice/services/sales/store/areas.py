"""Areas of general admission: one record an area with the list of its free places (invariant I17).

Who has a place that is neither free nor blocked is told by the one open order, or the one live ticket, that names it.
An area's record is the last lock of every transaction (migrations/sales/versions/0008_ga_areas.sql).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId, event_of
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.prices import Area

INSERT = """
INSERT INTO ga_areas (event_id, area, first_place, capacity, price_minor, currency, free, n_free)
SELECT $1, area, first_place, capacity, price_minor, $6,
       int4multirange(int4range(first_place, first_place + capacity)), capacity
FROM unnest($2::text[], $3::int[], $4::int[], $5::bigint[]) a(area, first_place, capacity, price_minor)
"""
EXIST = "SELECT EXISTS (SELECT FROM ga_areas WHERE event_id = $1)"
NUMBER = "SELECT count(*) FROM ga_areas WHERE event_id = $1"
GATHER = "SELECT req, verdict, answer FROM gather_places($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
LISTED = "SELECT *, NULL::text AS notice FROM ga_listed($1, $2)"
COUNT_AMONG = "SELECT places_among($1)"
PRICED = """
SELECT i.id AS seat_id, a.price_minor, a.currency FROM unnest($2::bigint[]) i(id) JOIN ga_areas a ON a.event_id = $1
 WHERE i.id >> 20 = $1 AND (i.id & 1048575) >= a.first_place AND (i.id & 1048575) < a.first_place + a.capacity
"""
GIVE_BACK = "SELECT return_places($1)"
COUNTS = "SELECT * FROM ga_counts($1)"
TAGGED = """
SELECT string_agg(concat_ws('/', c.version, c.sold, c.free), ' ' ORDER BY c.first_place) FROM ga_counts($1) c
"""

SET_BLOCKED = """
UPDATE ga_areas a SET version = a.version + 1,
  free = CASE WHEN $2 THEN a.free - m.places ELSE a.free + (a.blocked * m.places) END,
  n_free = a.n_free + CASE WHEN $2 THEN -places_in(a.free * m.places) ELSE places_in(a.blocked * m.places) END,
  blocked = CASE WHEN $2 THEN a.blocked + (a.free * m.places) ELSE a.blocked - m.places END
FROM ga_places_of($1) m WHERE a.event_id = m.event_id AND a.area = m.area
  AND CASE WHEN $2 THEN a.free && m.places ELSE a.blocked && m.places END
RETURNING a.area
"""
"""Blocks what is free of the places named, or frees what is blocked; the caller looks whether that was all of them."""

LOCK_AREAS = "SELECT lock_areas($1::bigint[])"
LAST_FREE = """
SELECT ARRAY (
  SELECT $1::bigint << 20 | place FROM unnest(free) run, generate_series(lower(run), upper(run) - 1) place
   ORDER BY place DESC LIMIT $3)
FROM ga_areas WHERE event_id = $1 AND area = $2
"""
FIRST_BLOCKED = """
SELECT ARRAY (
  SELECT $1::bigint << 20 | place FROM unnest(blocked) run, generate_series(lower(run), upper(run) - 1) place
   ORDER BY place LIMIT $3)
FROM ga_areas WHERE event_id = $1 AND area = $2
"""

VerdictKind = Literal["placed", "none", "contested", "alone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of a batch: so many places of an area (none: of the first that has them) under that order's id."""

    event_id: EventId
    area: str | None
    places: int
    user_id: UserId
    order_id: OrderId
    key: str | None
    fingerprint: bytes | None
    trace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaCounts:
    """How an area stands: ``free + held + sold + blocked == capacity``; holds that ran out count as free."""

    area: str
    first_place: int
    capacity: int
    price_minor: int
    currency: str
    version: int
    free: int
    held: int
    sold: int
    blocked: int


async def insert(tx: Connection, event_id: EventId, areas: Sequence[Area]) -> None:
    """Write an event's areas, all of whose places are free.

    :raises asyncpg.UniqueViolationError: when the event has one of that name already.
    """
    await tx.execute(
        INSERT, event_id, [area.name for area in areas], [area.first_place for area in areas],
        [area.capacity for area in areas], [area.price.minor for area in areas], areas[0].price.currency,
    )  # fmt: skip


async def exist(source: Database | Connection, event_id: EventId) -> bool:
    """Tell whether an event has areas of general admission."""
    found: bool = await source.fetchval(EXIST, event_id)
    return found


async def number(source: Database | Connection, event_id: EventId) -> int:
    """Tell how many areas of general admission an event has."""
    found: int = await source.fetchval(NUMBER, event_id)
    return found


async def gather(
    connection: Connection, asked: Sequence[Asked], *, route: str
) -> dict[int, tuple[VerdictKind, bytes | None]]:
    """Decide requests together in one statement, which is its own transaction; each one's verdict by its number.

    ``placed`` comes with the answer's body, ``none`` means too few places, ``contested`` that holds which ran out are
    being ended by others just now. A request without a verdict is for ``holds.place``. No two of them may share an
    idempotency key, or a customer of one event.
    """
    records = await connection.fetch(
        GATHER, [one.event_id for one in asked], [one.area for one in asked], [one.places for one in asked],
        [one.user_id for one in asked], [one.order_id for one in asked], [uuid7() for _ in asked],
        [one.key for one in asked], [one.fingerprint for one in asked], [one.trace for one in asked], route,
    )  # fmt: skip
    return {number - 1: (verdict, answer) for number, verdict, answer in records}


async def listed(
    source: Database | Connection, event_id: EventId, seat_ids: Sequence[SeatId] | None = None
) -> Sequence[Any]:
    """Read places with their labels and states now, as event seats are read: an event's, or those of these ids."""
    found: Sequence[Any] = await source.fetch(LISTED, event_id, None if seat_ids is None else list(seat_ids))
    return found


async def count_among(tx: Connection, seat_ids: Sequence[SeatId]) -> int:
    """Tell how many of these are places of general admission."""
    count: int = await tx.fetchval(COUNT_AMONG, list(seat_ids))
    return count


async def priced(tx: Connection, event_id: EventId, seat_ids: Sequence[SeatId]) -> Sequence[Any]:
    """Read the prices of those that are places of general admission: ``seat_id, price_minor, currency``."""
    found: Sequence[Any] = await tx.fetch(PRICED, event_id, list(seat_ids))
    return found


async def give_back(tx: Connection, seat_ids: Sequence[SeatId]) -> int:
    """Free those that are places of general admission; returns how many. Last in its transaction, see the module.

    :raises asyncpg.CheckViolationError: when one of them is free already (I17).
    """
    count: int = await tx.fetchval(GIVE_BACK, list(seat_ids))
    return count


async def counts(source: Database | Connection, event_id: EventId) -> list[AreaCounts]:
    """Count an event's areas now, in the order of their places; empty for an event with seats only."""
    return [AreaCounts(**dict(record)) for record in await source.fetch(COUNTS, event_id)]


async def tag(database: Database, event_id: EventId) -> str:
    """Write what changes whenever a place of the event changes its state."""
    return await database.fetchval(TAGGED, event_id) or ""


async def set_blocked(tx: Connection, seat_ids: Sequence[SeatId], *, blocked: bool) -> bool:
    """Block the free ones of these places, or free the blocked ones; tells whether anything changed."""
    await tx.execute(LOCK_AREAS, sorted({event_of(seat) for seat in seat_ids}))
    return bool(await tx.fetch(SET_BLOCKED, list(seat_ids), blocked))


async def choose(tx: Connection, event_id: EventId, area: str, places: int, *, blocked: bool) -> list[SeatId] | None:
    """Lock an area and choose so many free places from its end, or blocked ones from its beginning; none without it.

    There are fewer than asked for when the area has not that many.
    """
    await tx.execute(LOCK_AREAS, [event_id])
    found = await tx.fetchval(FIRST_BLOCKED if blocked else LAST_FREE, event_id, area, places)
    return None if found is None else sorted(found)
