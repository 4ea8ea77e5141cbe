"""How events sell: the summary told last, and which events have changed since."""

from dataclasses import dataclass

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.sale import SaleState

MARK = """
INSERT INTO sale_changes (event_id, changed_at)
SELECT unnest($1::bigint[]), CASE WHEN $2 THEN '-infinity' ELSE clock_timestamp() END
"""
"""Each mark is a record of its own: whoever marks waits for nobody who counts."""

TAKE = """
WITH due AS (
  SELECT event_id FROM sale_changes GROUP BY event_id
  HAVING min(changed_at) <= clock_timestamp() - make_interval(secs => $1) ORDER BY min(changed_at) LIMIT $2),
free AS (SELECT c.ctid FROM sale_changes c JOIN due USING (event_id) FOR UPDATE OF c SKIP LOCKED)
DELETE FROM sale_changes WHERE ctid IN (SELECT ctid FROM free) RETURNING event_id
"""

OPENED_OR_CLOSED = """
INSERT INTO sale_changes (event_id, changed_at)
SELECT s.event_id, '-infinity' FROM sale_summaries s JOIN event_terms t USING (event_id)
WHERE (s.state = 'not_on_sale') = (t.status = 'published' AND t.halted_because IS NULL
  AND clock_timestamp() >= coalesce(t.on_sale_at, '-infinity')
  AND clock_timestamp() < coalesce(t.off_sale_at, t.starts_at))
  AND NOT EXISTS (SELECT FROM sale_changes c WHERE c.event_id = s.event_id)
"""

COUNT_AREAS = """
SELECT sum(capacity - blocked)::int AS capacity, sum(free)::int AS free, sum(held)::int AS held,
       min(price_minor) FILTER (WHERE free > 0) AS lowest_price_minor, min(currency) AS currency
FROM ga_counts($1)
"""

COUNT = """
SELECT count(*) FILTER (WHERE is_taken OR is_offered)::int AS capacity,
       count(*) FILTER (WHERE is_offered)::int AS free,
       count(*) FILTER (WHERE is_taken AND state <> 'sold')::int AS held,
       min(price_minor) FILTER (WHERE is_offered) AS lowest_price_minor,
       min(currency) AS currency,
       (SELECT t.status = 'published' AND t.halted_because IS NULL
           AND clock_timestamp() >= coalesce(t.on_sale_at, '-infinity')
           AND clock_timestamp() < coalesce(t.off_sale_at, t.starts_at)
          FROM event_terms t WHERE t.event_id = $1) AS is_open
FROM (
  SELECT state, price_minor, currency,
         state IN ('sold', 'paying') OR (state = 'held' AND hold_expires_at > clock_timestamp()) AS is_taken,
         is_open(state, hold_expires_at) AND is_offered(closed_until, allocation_id, NULL) AS is_offered
    FROM event_seats WHERE event_id = $1) s
"""
"""Seats that are blocked, or closed and nobody's, are not for sale: they are no part of the capacity."""

TELL = """
INSERT INTO sale_summaries AS s (event_id, version, state, capacity, free, lowest_price_minor, currency)
VALUES ($1, 1, $2, $3, $4, $5, $6)
ON CONFLICT (event_id) DO UPDATE SET version = s.version + 1, state = EXCLUDED.state, capacity = EXCLUDED.capacity,
  free = EXCLUDED.free, lowest_price_minor = EXCLUDED.lowest_price_minor, currency = EXCLUDED.currency,
  told_at = clock_timestamp()
WHERE (s.state, s.capacity, s.lowest_price_minor) IS DISTINCT FROM
      (EXCLUDED.state, EXCLUDED.capacity, EXCLUDED.lowest_price_minor)
RETURNING version
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """An event's places by what can be done with them; ``lowest_price_minor`` is of the free ones."""

    capacity: int
    free: int
    held: int
    lowest_price_minor: int | None
    currency: str | None
    is_open: bool


async def mark_changed(tx: Connection, *event_ids: EventId, at_once: bool = False) -> None:
    """Note that events' summaries have to be looked at again; ``at_once``: without waiting for more changes."""
    await tx.execute(MARK, event_ids, at_once)


async def mark_opened_and_closed(connection: Connection) -> None:
    """Note the events whose sale began or ended by time since they were summed up."""
    await connection.execute(OPENED_OR_CLOSED)


async def take_changed(tx: Connection, *, older_than_seconds: float, most: int) -> list[EventId]:
    """Take events that changed at least so long ago; they are forgotten when the transaction commits."""
    return sorted({EventId(record["event_id"]) for record in await tx.fetch(TAKE, older_than_seconds, most)})


async def count(tx: Connection, event_id: EventId) -> Counts:
    """Count an event's places now."""
    seats, areas = await tx.fetchrow(COUNT, event_id), await tx.fetchrow(COUNT_AREAS, event_id)
    prices = [part["lowest_price_minor"] for part in (seats, areas) if part["lowest_price_minor"] is not None]
    return Counts(
        capacity=seats["capacity"] + (areas["capacity"] or 0), free=seats["free"] + (areas["free"] or 0),
        held=seats["held"] + (areas["held"] or 0), lowest_price_minor=min(prices, default=None),
        currency=seats["currency"] or areas["currency"], is_open=bool(seats["is_open"]),
    )  # fmt: skip


async def keep(tx: Connection, event_id: EventId, state: SaleState, counts: Counts) -> int | None:
    """Keep a summary when its class, capacity or lowest price changed; returns its version, else none."""
    version: int | None = await tx.fetchval(
        TELL, event_id, state, counts.capacity, counts.free, counts.lowest_price_minor, counts.currency
    )
    return version
