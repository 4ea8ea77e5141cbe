"""Read the state of a whole house, at one instant of the database's clock."""

from dataclasses import dataclass

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.store import areas
from boxoffice.services.sales.store.areas import AreaCounts
from boxoffice.services.sales.store.records import plain_uuid

HOUSE = """
SELECT t.status, t.organisation_id, (extract(epoch FROM c.instant) * 1000)::bigint AS as_of, h.codes,
       (extract(epoch FROM h.changes_at - c.instant) * 1000)::bigint AS changes_in,
       EXISTS (SELECT FROM ga_areas a WHERE a.event_id = t.event_id) AS has_areas
FROM (SELECT clock_timestamp() AS instant OFFSET 0) c
CROSS JOIN event_terms t
CROSS JOIN LATERAL (
  SELECT string_agg(
           CASE WHEN s.state = 'sold' THEN '2' WHEN s.state = 'blocked' THEN '3' WHEN s.state = 'paying' THEN '1'
                WHEN s.state = 'held' AND s.hold_expires_at > c.instant THEN '1'
                WHEN s.closed_until > c.instant THEN '3' ELSE '0' END, '' ORDER BY s.seat_id) AS codes,
         least(min(s.hold_expires_at) FILTER (WHERE s.hold_expires_at > c.instant),
               min(s.closed_until) FILTER (WHERE s.closed_until > c.instant AND s.closed_until < 'infinity')
         ) AS changes_at
  FROM event_seats s WHERE s.event_id = t.event_id) h
WHERE t.event_id = $1
"""
"""One character a seat, ordered by the primary key, so no sort. ``OFFSET 0`` keeps the clock from being read again for
every seat: a hold must not end between two looks at it.
"""
PLACES_CHANGE_IN = """
SELECT (extract(epoch FROM min(hold_expires_at) - clock_timestamp()) * 1000)::bigint FROM orders
 WHERE state = 'held' AND hold_expires_at > clock_timestamp() AND event_id = $1
"""
PLACES = "SELECT array_agg((seat_id & 1048575)::int ORDER BY seat_id) FROM event_seats WHERE event_id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read. ``codes`` has one character an event seat: ``0`` free, ``1`` held, ``2`` sold, ``3`` blocked.

    ``as_of`` is the instant (ms); ``changes_in`` is when the next seat changes by the clock alone (ms from then).
    ``areas`` are general admission, alone or beside seats.
    """

    status: str
    organisation_id: OrganisationId
    as_of: int
    codes: str
    changes_in: int | None
    areas: tuple[AreaCounts, ...]


async def read(database: Database, event_id: EventId) -> Reading | None:
    """Read a house; none when the event is not known."""
    record = await database.fetchrow(HOUSE, event_id)
    if record is None:
        return None
    codes, changes_in = record["codes"] or "", record["changes_in"]
    counted: tuple[AreaCounts, ...] = ()
    if record["has_areas"]:
        # The clock first: a hold that ends between the two is counted as free, and looked at once more.
        by_clock = (changes_in, await database.fetchval(PLACES_CHANGE_IN, event_id))
        changes_in = min((one for one in by_clock if one is not None), default=None)
        counted = tuple(await areas.counts(database, event_id))
    return Reading(
        status=record["status"], organisation_id=OrganisationId(plain_uuid(record["organisation_id"])),
        as_of=record["as_of"], codes=codes, changes_in=changes_in, areas=counted,
    )  # fmt: skip


async def places(database: Database, event_id: EventId) -> list[int]:
    """List the place numbers of an event's seats, growing."""
    return list(await database.fetchval(PLACES, event_id) or [])
