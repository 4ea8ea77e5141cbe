"""Allocations and the seats that are set aside in them. Ownership is in every WHERE: another's event is no event.

An allocation is locked first, then its seats in the order of their ids, passing over those that somebody has: nobody
waits for a seat while holding others. A hold that has a seat locked is over in some ms, so the caller tries again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boxoffice.kernel.ids import EventId, OrganisationId, SeatId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.allocation import Allocation, AllocationKind, AllocationState

OWNED = "SELECT EXISTS (SELECT FROM event_terms WHERE event_id = $1 AND organisation_id = ANY ($2::uuid[]))"

CREATE = """
INSERT INTO allocations (event_id, kind, name, release_at)
SELECT t.event_id, $3, $4, $5::timestamptz FROM event_terms t
 WHERE t.event_id = $1 AND t.organisation_id = ANY ($2::uuid[]) AND coalesce($5 > clock_timestamp(), true)
   AND (SELECT count(*) FROM allocations a WHERE a.event_id = $1 AND a.state <> 'released') < $6
RETURNING allocation_id
"""
"""Two at once may make one more than the most: a bound for the page, guarding nothing."""

SELECTED = """
SELECT a.allocation_id, a.event_id, a.kind, a.name, a.release_at, a.code_hash IS NOT NULL AS has_code, a.version,
       CASE WHEN a.state = 'closed' AND a.release_at <= clock_timestamp() THEN 'open' ELSE a.state END AS state
FROM allocations a JOIN event_terms t USING (event_id)
WHERE a.event_id = $1 AND t.organisation_id = ANY ($2::uuid[]) AND a.state <> 'released'
"""
LOCK = SELECTED + " AND a.allocation_id = $3 FOR UPDATE OF a"
ONE = SELECTED + " AND a.allocation_id = $3"
ALL = SELECTED + " ORDER BY a.allocation_id"

PARTS = """
SELECT s.allocation_id, l.section, l.row_label, count(*)::int AS seats,
       count(*) FILTER (WHERE is_open(s.state, s.hold_expires_at))::int AS free,
       count(*) FILTER (WHERE s.state = 'sold')::int AS sold,
       count(*) FILTER (WHERE s.state = 'blocked')::int AS blocked
  FROM event_seats s
 CROSS JOIN LATERAL (
   SELECT * FROM event_seat_labels l WHERE l.event_id = s.event_id AND l.seat_id = s.seat_id OFFSET 0) l
 WHERE s.event_id = $1 AND s.allocation_id = ANY ($2::bigint[])
 GROUP BY s.allocation_id, l.section, l.row_label ORDER BY s.allocation_id, min(s.seat_id)
"""

OF_SECTION = """
SELECT array_agg(l.seat_id ORDER BY l.seat_id) FROM event_seat_labels l
 WHERE l.event_id = $1 AND l.section = $2 AND ($3::text[] IS NULL OR l.row_label = ANY ($3))
"""
ROWS_KNOWN = """
SELECT array_agg(DISTINCT row_label) FROM event_seat_labels WHERE event_id = $1 AND section = $2
"""
# A wheelchair place and its companions' seats are sold together, so they are set aside together.
BUNDLES = """
SELECT array_agg(DISTINCT b.seat_id) FROM event_seats c
  JOIN event_seats b ON b.event_id = c.event_id AND b.bundle_id = c.bundle_id
   AND b.seat_id BETWEEN c.bundle_id - 16 AND c.bundle_id + 16
 WHERE c.event_id = $1 AND c.seat_id = ANY ($2::bigint[]) AND c.bundle_id IS NOT NULL
"""

SET_ASIDE = """
WITH mine AS (
  SELECT seat_id FROM event_seats
   WHERE event_id = $1 AND seat_id = ANY ($2::bigint[])
     AND (is_open(state, hold_expires_at) OR state = 'blocked')
     AND (allocation_id IS NULL OR allocation_id = $3 OR closed_until <= clock_timestamp())
   ORDER BY seat_id FOR UPDATE SKIP LOCKED)
UPDATE event_seats s SET allocation_id = $3, closed_until = coalesce($4::timestamptz, 'infinity'),
       state = CASE WHEN s.state = 'held' THEN 'free' ELSE s.state END, order_id = NULL, hold_expires_at = NULL,
       fence = s.fence + 1
  FROM mine m WHERE s.event_id = $1 AND s.seat_id = m.seat_id
RETURNING s.seat_id
"""
"""A hold that ran out goes with it, as when somebody takes its seat over."""

NOT_SET_ASIDE = """
SELECT i.id AS seat_id, l.section, l.row_label, l.number,
       coalesce(s.allocation_id <> $3 AND s.closed_until > clock_timestamp(), false) AS elsewhere,
       coalesce(is_open(s.state, s.hold_expires_at) OR s.state = 'blocked', false) AS open
  FROM unnest($2::bigint[]) i(id)
  LEFT JOIN event_seats s ON s.event_id = $1 AND s.seat_id = i.id
  LEFT JOIN event_seat_labels l ON l.event_id = $1 AND l.seat_id = s.seat_id
 ORDER BY i.id
"""

LOCK_SEATS = """
WITH mine AS (
  SELECT seat_id FROM event_seats WHERE event_id = $1 AND allocation_id = $2
     AND ($3::bigint[] IS NULL OR seat_id = ANY ($3)) ORDER BY seat_id FOR UPDATE SKIP LOCKED)
SELECT array_agg(seat_id ORDER BY seat_id) FROM mine
"""
SEATS = """
SELECT array_agg(seat_id ORDER BY seat_id) FROM event_seats
 WHERE event_id = $1 AND allocation_id = $2 AND ($3::bigint[] IS NULL OR seat_id = ANY ($3))
"""
GIVE_BACK = """
UPDATE event_seats SET allocation_id = NULL, closed_until = NULL, fence = fence + 1
 WHERE event_id = $1 AND seat_id = ANY ($3::bigint[]) AND allocation_id = $2
"""
CLOSE_UNTIL = """
UPDATE event_seats SET closed_until = coalesce($3::timestamptz, 'infinity') WHERE event_id = $1 AND allocation_id = $2
"""

CHANGE = """
UPDATE allocations SET name = $3, release_at = $4, version = version + 1
 WHERE allocation_id = $1 AND version = $2 AND state = 'closed' AND coalesce(release_at > clock_timestamp(), true)
   AND coalesce($4::timestamptz > clock_timestamp(), true) RETURNING true
"""
OPEN = """
UPDATE allocations SET state = 'open', release_at = clock_timestamp(), version = version + 1
 WHERE allocation_id = $1 AND version = $2 AND state = 'closed' RETURNING release_at
"""
RELEASE = """
UPDATE allocations SET state = 'released', code_hash = NULL, version = version + 1
 WHERE allocation_id = $1 AND version = $2 AND state <> 'released' RETURNING true
"""
OPEN_DUE = """
WITH due AS (
  SELECT allocation_id FROM allocations WHERE state = 'closed' AND release_at <= clock_timestamp()
   ORDER BY allocation_id LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE allocations a SET state = 'open', version = version + 1 FROM due WHERE a.allocation_id = due.allocation_id
RETURNING a.event_id
"""

KEEP_CODE = """
UPDATE allocations a SET code_hash = $4, version = a.version + 1 FROM event_terms t
 WHERE t.event_id = a.event_id AND a.event_id = $1 AND t.organisation_id = ANY ($2::uuid[]) AND a.allocation_id = $3
   AND a.kind <> 'kill' AND a.state = 'closed' AND coalesce(a.release_at > clock_timestamp(), true) RETURNING true
"""
OF_CODE = "SELECT allocation_id FROM allocations WHERE event_id = $1 AND code_hash = $2 AND kind <> 'kill'"
OPENED = """
SELECT array_agg(seat_id ORDER BY seat_id) FROM event_seats
 WHERE event_id = $1 AND allocation_id = $2 AND is_open(state, hold_expires_at) AND closed_until > clock_timestamp()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The seats of an allocation in one row: ``seats`` of them, of which so many are free, sold, blocked; else held."""

    section: str
    row: str
    seats: int
    free: int
    sold: int
    blocked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A seat that could not be set aside. ``section`` is none when it is no seat; ``elsewhere``: in another allocation.

    ``open``: nobody has it, it was only locked.
    """

    seat_id: SeatId
    section: str | None
    row: str
    number: str
    elsewhere: bool
    open: bool


async def is_owned(source: Database | Connection, event_id: EventId, organisations: Sequence[OrganisationId]) -> bool:
    """Tell whether an event is there and one of these organisations'."""
    found: bool = await source.fetchval(OWNED, event_id, list(organisations))
    return found


async def create(
    tx: Connection,
    event_id: EventId,
    organisations: Sequence[OrganisationId],
    *,
    kind: AllocationKind,
    name: str,
    release_at: datetime | None,
    most: int,
) -> int | None:
    """Write a closed allocation; none when the event is not theirs, has the most, or the release time has passed."""
    made: int | None = await tx.fetchval(CREATE, event_id, list(organisations), kind, name, release_at, most)
    return made


async def lock(
    tx: Connection, event_id: EventId, allocation_id: int, organisations: Sequence[OrganisationId]
) -> Allocation | None:
    """Lock an allocation that is not released, for its organisers; none for anybody else."""
    record = await tx.fetchrow(LOCK, event_id, list(organisations), allocation_id)
    return None if record is None else _read(record)


async def own(
    source: Database | Connection, event_id: EventId, allocation_id: int, organisations: Sequence[OrganisationId]
) -> Allocation | None:
    """Read an allocation that is not released, for its organisers."""
    record = await source.fetchrow(ONE, event_id, list(organisations), allocation_id)
    return None if record is None else _read(record)


async def of_event(
    source: Database | Connection, event_id: EventId, organisations: Sequence[OrganisationId]
) -> list[Allocation]:
    """List the allocations of an event that are not released, for its organisers."""
    return [_read(record) for record in await source.fetch(ALL, event_id, list(organisations))]


async def parts(
    source: Database | Connection, event_id: EventId, allocation_ids: Sequence[int]
) -> dict[int, list[Part]]:
    """Count the seats of allocations by row, in the order of the house."""
    found: dict[int, list[Part]] = {allocation_id: [] for allocation_id in allocation_ids}
    for one in await source.fetch(PARTS, event_id, list(allocation_ids)):
        found[one["allocation_id"]].append(
            Part(
                section=one["section"], row=one["row_label"], seats=one["seats"], free=one["free"], sold=one["sold"],
                blocked=one["blocked"],
            )
        )  # fmt: skip
    return found


async def of_section(tx: Connection, event_id: EventId, section: str, rows: Sequence[str] | None) -> list[SeatId]:
    """List the seats of a section, or of rows of it."""
    return list(await tx.fetchval(OF_SECTION, event_id, section, None if rows is None else list(rows)) or [])


async def rows_of(tx: Connection, event_id: EventId, section: str) -> set[str]:
    """List the rows of a section; none of one that is not there."""
    return set(await tx.fetchval(ROWS_KNOWN, event_id, section) or [])


async def with_bundles(tx: Connection, event_id: EventId, seat_ids: Sequence[SeatId]) -> list[SeatId]:
    """Add to wheelchair places and companions' seats what is sold with them."""
    return sorted({*seat_ids, *(await tx.fetchval(BUNDLES, event_id, list(seat_ids)) or [])})


async def set_aside(tx: Connection, allocation: Allocation, seat_ids: Sequence[SeatId]) -> list[SeatId]:
    """Set seats aside that nobody has and no other closed allocation; returns those that were."""
    changed = await tx.fetch(
        SET_ASIDE, allocation.event_id, list(seat_ids), allocation.allocation_id, allocation.release_at
    )
    return [SeatId(record["seat_id"]) for record in changed]


async def missed(tx: Connection, allocation: Allocation, seat_ids: Sequence[SeatId]) -> list[Missed]:
    """Tell why seats could not be set aside."""
    return [
        Missed(
            seat_id=SeatId(record["seat_id"]), section=record["section"], row=record["row_label"] or "",
            number=record["number"] or "", elsewhere=record["elsewhere"], open=record["open"],
        )
        for record in await tx.fetch(NOT_SET_ASIDE, allocation.event_id, list(seat_ids), allocation.allocation_id)
    ]  # fmt: skip


async def lock_seats(
    tx: Connection, allocation: Allocation, among: Sequence[SeatId] | None = None
) -> tuple[list[SeatId], bool]:
    """Lock an allocation's seats, all or those of some; tells whether it got every one of them."""
    asked = (allocation.event_id, allocation.allocation_id, None if among is None else list(among))
    got = list(await tx.fetchval(LOCK_SEATS, *asked) or [])
    return got, got == list(await tx.fetchval(SEATS, *asked) or [])


async def give_back(tx: Connection, allocation: Allocation, seat_ids: Sequence[SeatId]) -> None:
    """Take seats that are locked out of an allocation, whoever has them."""
    await tx.execute(GIVE_BACK, allocation.event_id, allocation.allocation_id, list(seat_ids))


async def close_until(tx: Connection, allocation: Allocation, release_at: datetime | None) -> None:
    """Close an allocation's seats, which are locked, until an instant; none: until somebody opens them."""
    await tx.execute(CLOSE_UNTIL, allocation.event_id, allocation.allocation_id, release_at)


async def change(tx: Connection, before: Allocation, *, name: str, release_at: datetime | None) -> bool:
    """Name a closed allocation, and when it opens; false when it is open by now, or that time has passed."""
    return await tx.fetchval(CHANGE, before.allocation_id, before.version, name, release_at) is True


async def open_now(tx: Connection, before: Allocation) -> datetime | None:
    """Open a closed allocation; returns the instant."""
    instant: datetime | None = await tx.fetchval(OPEN, before.allocation_id, before.version)
    return instant


async def release(tx: Connection, before: Allocation) -> bool:
    """End an allocation; give its seats back first."""
    return await tx.fetchval(RELEASE, before.allocation_id, before.version) is True


async def open_due(tx: Connection, *, most: int) -> list[EventId]:
    """Write down which allocations opened by the clock; returns their events."""
    return [EventId(record["event_id"]) for record in await tx.fetch(OPEN_DUE, most)]


async def keep_code(
    tx: Connection,
    event_id: EventId,
    allocation_id: int,
    organisations: Sequence[OrganisationId],
    *,
    code_hash: bytes | None,
) -> bool:
    """Replace the code of a closed allocation, or take it away; false when it may have none, or is not theirs."""
    return await tx.fetchval(KEEP_CODE, event_id, list(organisations), allocation_id, code_hash) is True


async def of_code(database: Database, event_id: EventId, code_hash: bytes) -> int | None:
    """Find the allocation of an event that a code opens."""
    found: int | None = await database.fetchval(OF_CODE, event_id, code_hash)
    return found


async def opened_seats(database: Database, event_id: EventId, allocation_id: int) -> list[SeatId]:
    """List the seats of an allocation that are free, and closed to everybody else."""
    return list(await database.fetchval(OPENED, event_id, allocation_id) or [])


def _read(record: Any) -> Allocation:
    return Allocation(
        allocation_id=record["allocation_id"], event_id=EventId(record["event_id"]),
        kind=AllocationKind(record["kind"]), name=record["name"], state=AllocationState(record["state"]),
        release_at=record["release_at"], has_code=record["has_code"], version=record["version"],
    )  # fmt: skip
